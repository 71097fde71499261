"""Pictures of another size are brought to a graph's as they were in training: the file keeps how."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from PIL import Image, ImageOps

from stawm.errors import ExportError
from stawm.export import inspect, to_onnx
from stawm.export.serve.folder import run_folder
from tests.export.broken import broken, set_metadata
from tests.export.opened import opened
from tests.shared import once
from tests.small import shaken, tiny


@pytest.fixture(scope="module")
def squeezing(tmp_path_factory: pytest.TempPathFactory) -> Path:

    def make(folder: Path) -> Path:
        model = shaken(tiny(heads="classification", resize="squeeze", glimpses=1))
        to_onnx(model, folder / "m.onnx", outputs=["logits"])
        return folder / "m.onnx"

    return once(tmp_path_factory, "squeezing", make)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 60), dtype=np.uint8)).save(tmp_path / "p.png")
    return tmp_path / "p.png"


def fitted(picture: Path, rule: str, image: tuple[int, int, int]) -> np.ndarray:
    _, h, w = image
    with Image.open(picture) as file:
        fit = ImageOps.fit if rule == "crop" else Image.Image.resize
        return np.array(fit(file, (w, h), Image.Resampling.BILINEAR))


@pytest.mark.parametrize("rule", ["crop", "squeeze"])
def test_the_file_says_how_and_the_session_does_it(rule: str, rollout: Path, squeezing: Path, picture: Path) -> None:
    path = {"crop": rollout, "squeeze": squeezing}[rule]
    session = opened(path)
    said = inspect(path).info
    assert said.resize == said.for_others()["preprocessing"]["resize"] == rule
    expected = session(fitted(picture, rule, said.image)).logits
    other = session(fitted(picture, {"crop": "squeeze", "squeeze": "crop"}[rule], said.image)).logits
    assert not torch.equal(expected, other)
    assert torch.equal(session(picture).logits, expected)
    (answer,) = run_folder(session, picture.parent).answers
    assert answer.confidence == pytest.approx(expected.exp().max().item())


@pytest.mark.parametrize("rule", ["stretch", None, 3, ["crop"]])
def test_a_rule_that_is_none_is_refused(rollout: Path, tmp_path: Path, rule: Any) -> None:
    def lie(proto: onnx.ModelProto) -> None:
        for key in ("stawm.config", "stawm.preprocessing"):
            set_metadata(proto, key, lambda said: json.dumps({**json.loads(said), "resize": rule}))

    with pytest.raises(ExportError, match=r"resize must be 'crop' or 'squeeze'; got"):
        opened(broken(rollout, tmp_path / "m.onnx", lie))


def test_the_two_places_that_say_how_have_to_agree(rollout: Path, tmp_path: Path) -> None:
    def lie(proto: onnx.ModelProto) -> None:
        set_metadata(proto, "stawm.preprocessing", lambda said: said.replace("crop", "stretch"))

    with pytest.raises(ExportError, match=r"preprocessing is .*stretch"):
        opened(broken(rollout, tmp_path / "m.onnx", lie))
