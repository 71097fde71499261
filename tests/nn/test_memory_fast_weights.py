"""The fast-weights module: its configuration, its layer norm, and that it is the rule."""

from typing import Any

import pytest
import torch

from stawm.core import fast_weights as core
from stawm.core.fast_weights import DenseState, FactoredState
from stawm.errors import ConfigError, InputError
from stawm.nn.memories.fast_weights import FastWeights
from stawm.nn.testing.memory import one_by_one

Config = FastWeights.Config


@pytest.mark.parametrize(("decay", "eta"), [(0.95, 0.5), (0.0, 0.0), (1.0, 2.0)])
def test_rates_act_as_configured(decay: float, eta: float):
    memory = FastWeights(Config(decay=decay, eta=eta), memory_size=3)
    torch.testing.assert_close([*memory.rates], [torch.tensor(decay), torch.tensor(eta)])
    assert {name: p.shape for name, p in memory.named_parameters()} == {"raw_decay": (), "raw_eta": ()}
    assert not any(p.requires_grad for p in memory.parameters())


def test_the_defaults_are_those_of_the_paper_and_can_be_trained():
    assert (Config().decay, Config().eta, Config().layer_norm) == (0.95, 0.5, False)
    memory = FastWeights(Config(learnable=True), memory_size=3)
    Y, _ = memory.unroll(torch.rand(2, 3, 3), torch.rand(2, 1, 3), [3])
    Y.sum().backward()
    assert all(p.grad is not None and p.grad != 0 for p in memory.parameters())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"decay": 1.1}, r"decay must be a number in \[0, 1\]; got 1.1"),
        ({"decay": -0.1}, r"\[0, 1\]; got -0.1"),
        ({"eta": -0.5}, r"eta must be a number in \[0, inf\); got -0.5"),
        ({"form": "sparse"}, "'auto', 'dense', 'factored'"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        Config(**fields)


@pytest.mark.parametrize(
    ("form", "kind"), [("dense", DenseState), ("factored", FactoredState), ("auto", FactoredState)]
)
def test_the_module_is_the_rule(form: Any, kind: type):
    memory = FastWeights(Config(form=form), memory_size=4)
    E, Q = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    Y, state = memory.unroll(E, Q, [0, 1, 3])
    Z, _ = core.unroll(E, Q, [0, 1, 3], core.Rates(0.95, 0.5))
    torch.testing.assert_close(Y, Z)
    assert type(state) is type(memory.init_state(2)) is kind
    torch.testing.assert_close(one_by_one(memory, E, Q, [0, 1, 3])[0], Y)
    torch.testing.assert_close(memory.read(memory.write(memory.init_state(2), E[:, 0]), Q[:, 1]), Y[:, 1])
    torch.testing.assert_close((memory.matrix(state) @ Q[:, 2, :, None])[..., 0], Y[:, 2])


def test_auto_turns_rows_into_a_matrix_when_they_become_many():
    memory = FastWeights(memory_size=2)
    state, kinds = memory.init_state(1), []
    for _ in range(5):
        state = memory.write(state, torch.rand(1, 2))
        kinds.append(type(state))
    assert kinds == [FactoredState] * 3 + [DenseState] * 2
    roomy = memory.with_room(memory.init_state(1, dtype=torch.float64), 3)
    assert (roomy[0].shape, roomy[0].dtype) == ((1, 3, 2), torch.float64)
    assert type(memory.with_room(memory.init_state(1), 4)) is DenseState


def test_the_layer_norm_is_on_every_read():
    memory, plain = (FastWeights(Config(layer_norm=on), memory_size=4).double() for on in (True, False))
    assert memory.norm is not None
    with torch.no_grad():
        memory.norm.weight.copy_(torch.rand(4))
        memory.norm.bias.copy_(torch.rand(4))
    E, Q = torch.randn(2, 3, 4).double(), torch.randn(2, 2, 4).double()
    Y, state = memory.unroll(E, Q, [1, 3])
    A = plain.unroll(E, Q, [1, 3])[0]
    centred = A - A.mean(dim=2, keepdim=True)
    spread = (centred.square().mean(dim=2, keepdim=True) + memory.norm.eps).sqrt()
    torch.testing.assert_close(Y, centred / spread * memory.norm.weight + memory.norm.bias)
    torch.testing.assert_close(memory.read(state, Q[:, 1]), Y[:, 1])
    torch.testing.assert_close(one_by_one(memory, E, Q, [1, 3])[0], Y)


def test_the_matrix_of_a_normed_read_is_its_derivative_at_zero():
    memory = FastWeights(Config(layer_norm=True), memory_size=4).double()
    assert memory.norm is not None
    with torch.no_grad():
        memory.norm.weight.copy_(torch.rand(4))
    E = torch.randn(2, 3, 4).double()
    _, state = memory.unroll(E, E[:, :0], [])
    slopes = torch.func.jacrev(lambda q: memory.read(state, q.expand(2, -1)))(torch.zeros(4).double())
    torch.testing.assert_close(memory.matrix(state), slopes)


def test_half_precision_is_widened():
    memory = FastWeights(Config(layer_norm=True), memory_size=3).half()
    E = torch.rand(1, 2, 3).half()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        Y, state = memory.unroll(E, E, [1, 2])
        assert memory.matrix(state).dtype == memory.read(memory.write(state, E[:, 0]), E[:, 0]).dtype == torch.float32
    assert Y.dtype == state[0].dtype == torch.float32


def test_another_width_is_refused():
    with pytest.raises(InputError, match=r"with m = 3, the width of the memory; got \(1, 2, 4\)"):
        FastWeights(memory_size=3).unroll(torch.rand(1, 2, 4), torch.rand(1, 1, 4), [2])
