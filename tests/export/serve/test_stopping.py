"""Graphs and models that stop as it was tuned: the thresholds travel, decide, and are never another model's."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import Tensor

from stawm.errors import ExportError, InputError
from stawm.export import inspect, verify
from stawm.export.file.describing import describe
from stawm.export.file.metadata import from_entries
from stawm.export.graphs.plan import Plan
from stawm.export.graphs.prepared import prepare
from stawm.export.proof.report import VerificationError
from stawm.export.serve.live import LiveModel
from stawm.export.serve.looking import Steps, look, rule
from stawm.models.stopping import Stopping
from stawm.storage.hashing import weights_hash
from tests.export.broken import broken
from tests.export.opened import opened
from tests.export.serve.test_looking import TAKES, Parts, numbered

PARTS = ("init", "glimpse", "read")


def pixels(count: int = 7) -> Tensor:
    return torch.rand(count, 1, 12, 12, generator=torch.Generator().manual_seed(0))


def tuned(model: Any) -> Stopping:
    """Thresholds between the confidences of some images, so that some stop at each glimpse."""
    with torch.no_grad():
        logits = model(model.normalise(pixels()), glimpse_logits=True).glimpse_logits.double()
    temperatures = (0.5, 0.8, 1.5)
    confidence = (logits / torch.tensor(temperatures, dtype=torch.float64)[:, None]).softmax(dim=2).amax(dim=2)
    first, second = confidence[:, 0].sort().values, confidence[:, 1].sort().values
    return Stopping(
        thresholds=(first[5:].mean().item(), second[2:4].mean().item(), 0.0),
        temperatures=temperatures,
        weights=weights_hash(model),
        data="noise",
        images=7,
        error=0.1,
        error_of_all=0.1,
        mean_glimpses=2.0,
        calibration_error=0.0,
        uncalibrated=0.1,
    )


def changed(steps: Path, folder: Path, said: Any) -> Path:
    """A step graph whose metadata also hold these thresholds."""

    def add(proto: onnx.ModelProto) -> None:
        proto.metadata_props.add(key="stawm.stopping", value=json.dumps(said))

    folder.mkdir()
    for part in PARTS:
        broken(steps / f"{part}.onnx", folder / f"{part}.onnx", add)
    return folder


def test_a_graph_stops_as_it_was_tuned_and_so_does_its_model(
    classifier: Any, steps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    kept = tuned(classifier)
    monkeypatch.setattr(classifier, "stopping", kept)
    graph = opened(changed(steps, tmp_path / "steps", kept.as_dict()), batch_size=3)
    assert graph.info.stopping == kept
    found = graph.look(pixels())
    assert {*found.glimpses.tolist()} == {1, 2, 3}
    with torch.no_grad():
        logits = classifier(classifier.normalise(pixels()), glimpse_logits=True).glimpse_logits
    for row, count in enumerate(found.glimpses.tolist()):
        sure = [kept.sure(logits[row : row + 1, t], torch.tensor([t + 1])) for t in range(count)]
        assert [bool(done) for _, done in sure] == [False] * (count - 1) + [True]
        assert found.confidence[row].item() == pytest.approx(sure[-1][0].item(), abs=1e-4)
        assert torch.allclose(found.logits[row], logits[row, count - 1], atol=1e-4)
    live = LiveModel(classifier, batch_size=3)
    for other in (graph.look(pixels(), until="tuned"), live.look(pixels()), live.look(pixels(), until="tuned")):
        assert torch.equal(other.glimpses, found.glimpses)
        assert torch.allclose(other.confidence, found.confidence, atol=1e-4)
    assert graph.look(pixels(), until=1.0).glimpses.tolist() == [3] * 7
    assert graph.look(pixels(), glimpses=2).glimpses.max() == 2


def test_a_graph_says_what_it_promises(classifier: Any, steps: Path, tmp_path: Path):
    facts = inspect(changed(steps, tmp_path / "steps", tuned(classifier).as_dict()))
    assert facts.as_dict()["stopping"]["mean_glimpses"] == 2.0
    assert "after 2.00 glimpses on average, error 10.00%" in str(facts)
    assert "stopping" not in inspect(steps).as_dict()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"weights": "0" * 64}, "thresholds to stop by are of a model with other weights"),
        ({"thresholds": [0.5]}, "the last of the thresholds must be 0"),
        ({"temperatures": [1, 2, -3]}, "temperatures must be 3 numbers"),
        ({"error": None}, "must be shares"),
    ],
    ids=str,
)
def test_a_graph_with_thresholds_that_are_not_its_own_is_refused(
    classifier: Any, steps: Path, tmp_path: Path, change: Any, says: str
):
    path = changed(steps, tmp_path / "steps", tuned(classifier).as_dict() | change)
    for call in (opened, inspect):
        with pytest.raises(ExportError, match=says):
            call(path)


def test_parts_with_other_thresholds_are_of_no_one_export(classifier: Any, steps: Path, tmp_path: Path):
    path = changed(steps, tmp_path / "steps", tuned(classifier).as_dict())
    (path / "read.onnx").write_bytes((steps / "read.onnx").read_bytes())
    with pytest.raises(ExportError, match="are not of one export"):
        opened(path)


def test_a_graph_with_other_thresholds_than_its_model_does_not_verify(
    classifier: Any, steps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    kept = tuned(classifier)
    path = changed(steps, tmp_path / "steps", replace(kept, data="other").as_dict())
    monkeypatch.setattr(classifier, "stopping", kept)
    with pytest.raises(VerificationError, match="other thresholds to stop by"):
        verify(path, classifier)


@pytest.mark.parametrize(("precision", "weights", "kept"), [("fp32", "fp32", True), ("fp16", "fp32", False)])
def test_an_export_writes_them_where_they_hold(
    classifier: Any, monkeypatch: pytest.MonkeyPatch, precision: str, weights: Any, kept: bool
):
    monkeypatch.setattr(classifier, "stopping", tuned(classifier))
    prepared = prepare(classifier, Plan("rollout", 3, ("logits",), False, weights), precision)
    info = describe(classifier, prepared)["rollout"]
    read = from_entries(info.entries(), Path("m.onnx"))
    assert read.stopping == info.stopping == (classifier.stopping if kept else None)


def test_where_nothing_was_tuned_there_is_nothing_to_stop_by(classifier: Any, steps: Path):
    for call in (opened(steps).look, LiveModel(classifier).look):
        with pytest.raises(InputError, match="No thresholds were tuned for this model"):
            call(pixels(), until="tuned")
        assert call(pixels(2)).glimpses.shape == (2,)


def test_a_model_whose_weights_changed_does_not_stop_as_before(classifier: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(classifier, "stopping", replace(tuned(classifier), weights="other"))
    with pytest.raises(InputError, match="tuned for a model with other weights"):
        LiveModel(classifier)


@pytest.mark.parametrize("lanes", [1, 2, 3, None])
def test_whoever_takes_a_free_place_is_answered_as_alone(lanes: int | None):
    """Image 1 is done after a glimpse, 0 after three and 2 after two: whatever the places, each is looked at alike."""
    parts = Parts()
    found = look(Steps(parts, TAKES, numbered()), 3, 3, rule(0.7, None), lanes)
    assert found.glimpses.tolist() == [3, 1, 2]
    assert found.confidence.tolist() == pytest.approx([0.9, 0.95, 0.7])
    noise = sorted(value for given in parts.of("glimpse") for value in given["noise_latent"][:, 0, 0].tolist())
    assert noise == [0, 1, 2, 10, 20, 21]
    assert max(len(given["image"]) for given in parts.of("glimpse")) == (lanes or 3)
    full = {1: [1] * 6, 2: [2, 2, 2], 3: [3, 2, 1], None: [3, 2, 1]}
    assert [len(given["image"]) for given in parts.of("glimpse")] == full[lanes]
