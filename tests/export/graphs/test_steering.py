"""A steered step graph looks where it is told, and writes what it is told, as if nothing else had been seen."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import stawm
from stawm.errors import ExportError, InputError
from stawm.export import OnnxModel, to_onnx
from stawm.export.file.files import check_consistent, read_graphs
from stawm.export.graphs import steering
from stawm.export.graphs.plan import Plan, make_graphs
from stawm.export.graphs.rollout import Rollout
from stawm.export.graphs.steering import Steering
from stawm.export.proof.behaviour import Trial, answer, expect
from stawm.export.run.walk import roll
from tests.shared import once
from tests.small import inputs, shaken, tiny

FIELDS = ("glimpse_logits", "pose", "matrix", "memory_input")
NO_SUM = ("backpropamine", "mean", "recurrent")
"""Memories whose read is no sum over their writes, so that there are no shares."""


def walked(model: Any, images: torch.Tensor, steer: Steering, fields: tuple[str, ...] = FIELDS) -> Any:
    """What the parts give, walked through by PyTorch."""
    n = steer.pose.shape[1]
    graphs = make_graphs(model, Plan("step", n, fields, False, steered=True))
    takes = {part: graph.inputs for part, graph in graphs.items()}
    with torch.no_grad():
        return roll(
            lambda part, given: graphs[part].run(given), takes, {"image": images, **steer.named()}, n, every=True
        )


def drawn(model: Any, batch: int, glimpses: int = 3) -> Steering:
    return steering.drawn(batch, glimpses, model.locator.identity_pose(), torch.Generator().manual_seed(4))


CASES = [("affine", memory) for memory in stawm.list_names("memory", origin="stawm")]
CASES += [(locator, "hebb-rosenblatt") for locator in stawm.list_names("locator", origin="stawm")[1:]]


@pytest.mark.parametrize(("locator", "memory"), CASES)
def test_what_is_not_written_was_never_seen(locator: str, memory: str) -> None:
    """The twin writes the other glimpses alone; all that is steered is steered at random."""
    model = shaken(tiny(memory=memory, locator=locator, heads="classification")).eval()
    images, _ = inputs(model, batch=6)
    steer = drawn(model, 6)
    fields = FIELDS if memory in NO_SUM else (*FIELDS, "shares")
    assert 0 < steer.written.mean() < 1
    assert 0 < steer.placed.mean() < 1
    with torch.no_grad():
        expected = Rollout(model, 3, fields, steered=True).run({"image": images, **steer.named()})
    found = walked(model, images, steer, fields)
    for name in fields:
        torch.testing.assert_close(found[name], expected[name], atol=2e-5, rtol=1e-5)
    placed = steer.placed.expand_as(steer.pose) > 0.5
    assert torch.equal(found["pose"][placed], steer.pose[placed])


def test_unsteered_it_is_the_model() -> None:
    model = shaken(tiny()).eval()
    images, _ = inputs(model, batch=3)
    found = walked(model, images, steering.neutral(3, 3, 6), ("glimpse_logits", "canvas", "pose", "matrix"))
    with torch.no_grad():
        expected = model(images, glimpses=3, glimpse_logits=True)
        _, state = model.watch(images, glimpses=3)
    torch.testing.assert_close(found["glimpse_logits"], expected.glimpse_logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found["canvas"], expected.canvas, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found["matrix"], model.memory.matrix(state.memory), atol=1e-5, rtol=1e-5)


def test_with_nothing_written_the_memory_is_empty() -> None:
    model = shaken(tiny(heads="classification")).eval()
    images, _ = inputs(model, batch=2)
    steer = steering.neutral(2, 3, 6)._replace(written=torch.zeros(2, 3, 1))
    found = walked(model, images, steer)
    assert found["matrix"].abs().max() == 0
    torch.testing.assert_close(found["glimpse_logits"][0], found["glimpse_logits"][1])


@pytest.fixture(scope="module")
def painter() -> Any:
    return shaken(tiny(canvas="bernoulli", glimpses=2)).eval()


@pytest.fixture(scope="module")
def steered(painter: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A steered step graph, proved equal to its model."""
    outputs = ["logits", "glimpse_logits", "canvas", "pose", "corners", "matrix", "shares"]

    def make(folder: Path) -> Path:
        report = to_onnx(painter, folder / "m", graph="step", outputs=outputs, steered=True, batches=(1, 3))
        compared = {comparison.output for comparison in report.comparisons}
        assert {"matrix", "glimpse_logits", "pose", "shares"} <= compared
        return folder / "m"

    return once(tmp_path_factory, "steered", make)


def test_a_session_does_not_steer(painter: Any, steered: Path) -> None:
    session = OnnxModel(steered, device="cpu")
    pixels = torch.rand(2, 1, 12, 12)
    images = painter.normalise(pixels)
    with torch.no_grad():
        expected, state = painter.watch(images, glimpses=2)
    found = session(pixels, glimpses=2)
    torch.testing.assert_close(found.logits, expected.logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.matrix, painter.memory.matrix(state.memory), atol=1e-5, rtol=1e-5)
    assert session.look(pixels).logits.shape == (2, 10)


def test_a_file_that_says_otherwise_is_refused(steered: Path) -> None:
    files = read_graphs(steered)
    assert files["glimpse"].info.steered
    files["glimpse"] = replace(files["glimpse"], info=replace(files["glimpse"].info, steered=False))
    with pytest.raises(ExportError, match="steered is false, and the inputs for it are"):
        check_consistent(files)


def test_only_a_step_graph_is_steered(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="take graph='step'"):
        to_onnx(tiny(), tmp_path / "m.onnx", steered=True)
    assert not list(tmp_path.iterdir())


STEERED = Plan("step", 2, ("logits", "pose"), False, steered=True)


def test_a_trial_on_made_images_steers_the_model_as_its_graph() -> None:
    model = shaken(tiny())
    run = Rollout(model.eval(), 2, STEERED.fields, steered=True).run
    expected = expect(model, STEERED, Trial())
    with torch.no_grad():
        found = answer(run, expected)
    for name, value in expected.answers.items():
        assert torch.equal(found[name], value), name


def test_a_trial_on_real_images_lets_the_model_look_where_it_looks_by_itself() -> None:
    model = shaken(tiny())
    images, _ = inputs(model)
    expected = expect(model, STEERED, Trial(images=images))
    with torch.no_grad():
        own = model.eval()(images, glimpses=2)
    assert torch.equal(expected.answers["logits"], own.logits)
    assert torch.equal(expected.answers["pose"], own.trace.pose)
