"""The command `stawm ask`: names and numbers of questions, files and sets, checkpoints and graphs."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import stawm
from tests.cli.outcomes import outcome
from tests.heads.test_recall import asked

NAMES = ("top left", "top right", "middle", "bottom left", "bottom right")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ask")
    model = asked(cue_names=NAMES).float()
    model.config = model.config.replace(class_names=tuple("abcdefg"))
    stawm.save(model, folder / "m.safetensors")
    stawm.save(asked(cues=None, cue_size=2).float(), folder / "vectors.safetensors")
    stawm.save(stawm.build("stawm-digits", seed=0), folder / "other.safetensors")
    stawm.export.to_onnx(model, folder / "m.onnx", batches=(1,))
    pixels = np.random.default_rng(0).integers(0, 256, (12, 12), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "i.png")
    return folder


@pytest.mark.parametrize("file", ["m.safetensors", "m.onnx"])
def test_questions_are_asked_by_name_and_by_number(capsys: pytest.CaptureFixture[str], place: Path, file: str):
    image = place / "i.png"
    status, out, _ = outcome(capsys, "ask", place / file, image, "--cue", "Middle", "--cue", 0, "--json")
    said = json.loads(out)["images"][0]
    pixels = torch.from_numpy(np.array(Image.open(image)))[None, None]
    expected = stawm.load(place / "m.safetensors").predict(pixels, cue=[2, 0]).answers[0].max(dim=-1)
    assert status == 0
    assert [one["question"] for one in said] == ["middle", "top left"]
    assert [one["answer"] for one in said] == ["abcdefg"[k] for k in expected.indices]
    np.testing.assert_allclose([one["probability"] for one in said], expected.values.exp(), atol=1e-4)


def test_all_questions_are_asked_where_none_is_named(capsys: pytest.CaptureFixture[str], place: Path):
    status, out, _ = outcome(capsys, "ask", place / "m.safetensors", place / "i.png", place / "i.png")
    assert status == 0
    lines = out.splitlines()
    assert [line for line in lines if line.startswith("image")] == ["image 1", "image 2"]
    assert [line.split("  ")[1] for line in lines[1:6]] == list(NAMES)


@pytest.mark.parametrize(
    ("file", "argv", "message"),
    [
        ("m.safetensors", ["--cue", "top lift"], "There is no question 'top lift'. Did you mean 'top left'"),
        ("m.safetensors", ["--cue", "5"], "There is no question '5'"),
        ("m.safetensors", ["--data", "digits"], "either files, or a set with --data"),
        ("vectors.safetensors", [], "is asked by vectors: ask it from Python"),
        ("other.safetensors", [], "has no head 'recall'"),
    ],
)
def test_what_cannot_be_asked_is_said(
    capsys: pytest.CaptureFixture[str], place: Path, file: str, argv: list[str], message: str
):
    status, _, err = outcome(capsys, "ask", place / file, place / "i.png", *argv)
    assert status == 1
    assert message in err
