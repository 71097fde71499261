"""Graphs of models that are asked: cues of any number go in, and a step graph is asked without looking again."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stawm import runtime
from stawm.errors import InputError
from stawm.export import OnnxModel, to_onnx
from stawm.export.file.metadata import contradictions
from stawm.export.serve.measured import MeasuredGraph
from stawm.training import data, evaluate
from tests.heads.test_recall import asked

TOLERANCE = 1e-4
"""What float32 may be off by, in logarithms of probabilities."""


@pytest.fixture(scope="module", params=["rollout", "step"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    model = asked("hebb-rosenblatt", context=True).float()
    path = tmp_path_factory.mktemp("graphs") / ("asked.onnx" if request.param == "rollout" else "asked")
    assert to_onnx(model, path, graph=request.param, batches=(1, 3)).ok
    return model, OnnxModel(path, device="cpu", batch_size=2)


def pixels(count: int = 3) -> Any:
    return torch.rand(count, 1, 12, 12, generator=torch.Generator().manual_seed(3))


def test_any_number_of_questions_is_answered_as_the_model_answers(pair: Any):
    model, onnx = pair
    for cue in (None, [3], [0, 0, 4, 2, 1, 3, 2], torch.tensor([[0, 1], [2, 3], [4, 0]])):
        expected = model.predict(pixels(), cue=cue).answers
        assert torch.allclose(onnx(pixels(), cue=cue).answers, expected, atol=TOLERANCE)
    with pytest.raises(InputError, match="numbers from 0 to 4"):
        onnx(pixels(), cue=[7])


def test_only_what_reads_takes_the_cue(pair: Any):
    model, onnx = pair
    takes = {part: [name for name in inputs if "cue" in name] for part, inputs in onnx._takes.items()}
    if onnx.info.kind == "rollout":
        assert takes == {"rollout": ["cue"]}
        with pytest.raises(InputError, match="remember needs a step graph"):
            onnx.remember(pixels())
        return
    assert takes == {"init": [], "glimpse": [], "read": ["cue"]}
    kept = onnx.remember(pixels())
    assert len(kept.parts) == 2
    for cue in ([1], [4, 0, 2], [[0], [3], [1]]):
        expected = model.predict(pixels(), cue=cue).answers
        assert torch.allclose(onnx.ask(kept, cue).answers, expected, atol=TOLERANCE)


def test_a_session_without_pytorch_answers_as_the_graph_does(pair: Any):
    onnx = pair[1]
    session = runtime.Session(onnx.path, "cpu", batch_size=2, trusted=True)
    for cue in (None, [3], np.array([[0, 1], [2, 3], [4, 0]]), {"recall": torch.tensor([1, 1])}):
        found = session(pixels().numpy(), cue=cue)["answers"]
        assert isinstance(found, np.ndarray)
        assert np.array_equal(found, onnx(pixels(), cue=cue).answers.numpy())
    for wrong, words in (
        ([7], "got numbers from 7 to 7"),
        ([0.5], r"got float64 of shape \(1,\)"),
        ([True], "got bool"),
        (np.zeros((2, 1), int), r"got int64 of shape \(2, 1\)"),
        ([[0], [1, 2]], r"\(3, k\); got \[\[0\], \[1, 2\]\]"),
        ("top left", "got 'top left'"),
        ({"other": [0]}, "There is no head 'other' to ask; those with cues are recall"),
    ):
        with pytest.raises(InputError, match=words):
            session(pixels().numpy(), cue=wrong)
    if onnx.info.kind == "step":
        kept, own = session.remember(pixels().numpy()), onnx.remember(pixels())
        for cue in (None, [1], [[0], [3], [1]]):
            assert np.array_equal(session.ask(kept, cue)["answers"], onnx.ask(own, cue).answers.numpy())
        with pytest.raises(InputError, match="at least one image"):
            session.remember(pixels(0).numpy())


@pytest.mark.usefixtures("unchecked")
def test_only_what_was_remembered_is_asked(pair: Any):
    with pytest.raises(InputError, match="takes what remember gave; got dict"):
        pair[1].ask({})


def test_the_file_is_measured_as_its_model_is(pair: Any):
    model, onnx = pair
    labels = torch.randint(-1, 7, (6, 5), generator=torch.Generator().manual_seed(0))
    some = data.ImageSet((pixels(6) * 255).byte(), labels)
    found, expected = ((evaluate(it, some).by_head or {})["recall"] for it in (MeasuredGraph(onnx), model))
    assert found["error_by_cue"] == expected["error_by_cue"]
    assert found["nll"] == pytest.approx(expected["nll"], abs=TOLERANCE)


def test_metadata_that_fixes_the_questions_is_refused(pair: Any):
    info = pair[1].info
    shapes = dict.fromkeys((*info.inputs, *info.outputs), ("b", *((1,) * 3)))
    if "cue" not in info.inputs:
        return
    faults = contradictions(info, {**shapes, "cue": ("b", 5)})
    assert any("the questions must be of any number" in fault for fault in faults)


@pytest.mark.parametrize("memory", ["fast-weights", "plasticity", "backpropamine", "oja", "hopfield"])
@pytest.mark.long
def test_every_memory_is_asked_in_graphs(memory: str, tmp_path: Path):
    for graph in ("rollout", "step"):
        assert to_onnx(asked(memory).float(), tmp_path / f"{graph}.onnx", graph=graph).ok


@pytest.mark.long
def test_vectors_go_into_a_graph(tmp_path: Path):
    model = asked(cues=None, cue_size=3).float()
    to_onnx(model, tmp_path / "vectors.onnx", batches=(1, 2))
    onnx, cue = OnnxModel(tmp_path / "vectors.onnx", device="cpu"), torch.randn(4, 3)
    assert torch.allclose(onnx(pixels(), cue=cue).answers, model.predict(pixels(), cue=cue).answers, atol=TOLERANCE)
    with pytest.raises(InputError, match="needs a cue"):
        onnx(pixels())
