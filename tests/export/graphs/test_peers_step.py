"""The step graphs of RAM, DRAM and DRAW give what the models give, after any number of glimpses."""

from pathlib import Path
from typing import Any

import pytest
import torch

import stawm
from stawm.errors import ExportError
from stawm.export import OnnxModel, to_onnx
from stawm.export.graphs.plan import Plan, make_graphs
from stawm.export.run.walk import roll
from stawm.heads.output import Noise
from tests.models.test_ram import SMALL, TWO
from tests.small import inputs, shaken, small

PAIRS: dict[str, Any] = {**TWO, "answers": 2, "heads": {"classification": {"classes": 6}}}
GLIMPSES = 4


def ram(**overrides: Any) -> Any:
    return shaken(stawm.build("ram-mnist", seed=0, **{**SMALL, "policy": "deterministic", **overrides}), 0.3).eval()


def draw(preset: str, **overrides: Any) -> Any:
    return shaken(small(preset, **{"glimpses": GLIMPSES, **overrides}), 0.1).eval()


RAMS: dict[str, dict[str, Any]] = {
    "one layer": {},
    "one LSTM": {"cell": "lstm"},
    "two layers": {**TWO, "cell": "relu"},
    "two answers": PAIRS,
    "two answers of one layer": {**SMALL, "answers": 2, "heads": {"classification": {"classes": 6}}},
    "a retina of scales": {"locator": {"scales": 2, "antialias": True, "width": 0.25}},
    "an affine view": {"locator": "affine"},
    "learning early": {"heads": {"classification": {"early": 1.0}}},
    "a reward": {"policy": "gaussian"},
}
DRAWS = ("draw-mnist", "draw-mnist-no-attention", "draw-cluttered-100")


def rolled(model: Any, fields: tuple[str, ...], given: Any, glimpses: int, *, sample: bool = False) -> Any:
    """What the parts give, walked through by PyTorch with room for all glimpses."""
    graphs = make_graphs(model, Plan("step", GLIMPSES, fields, sample))

    def run(part: str, own: Any) -> Any:
        assert set(own) == {*graphs[part].inputs}
        return graphs[part].run(own)

    with torch.no_grad():
        return roll(run, {part: graph.inputs for part, graph in graphs.items()}, given, glimpses, every=True)


def assert_as(found: Any, expected: Any) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)  # single precision over a few glimpses


@pytest.mark.parametrize("sizes", RAMS.values(), ids=RAMS)
def test_steps_of_the_ram_family_are_the_rollout(sizes: dict[str, Any]) -> None:
    model = ram(**sizes)
    images, _ = inputs(model, batch=3)
    found = rolled(model, ("logits", "glimpse_logits", "pose", "memory_input"), {"image": images}, GLIMPSES)
    with torch.no_grad():
        expected = model(images, glimpse_logits=True)
    assert_as(found["logits"], expected.logits)
    assert_as(found["glimpse_logits"], expected.glimpse_logits)
    assert_as(found["pose"], expected.trace.pose)
    assert_as(found["memory_input"], expected.trace.memory_input)


@pytest.mark.parametrize("policy", ["gaussian", "random"])
def test_what_a_policy_draws_is_an_input_of_each_step(policy: str) -> None:
    model = ram(policy=policy)
    images, _ = inputs(model, batch=3)
    name = model.policy.noise
    noise = torch.rand(3, GLIMPSES, 2, generator=torch.Generator().manual_seed(1))
    found = rolled(model, ("logits", "pose"), {"image": images, f"noise_{name}": noise}, GLIMPSES, sample=True)
    with torch.no_grad():
        expected = model(images, noise=Noise(**{name: noise}))
    assert_as(found["logits"], expected.logits)
    assert_as(found["pose"], expected.trace.pose)
    assert not torch.equal(found["pose"], model(images, sample=False).trace.pose)


@pytest.mark.parametrize("heads", [({"name": "regression", "values": 2},), ("multilabel",)])
def test_other_heads_of_the_ram_family_go_by_steps(heads: Any) -> None:
    model = ram(heads=heads)
    images, _ = inputs(model, batch=3)
    (field,) = [name for head in model.named_heads.values() for name, axes in head.fields.items() if "n" not in axes]
    assert_as(rolled(model, (field,), {"image": images}, 2)[field], model(images, glimpses=2).extra[field])


@pytest.mark.parametrize("preset", DRAWS)
@pytest.mark.parametrize("glimpses", [1, 4])
def test_steps_of_draw_are_the_rollout(preset: str, glimpses: int) -> None:
    model = draw(preset)
    images, _ = inputs(model, batch=3)
    noise = {name: torch.randn(3, glimpses, *shape[1:]) for name, shape in model.noise_shapes(glimpses).items()}
    given = {"image": images} | {f"noise_{name}": value for name, value in noise.items()}
    names = [("logits", "glimpse_logits"), ("canvas", "canvases", "mu", "logvar")][model.config.draws]
    names += ("pose",) if model.locator is not None else ()
    names += ("inverse_pose",) if model.placer is not None else ()
    found = rolled(model, names, given, glimpses, sample=bool(noise))
    with torch.no_grad():
        expected = model(images, glimpses=glimpses, glimpse_logits=True, noise=Noise(**noise)).named()
    for name in names:
        assert_as(found[name], expected[name])


def test_a_path_of_poses_has_no_steps() -> None:
    with pytest.raises(ExportError, match="The policy 'fixed' has no step form"):
        rolled(ram(policy={"name": "fixed", "path": "raster"}), ("logits",), {}, 1)


def test_a_part_takes_only_what_it_uses() -> None:
    graphs = make_graphs(ram(**PAIRS), Plan("step", GLIMPSES, ("logits",), False))
    assert {*graphs["read"].inputs} == {"state.layer.0.h", "state.reads", "state.count"}
    assert {*graphs["glimpse"].outputs} >= {f"next.layer.{layer}.{part}" for layer in (0, 1) for part in "hc"}


@pytest.mark.parametrize("family", ["ram", pytest.param("draw", marks=pytest.mark.long)])
def test_a_file_of_steps_is_proved_served_and_stops_when_it_is_sure(family: str, tmp_path: Path) -> None:
    sizes = {"glimpses": 3, "image": (1, 12, 12)}
    model = ram(**sizes) if family == "ram" else draw("draw-cluttered-100", **sizes)
    assert to_onnx(model, tmp_path / "m", graph="step", batches=(1, 2)).ok
    steps = OnnxModel(tmp_path / "m", device="cpu")
    pixels = torch.rand(5, *model.config.image, generator=torch.Generator().manual_seed(2))
    expected = model(model.normalise(pixels), glimpse_logits=True)
    for count in (1, 2, 3):
        assert_as(steps(pixels, glimpses=count).logits, expected.glimpse_logits[:, count - 1])
    sure = expected.glimpse_logits.exp().amax(-1)
    until = sure[:, 0].median().item()
    looked = steps.look(pixels, until=until - 1e-4)
    done = torch.cat([sure[:, :-1] >= until - 1e-4, torch.ones(5, 1, dtype=torch.bool)], dim=1)
    counts = done.int().argmax(dim=1) + 1
    assert torch.equal(looked.glimpses, counts)
    assert len(counts.unique()) > 1
    assert_as(looked.logits, expected.glimpse_logits[torch.arange(5), counts - 1])


@pytest.mark.long
@pytest.mark.parametrize("preset", ["dram-pairs-100", "edram-cluttered-100", "draw-mnist"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_steps_of_a_preset_are_proved(preset: str, precision: Any, tmp_path: Path) -> None:
    model = shaken(small(preset))
    assert to_onnx(model, tmp_path / "m", graph="step", outputs="all", precision=precision, batches=(1, 3)).ok
