"""What an export and its verification share is made once, and its example inputs are like real ones."""

import copy
from typing import Any

import pytest
import torch

from stawm.errors import InputError
from stawm.export.graphs import prepared as module
from stawm.export.graphs.fields import available, in_order, probes
from stawm.export.graphs.plan import Plan, count_glimpses, make_graphs
from stawm.export.graphs.prepared import example_inputs, prepare
from tests.moments import assert_distributed
from tests.small import small


def plan(kind: Any = "rollout", fields: tuple[str, ...] = ("logits", "canvas"), sample: bool = False) -> Plan:
    return Plan(kind, 3, fields, sample)


def test_random_numbers_of_the_verification_are_distributed_as_they_should_be(painter: Any) -> None:
    found = example_inputs(painter, plan(sample=True), 9_000, 0)
    assert found["noise_latent"].shape == (9_000, 3, 4)
    for kind in painter.noise_shapes(3):
        assert_distributed(kind, found[f"noise_{kind}"])


def test_example_images_are_pixels_that_were_normalised(painter: Any) -> None:
    pixels = painter.denormalise(example_inputs(painter, plan(), 64, 0)["image"])
    assert -1e-6 < pixels.min() < 0.1
    assert 0.9 < pixels.max() < 1 + 1e-6
    assert pixels.var(dim=0).min() > 0.01
    sides = (pixels[..., 1:] - pixels[..., :-1]).abs().mean(), (pixels[..., 6:] - pixels[..., :-6]).abs().mean()
    assert sides[0] < sides[1]  # neighbours are more alike than what is far apart


def test_examples_are_repeated_by_their_seed_alone(painter: Any) -> None:
    first = example_inputs(painter, plan(sample=True), 2, 1)
    torch.rand(3)
    again, other = (example_inputs(painter, plan(sample=True), 2, seed) for seed in (1, 2))
    assert list(first) == ["image", "noise_latent", "noise_mask"]
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("kind", ["rollout", "step"])
def test_a_model_is_copied_twice_and_its_graphs_made_once(
    kind: Any, painter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies, made = [], []

    class Counting:
        @staticmethod
        def deepcopy(model: Any) -> Any:
            copies.append(model)
            return copy.deepcopy(model)

    def graphs(*args: Any) -> Any:
        made.append(args)
        return make_graphs(*args)

    monkeypatch.setattr(module, "copy", Counting)
    monkeypatch.setattr(module, "make_graphs", graphs)
    found = prepare(painter, plan(kind), "fp32")
    assert (len(copies), len(made)) == (2, 1)
    assert next(found.model.parameters()).dtype == torch.float32
    assert next(found.exact.parameters()).dtype == torch.float64
    assert not any(p.requires_grad for m in (found.model, found.exact) for p in m.parameters())
    assert all(parameter.requires_grad for parameter in painter.memory.parameters())


def test_the_reference_stays_exact_where_the_graph_is_lowered(painter: Any) -> None:
    found = prepare(painter, plan(), "fp16")
    assert {p.dtype for p in found.model.parameters()} == {torch.float16, torch.float32}
    assert {p.dtype for p in found.exact.parameters()} == {torch.float64}


def test_a_rollout_gives_what_was_asked_for_and_its_probes_besides(painter: Any) -> None:
    found = prepare(painter, plan(fields=("logits", "memory_input"), sample=True), "fp32")
    assert found.outputs("rollout") == ("logits", "memory_input")
    assert set(found.graphs["rollout"].outputs) == {"logits", *probes(painter)}
    shapes = found.shapes["rollout"]
    assert list(shapes) == ["image", "noise_latent", "noise_mask", "logits", "memory_input"]
    assert shapes["image"] == (1, 12, 12)
    assert shapes["noise_mask"] == (3, 1, 12, 12)
    assert shapes["memory_input"] == (3, 8)
    assert {len(value) for value in found.inputs["rollout"].values()} == {2}


def test_steps_are_given_the_noise_of_one_glimpse_and_what_came_before(painter: Any) -> None:
    found = prepare(painter, plan("step", sample=True), "fp32")
    assert list(found.graphs) == ["init", "glimpse", "read"]
    assert found.shapes["glimpse"]["noise_latent"] == (1, 4)
    assert not any(name.startswith("recall.") for part in found.graphs for name in found.outputs(part))
    state = [name for name in found.graphs["read"].inputs if name.startswith("state.")]
    init, glimpse = (found.graphs[part].run(found.inputs[part]) for part in ("init", "glimpse"))
    for name in state:
        came = (init | glimpse)[name.replace("state.", "next.", 1)]
        assert torch.equal(found.inputs["read"][name], came), name


def test_outputs_are_compared_in_the_order_in_which_they_are_computed(painter: Any) -> None:
    shuffled = ("logits", "recall.drawing", "mu", *available(painter), "recall.classification", "logits")
    order = in_order(shuffled)
    assert len(order) == len(set(shuffled))
    assert order[0] == "pose"
    assert order[-1] == "logits"
    assert order.index("memory_input") < order.index("recall.drawing") < order.index("mu")


def test_glimpses_are_counted(painter: Any) -> None:
    baseline = small("bvae-cifar")
    assert count_glimpses(painter, None) == 3
    assert count_glimpses(painter, 1) == 1
    assert count_glimpses(baseline, None) is None
    for model, asked, message in ((painter, 0, "at least 1 glimpse; got 0"), (baseline, 2, "takes no glimpses; got")):
        with pytest.raises(InputError, match=message):
            count_glimpses(model, asked)
