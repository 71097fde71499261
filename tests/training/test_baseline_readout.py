"""A β-VAE's latent, read out: only a linear layer on its mean learns, and it does so on what was kept."""

from pathlib import Path
from typing import Any

import pytest
import torch

import stawm
from stawm.errors import CheckpointError, ConfigError
from stawm.export import OnnxModel, to_onnx
from stawm.models.baseline import Baseline
from stawm.training import data, evaluate, train
from stawm.training.readout import can_keep, keep

SMALL: dict[str, Any] = {"image": (1, 16, 16), "backbone": {"layers": "4@3/2 8@3/2"}, "heads.drawing.latent": 5}
SHORT: dict[str, Any] = {"recipe.epochs": 2, "recipe.batch": 16, "cpu": True, "quiet": True, "pictures": 0}
PLAIN: dict[str, Any] = {"recipe.augmentation": {"crop": 0, "flip": False}}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vae") / "vae.safetensors"
    stawm.save(stawm.build("bvae-cifar", seed=3, **SMALL), path)
    return path


def test_it_stands_on_the_latent_of_the_one_that_drew(drawn: Path):
    vae, model = stawm.load(drawn), stawm.build("bvae-cifar-selfsup", pretrained=drawn, seed=0)
    assert isinstance(model, Baseline)
    assert (model.config.image, model.config.latent) == ((1, 16, 16), 5)
    pixels = torch.rand(3, 1, 16, 16)
    latent = vae.predict(pixels).latent
    assert latent is not None
    with torch.no_grad():
        assert torch.equal(model.look(model.normalise(pixels)), latent.mu[:, 0])
    assert model.loaded.new == ("heads.classification.linear.weight", "heads.classification.linear.bias")
    assert {name for name, p in model.named_parameters() if p.requires_grad} == set(model.loaded.new)
    layer: Any = model.heads["classification"].linear
    assert (layer.in_features, layer.out_features) == (5, 10)


def test_its_logits_are_a_linear_layer_on_the_mean(drawn: Path):
    model: Any = stawm.build("bvae-cifar-selfsup", pretrained=drawn, seed=0).double().eval()
    images = torch.rand(4, 1, 16, 16).double()
    linear, mu = model.heads["classification"].linear, model.mu
    with torch.no_grad():
        mean = model.backbone(images) @ mu.weight.T + mu.bias
        expected = (mean @ linear.weight.T + linear.bias).log_softmax(dim=1)
        torch.testing.assert_close(model(images).logits, expected, rtol=1e-12, atol=1e-12)


def test_on_what_was_kept_it_learns_what_it_learns_on_images(tmp_path: Path, few: data.Splits, drawn: Path):
    sgd: dict[str, Any] = {"recipe.optimiser": "sgd", "recipe.rate": 0.1}
    assert can_keep(stawm.config("bvae-cifar-selfsup"))
    kept, seen = (
        train(
            "bvae-cifar-selfsup",
            data=few,
            out=tmp_path / str(k),
            start=drawn,
            transfer_passes=k,
            **SHORT,
            **sgd,
            **PLAIN,
        )
        for k in (1, 0)
    )
    begun = stawm.build("bvae-cifar-selfsup", pretrained=drawn, seed=0).state_dict()
    for name, weight in seen.model.state_dict().items():
        torch.testing.assert_close(kept.model.state_dict()[name], weight, rtol=1e-4, atol=1e-5)
        assert torch.equal(weight, begun[name]) == (not name.startswith("heads.")), name
    measured = evaluate(kept.model, few.test)
    assert kept.history[-1]["error"] == kept.evaluation.error == measured.error
    assert kept.history[-1]["loss"]["total"] == pytest.approx(seen.history[-1]["loss"]["total"], rel=1e-4)


def test_passes_are_kept_each_by_itself(few: data.Splits, drawn: Path):
    model: Any = stawm.build("bvae-cifar-selfsup", pretrained=drawn, seed=0).train()
    found = keep(model, few.test)
    assert model.training
    assert found.context.shape == (1, 40, 5)
    assert found.memory_input.shape == (1, 40, 0, 0)
    with torch.no_grad():
        pixels = few.test.images[:].float() / 255
        torch.testing.assert_close(found.context[0], model.look(model.normalise(pixels)))


def test_frozen_features_stay_in_evaluation_mode(drawn: Path):
    model: Any = stawm.build("mnv2-cifar", trainable="readout", seed=0).train()
    assert not any(module.training for module in model.backbone.modules())
    assert model.heads.training
    assert model.heads["classification"].linear.in_features == model.backbone.features, "all features, without a latent"


def test_what_cannot_be_is_said(tmp_path: Path, few: data.Splits):
    with pytest.raises(ConfigError, match="its own latent must be null"):
        stawm.build("bvae-cifar", latent=8)
    with pytest.raises(ConfigError, match="--start"):
        train("bvae-cifar-selfsup", data=few, out=tmp_path / "run", **SHORT)
    stawm.save(stawm.build("stawm-digits"), tmp_path / "d.safetensors")
    with pytest.raises(CheckpointError, match="does not fit"):
        stawm.build("bvae-cifar-selfsup", pretrained=tmp_path / "d.safetensors")


def test_it_is_exported(tmp_path: Path, drawn: Path):
    model = stawm.build("bvae-cifar-selfsup", pretrained=drawn, seed=0)
    assert to_onnx(model, tmp_path / "m.onnx", batches=(2,)).ok
    pixels = torch.rand(2, 1, 16, 16)
    logits = torch.as_tensor(OnnxModel(tmp_path / "m.onnx", device="cpu")(pixels).logits)
    torch.testing.assert_close(logits, model.predict(pixels).logits, rtol=1e-4, atol=1e-5)
