"""What bound to where: the key is made of the place alone, and the paper's form stays what it was."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

import stawm
from stawm.configuration.components import build_component
from stawm.core import delta
from stawm.errors import ConfigError, InputError
from stawm.nn.memories.projections import project, unit
from stawm.nn.testing.memory import one_by_one
from tests.heads.test_recall import BARE, asked, images
from tests.small import shaken
from tests.strategies import assert_all_near, assert_near, normal, seeds

B, N, M = 2, 4, 5
EXACT = 1e-10
BOTH = ("delta", "gated-delta")


def bound(name: str, **fields: Any) -> Any:
    return build_component("memory", name, memory_size=M, bind="what-where", **fields).double()


@pytest.mark.parametrize("name", BOTH)
@settings(max_examples=10)
@given(seed=seeds)
def test_unroll_is_the_loop_in_values_and_gradients(name: str, seed: int):
    memory = bound(name)
    found = []
    for method in (one_by_one, type(memory).unroll):
        E, Q = (x.clamp(0, 6).requires_grad_() for x in normal(seed, (B, N, 2 * M), (B, 3, M)))
        Y, state = method(memory, E, Q, [0, 2, N])
        found.append((Y, *state, *torch.autograd.grad(Y.square().sum() + state[0].sum(), (E, Q))))
    assert_all_near(found[0], found[1], EXACT)


@given(seeds)
def test_key_is_of_where_and_value_of_what(seed: int):
    """By the equations: k = unit(K where), v = V what, β = σ(b what), then the delta rule."""
    memory = bound("delta")
    what, where, q = normal(seed, (B, M), (B, M), (B, M))
    own = memory.write(memory.init_state(B, dtype=torch.float64), torch.cat([what, where], dim=-1))
    beta = torch.sigmoid(what @ memory.strength.weight[0] + memory.strength.bias)
    start = delta.init_state(B, M, dtype=torch.float64)
    wanted = delta.write(start, unit(project(memory.key, where)), what @ memory.value.weight.T, beta)
    assert_near(own.S, wanted.S, EXACT)
    assert_near(memory.read(own, q), delta.read(wanted, unit(project(memory.query, q))), EXACT)


@given(seeds)
def test_what_is_seen_later_at_a_place_replaces_what_was_there(seed: int):
    """With β = 1 and a key of length 1, to the last value exactly; a key made of e would have moved with it."""
    memory = bound("delta")
    first, second, where = normal(seed, (B, M), (B, M), (B, M))
    k = unit(project(memory.key, where))
    k = k / k.norm(dim=-1, keepdim=True)
    S = delta.init_state(B, M, dtype=torch.float64)
    for what in (first, second):
        S = delta.write(S, k, project(memory.value, what), torch.ones(B).double())
    assert_near(delta.read(S, k), project(memory.value, second), EXACT)
    keys = [memory._terms(torch.cat([what, where], dim=-1))[0] for what in (first, second)]
    assert torch.equal(*keys)


@given(seeds)
def test_the_bound_of_the_rule_holds(seed: int):
    memory = bound("delta")
    (E,) = normal(seed, (B, N, 2 * M))
    _, state = memory.unroll(E, E[:, :0, :M], [])
    k, v, beta = (x.detach() for x in memory._terms(E))
    most = delta.bound(N, float(v.norm(dim=-1).max()), float(beta.max()), float(k.norm(dim=-1).max()))
    assert float(state.S.detach().flatten(1).norm(dim=1).max()) <= most * (1 + 1e-12)


@pytest.mark.parametrize("name", BOTH)
def test_the_default_is_what_it_was(name: str):
    usual, said = (build_component("memory", name, memory_size=M, **f) for f in ({}, {"bind": "self"}))
    said.load_state_dict(usual.state_dict())
    E, Q = torch.rand(B, N, M), torch.rand(B, 1, M)
    assert usual.input_size == M
    assert torch.equal(usual.unroll(E, Q, [N])[0], said.unroll(E, Q, [N])[0])
    assert {n: p.shape for n, p in bound(name).named_parameters()} == {n: p.shape for n, p in usual.named_parameters()}


@pytest.mark.usefixtures("unchecked")
def test_another_width_is_refused_with_the_form_that_is_wanted():
    memory = bound("delta")
    for call in (
        lambda: memory.write(memory.init_state(B), torch.ones(B, M)),
        lambda: memory.unroll(torch.ones(B, N, M), torch.ones(B, 1, M), [N]),
        lambda: memory.contributions(torch.ones(B, N, M), torch.ones(B, M)),
    ):
        with pytest.raises(InputError, match=r"2m\), what and then where, with m = 5"):
            call()
    with pytest.raises(ConfigError, match="bind"):
        build_component("memory", "delta", memory_size=M, bind="where-what")


def model_of(**head: Any) -> Any:
    return asked({"name": "delta", "bind": "what-where"}, **head)


def test_a_model_gives_its_memory_what_and_where_apart():
    model = model_of()
    with torch.no_grad():
        output = model(images())
        seen = model.look(images(), 3)
        looks = seen.looks
        what, where = model.loop.what(looks.features).clamp(0, 6), model.loop.where(looks.pose).clamp(0, 6)
        assert torch.equal(output.trace.memory_input, torch.cat([what, where], dim=-1))
        stepped, state = model.memory.init_state(3, dtype=torch.float64), None
        for e in seen.memory_input.unbind(1):
            stepped = model.memory.write(stepped, e)
        state = model.remember(seen, model.reads(3))[1]
        assert_near(state.memory.S, stepped.S, EXACT)
        assert_near(model.ask(state).answers, output.answers, EXACT)


def test_it_is_trained_diagnosed_and_classifies():
    fields = {**BARE, "memory": {"name": "gated-delta", "bind": "what-where"}, "heads": "classification"}
    model = shaken(stawm.build("stawm-digits", seed=0, **fields))
    pixels = torch.rand(4, 1, 12, 12)
    output = model(model.normalise(pixels))
    model.loss(output, model.normalise(pixels), torch.tensor([0, 1, 2, 3]))["total"].backward()
    assert all(p.grad is not None for p in model.parameters())
    assert len(stawm.diagnose(model, pixels).glimpses) == 3
    whole = stawm.explain(model, pixels)
    total = whole.shares.sum(dim=1) + whole.bias
    assert torch.allclose(total, whole.logits, atol=1e-4)


@pytest.mark.long
@pytest.mark.parametrize("graph", ["rollout", "step"])
def test_it_is_exported(graph: Any, tmp_path: Any):
    report = stawm.export.to_onnx(model_of().float(), tmp_path / "bound", graph=graph, outputs="all")
    assert report.ok


def contributions_add_up(memory: Any, E: Tensor, q: Tensor) -> None:
    found = memory.contributions(E, q)
    state = memory.unroll(E, q[:, None][:, :0], [])[1]
    assert_near(found.writes.sum(dim=1) + found.rest, memory.read(state, q), EXACT)


@pytest.mark.parametrize("name", BOTH)
def test_shares_of_writes_add_up(name: str):
    contributions_add_up(bound(name), *normal(0, (B, N, 2 * M), (B, M)))
