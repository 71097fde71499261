"""DRAW from data to graph: it learns, measures its bound, is saved, and its graph is proved with noise as an input."""

from pathlib import Path

import pytest
import torch

import stawm
from stawm.errors import InputError
from stawm.export import OnnxModel, to_onnx
from stawm.heads.output import Noise
from stawm.training import data, stopping, train
from stawm.training.data.known_sets import binarised
from stawm.training.data.sets import ImageSet
from tests.models.test_draw import DRAWING, reader

SMALL = {"image": (1, 16, 16), "glimpses": 2, "hidden_size": 8, "heads": (DRAWING,)}


def test_from_binary_digits_to_a_verified_graph(tmp_path: Path):
    changes = {"data.binary": True, "recipe.epochs": 3, "recipe.batch": 64, "recipe.rate": 0.02}
    options = {"seed": 0, "cpu": True, "pictures": 0, "quiet": True}
    run = train("draw-mnist", data="digits", out=tmp_path / "run", options=options, **SMALL, **changes)
    bounds = [entry["bound"] for entry in run.history]
    assert bounds[-1] < bounds[0]
    model = stawm.load(tmp_path / "run" / "model.safetensors")
    assert stawm.inspect(tmp_path / "run" / "model.safetensors").provenance["test"]["bound"] == pytest.approx(
        bounds[-1]
    )
    assert to_onnx(model, tmp_path / "m.onnx", outputs="all", sample=True, batches=(2,)).ok
    images, z = data.load("digits", binary=True).test.images[:2], torch.randn(2, 2, 3)
    found = OnnxModel(tmp_path / "m.onnx", device="cpu")(images, noise=Noise(latent=z))
    torch.testing.assert_close(torch.as_tensor(found.canvas), model.predict(images, noise=Noise(latent=z)).canvas)


def test_binary_pixels_are_white_with_the_chance_of_their_grey_and_the_same_for_everybody():
    grey = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(2000, -1, -1, -1)
    images = ImageSet(grey, torch.zeros(2000, dtype=torch.long))
    found = binarised(images, 0)
    assert found.images.unique().tolist() == [0, 255]
    share, chance = found.images.double().mean(dim=0).flatten() / 255, torch.arange(256) / 255
    assert share[0] == 0
    assert share[255] == 1
    error = (chance * (1 - chance) / 2000).sqrt()
    assert ((share - chance).abs() <= 5 * error).all()
    assert torch.equal(found.images, binarised(images, 0).images)
    assert not torch.equal(found.images, binarised(images, 1).images)
    first, again = (data.load("digits", binary=True, seed=0) for _ in range(2))
    assert first.train.fingerprint() == again.train.fingerprint()
    assert torch.equal(first.train.labels, data.load("digits", seed=0).train.labels)


def test_what_needs_a_memory_says_that_there_is_none(tmp_path: Path):
    model = reader().eval()
    with pytest.raises(InputError, match=r"of the family .draw., and only models of the family .stawm. are steered"):
        to_onnx(model, tmp_path / "m", graph="step", steered=True)
    with pytest.raises(InputError, match="remembers them and classifies, which draw-cluttered-100 does not"):
        stopping.check_looks(model)
    with pytest.raises(InputError):
        stawm.diagnose(model, torch.rand(2, 1, 6, 7))
    with pytest.raises(InputError):
        stawm.explain(model, torch.rand(2, 1, 6, 7))


def test_in_half_precision_the_graph_keeps_its_poses(tmp_path: Path):
    model = reader(glimpses=2)
    report = to_onnx(model, tmp_path / "m.onnx", precision="fp16", outputs=("logits", "pose"), batches=(2,))
    assert report.ok
