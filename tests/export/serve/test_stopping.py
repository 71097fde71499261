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
from stawm.export.file.files import read_graphs
from stawm.export.file.metadata import from_entries
from stawm.export.graphs.plan import Plan
from stawm.export.graphs.prepared import prepare
from stawm.export.proof.report import VerificationError
from stawm.export.proof.verification import examine
from stawm.export.serve.live import LiveModel
from stawm.export.serve.looking import Steps, look, rule
from stawm.export.serve.measured import MeasuredGraph
from stawm.export.write.sidecar import write_sidecar
from stawm.export.write.tuned import check_tunable, keep_stopping
from stawm.models.stopping import Stopping
from stawm.storage.hashing import weights_hash
from stawm.training import ImageSet, stopping, tune_stop
from tests.export.broken import broken, set_metadata
from tests.export.opened import answers, opened
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


@pytest.fixture
def halves(steps: Path, tmp_path: Path) -> Path:
    """A step graph that says that it is in fp16, and so is to be tuned by itself."""
    folder = tmp_path / "halves"
    folder.mkdir()
    for part in PARTS:
        broken(
            steps / f"{part}.onnx",
            folder / f"{part}.onnx",
            lambda proto: set_metadata(proto, "stawm.graph", lambda s: s.replace('"fp32"', '"fp16"')),
        )
    return folder


def test_a_graph_that_is_not_in_fp32_is_tuned_by_what_it_answers_itself(
    classifier: Any, halves: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stopping, "PRICES", [0.1, 0.001])
    monkeypatch.setattr(classifier, "stopping", tuned(classifier))
    held_out = ImageSet(pixels(40), torch.arange(40) % 10, ())
    found = tune_stop(MeasuredGraph(opened(halves)), held_out, glimpses=2)
    write_sidecar(halves)
    before = {part: (halves / f"{part}.onnx").read_bytes() for part in PARTS}
    kept = keep_stopping(halves, found, tmp_path / "tuned")
    by_model = tune_stop(classifier, held_out, glimpses=2)
    assert kept.thresholds == pytest.approx(by_model.thresholds, rel=1e-3)
    assert kept.temperatures == pytest.approx(by_model.temperatures, rel=1e-3)
    assert (kept.error, kept.mean_glimpses) == (by_model.error, by_model.mean_glimpses)
    assert kept == replace(found, weights=weights_hash(classifier))
    assert {part: (halves / f"{part}.onnx").read_bytes() for part in PARTS} == before
    again = opened(tmp_path / "tuned")
    assert again.info.stopping == kept
    assert json.loads((tmp_path / "tuned.json").read_text())["stopping"] == kept.as_dict()
    assert torch.equal(again.look(pixels()).glimpses, LiveModel(again_of(classifier, kept)).look(pixels()).glimpses)
    checked = examine(tmp_path / "tuned", read_graphs(tmp_path / "tuned"), classifier, (1,))
    assert next(check for check in checked.checks if check.name == "model").ok, "its thresholds are its own"
    assert keep_stopping(tmp_path / "tuned", found) == kept, "once more, in its own place"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["halves", "halves.json", "tuned", "tuned.json"]


def again_of(model: Any, kept: Stopping) -> Any:
    """The model with these thresholds."""
    model.stopping = kept
    return model


def test_what_cannot_have_thresholds_of_its_own_is_left_as_it_is(classifier: Any, steps: Path, tmp_path: Path):
    before = (steps / "init.onnx").read_bytes()
    with pytest.raises(InputError, match="answers as its model: tune the checkpoint"):
        keep_stopping(steps, tuned(classifier), tmp_path / "tuned")
    with pytest.raises(InputError, match="Only a step graph of a model that classifies stops"):
        check_tunable(replace(opened(steps).info, kind="rollout", precision="int8"))
    assert (steps / "init.onnx").read_bytes() == before
    assert list(tmp_path.iterdir()) == []


def test_a_step_graph_says_what_it_answers_after_each_glimpse(classifier: Any, steps: Path):
    graph = opened(steps, batch_size=3)
    graph.info = replace(graph.info, fields=("logits",))
    found = graph(pixels(), glimpse_logits=True)
    expected = answers(classifier, pixels(), glimpse_logits=True)
    torch.testing.assert_close(found.glimpse_logits, expected.glimpse_logits, atol=1e-5, rtol=1e-5)
    assert torch.equal(found.logits, graph(pixels()).logits)
    assert graph(pixels()).glimpse_logits is None
