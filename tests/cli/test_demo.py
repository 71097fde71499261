"""The demo: everything that it promises lies in its folder and holds."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import stawm
from stawm.cli.demo import Demo, _draw, demo, telling
from stawm.storage import shipped
from stawm.training import Evaluation
from tests.small import small


def test_everything_promised_is_there(tmp_path: Path):
    (tmp_path / "model.safetensors").write_text("left by an earlier demo")
    small = {"memory_size": 16, "hidden_size": 32, "glimpses": 2, "recipe.epochs": 2}
    found = demo(out=tmp_path, quiet=True, **small)
    model = stawm.load(found.checkpoint)
    assert model.config.to_dict()["glimpses"] == 2
    pixels = torch.rand(5, 1, 16, 16)
    onnx = stawm.export.OnnxModel(found.graph, device="cpu")(pixels)
    assert torch.equal(torch.as_tensor(onnx.logits).argmax(-1), model(model.normalise(pixels)).logits.argmax(-1))
    assert found.picture.read_bytes().startswith(b"\x89PNG")
    assert found.agreement == 1
    assert found.evaluation.images == 360
    assert len(found.certainty) == 2
    assert json.loads(json.dumps(found.as_dict()))["graph"] == str(found.graph)
    report = str(found)
    assert f"wrong on {found.evaluation.error:.2%} of 360" in report
    assert all(str(path) in report for path in (found.checkpoint, found.graph, found.picture))
    drawn = ["drawings.png"] if found.drawer else []
    assert sorted(path.name for path in tmp_path.iterdir()) == [*drawn, "looks.png", "model.onnx", "model.safetensors"]


def test_a_drawing_model_that_comes_trained_draws_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shipped, "weights_folder", lambda: tmp_path / "weights")
    (tmp_path / "weights").mkdir()
    pixels = torch.rand(2, 1, 16, 16)
    assert _draw(pixels, tmp_path / "drawings.png") is None
    stawm.save(small("stawm-mnist-8"), tmp_path / "weights" / "stawm-mnist-8.safetensors")
    assert _draw(pixels, tmp_path / "drawings.png") is None
    assert not (tmp_path / "drawings.png").exists()
    for name in ("stawm-mnist-draw-4", "stawm-mnist-draw-6", "stawm-celeba-draw-32"):
        stawm.save(small(name), tmp_path / "weights" / f"{name}.safetensors")
    assert _draw(pixels, tmp_path / "drawings.png") == "stawm-mnist-draw-6"
    assert (tmp_path / "drawings.png").read_bytes().startswith(b"\x89PNG")


def test_the_report_names_what_was_drawn(tmp_path: Path):
    model = small("stawm-digits")
    evaluation = Evaluation(images=4, error=0.25, interval=(0.1, 0.4), error_by_glimpse=(0.5, 0.5, 0.25))
    plain = Demo(
        out=tmp_path,
        source="digits",
        model=model,
        trained_on=9,
        seconds=1.0,
        nodes=5,
        evaluation=evaluation,
        certainty=(0.3, 0.4, 0.5),
        megabytes=1.0,
        agreement=1.0,
        speed=9.0,
    )
    drawn = replace(plain, drawer="stawm-mnist-draw-6")
    assert str(drawn.drawings) not in str(plain)
    assert str(drawn.drawings) in str(drawn)
    assert "drawings" not in plain.as_dict()
    assert drawn.as_dict()["drawings"] == str(drawn.drawings)


def test_the_images_shown_were_decided_late_and_one_went_wrong():
    labels = torch.tensor([0, 0, 1, 2, 2, 1])
    answers = torch.tensor([[0, 0], [1, 0], [1, 1], [0, 2], [2, 2], [1, 0]])  # after the first and the last glimpse
    chances = torch.nn.functional.one_hot(answers, 3).double() * 0.7 + 0.1
    assert telling(chances, labels, 3).tolist() == [1, 3, 5]
    assert telling(chances, labels, 4).tolist()[:2] == [1, 3]
    assert sorted(telling(chances, labels, 10).tolist()) == list(range(6))
