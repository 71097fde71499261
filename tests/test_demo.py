"""The demo: everything that it promises lies in its folder and holds."""

import json
from pathlib import Path

import torch

import stawm
from stawm.demo import demo, telling


def test_everything_promised_is_there(tmp_path: Path):
    (tmp_path / "model.safetensors").write_text("left by an earlier demo")
    small = {"memory_size": 16, "hidden_size": 32, "glimpses": 2, "recipe.epochs": 2}
    found = demo(out=tmp_path, quiet=True, **small)
    model = stawm.load(found.checkpoint)
    assert model.config.to_dict()["glimpses"] == 2
    images = model.normalise(torch.rand(5, 1, 16, 16))
    onnx = stawm.export.OnnxModel(found.graph, device="cpu")(images)
    assert torch.equal(torch.as_tensor(onnx.logits).argmax(-1), model(images).logits.argmax(-1))
    assert found.picture.read_bytes().startswith(b"\x89PNG")
    assert found.agreement == 1
    assert found.evaluation.images == 360
    assert len(found.certainty) == 2
    assert json.loads(json.dumps(found.as_dict()))["graph"] == str(found.graph)
    report = str(found)
    assert f"wrong on {found.evaluation.error:.2%} of 360" in report
    assert all(str(path) in report for path in (found.checkpoint, found.graph, found.picture))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["looks.png", "model.onnx", "model.safetensors"]


def test_the_images_shown_were_decided_late_and_one_went_wrong():
    labels = torch.tensor([0, 0, 1, 2, 2, 1])
    answers = torch.tensor([[0, 0], [1, 0], [1, 1], [0, 2], [2, 2], [1, 0]])  # after the first and the last glimpse
    chances = torch.nn.functional.one_hot(answers, 3).double() * 0.7 + 0.1
    assert telling(chances, labels, 3).tolist() == [1, 3, 5]
    assert telling(chances, labels, 4).tolist()[:2] == [1, 3]
    assert sorted(telling(chances, labels, 10).tolist()) == list(range(6))
