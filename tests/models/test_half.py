"""Models whose weights are of half precision compute what must be exact in float32, as under autocast."""

from pathlib import Path
from typing import Any

import pytest
import torch

import stawm
from stawm.errors import InputError
from stawm.models.diagnosis import diagnose
from stawm.training import evaluate
from stawm.training.data import ImageSet
from tests.small import inputs, shaken, small, tensors, tiny

HALVES = [torch.float16, torch.bfloat16]
SLOW_ON_CPUS = pytest.param(torch.float16, marks=pytest.mark.long)
PLAIN = {"norm": "none", "bias": True}
PARTS: list[dict[str, Any]] = [
    *({"memory": name} for name in stawm.list_names("memory", origin="stawm")),
    *({"locator": name} for name in stawm.list_names("locator", origin="stawm")),
    {"where": "rnn", "pose_limit": 1.0, "dropout": 0.5},
    {"canvas": "bernoulli"},
    {"memory": {"name": "fast-weights", "layer_norm": True, "learnable": True}, "glimpses": 1},
    {"memory": {"name": "backpropamine", "retroactive": True}},
    {"memory": {"name": "hebb-rosenblatt", "constrained": True, "normalise": 0.9, "form": "dense"}},
]


def _trains(model: Any) -> None:
    images, labels = inputs(model.train())
    output = model(images)
    loss = model.loss(output, images, labels)["total"]
    loss.backward()
    assert {tensor.dtype for tensor in tensors(output).values()} == {torch.float32}
    assert all(tensor.isfinite().all() for tensor in (loss, *tensors(output).values()))
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("dtype", [SLOW_ON_CPUS, torch.bfloat16], ids=str)
@pytest.mark.parametrize("part", PARTS, ids=str)
def test_every_part_trains_in_half_precision(part: dict[str, Any], dtype: torch.dtype):
    _trains(shaken(tiny(**part)).to(dtype))


@pytest.mark.parametrize("dtype", [SLOW_ON_CPUS, torch.bfloat16], ids=str)
@pytest.mark.parametrize("preset", ["stawm-digits", "stawm-mnist-sketchpad", "stawm-mnist-selfsup", "bvae-cifar"])
def test_presets_train_in_half_precision(preset: str, dtype: torch.dtype):
    _trains(small(preset).to(dtype))


@pytest.mark.parametrize("dtype", [SLOW_ON_CPUS, torch.bfloat16], ids=str)
@pytest.mark.parametrize("family", [{}, {"preset": "mnv2-cifar"}], ids=["glimpses", "baseline"])
def test_timm_networks_train_in_half_precision(family: dict[str, Any], dtype: torch.dtype):
    network = {"name": "timm:mobilenetv2_035", "total_stride": 8}
    _trains(small(family["preset"], backbone=network).to(dtype) if family else tiny(backbone=network).to(dtype))


@pytest.mark.parametrize("dtype", [SLOW_ON_CPUS, torch.bfloat16], ids=str)
@pytest.mark.parametrize("part", PARTS, ids=str)
def test_it_is_what_float32_gives_under_autocast(part: dict[str, Any], dtype: torch.dtype):
    """Weights of the same numbers, kept in float32 and rounded by autocast, or kept in halves."""
    half = shaken(tiny(**{**part, "context": PLAIN, "backbone": {"layers": "3@3/1 4@3/2", **PLAIN}})).to(dtype).eval()
    images, _ = inputs(half)
    wide = tiny(**half.config.to_dict()).eval()
    wide.load_state_dict({name: value.float() for name, value in half.state_dict().items()})
    with torch.no_grad(), torch.autocast("cpu", dtype):
        expected = tensors(wide(images.float()))
    with torch.no_grad():
        found = tensors(half(images))
        before = tensors(wide(images.float()))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name].float()) for name in expected)
    assert not torch.equal(found["memory_input"], before["memory_input"]), "autocast changes something"


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_half_models_take_their_own_type_only(dtype: torch.dtype):
    model = tiny().to(dtype)
    name = str(dtype).removeprefix("torch.")
    with pytest.raises(InputError, match=f"takes {name} images of shape .*got float32"):
        model(torch.rand(2, 1, 12, 12))
    assert model(torch.rand(2, 1, 12, 12).to(dtype)).logits.dtype == torch.float32


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_a_checkpoint_loads_in_half_precision(dtype: torch.dtype, tmp_path: Path):
    stawm.save(tiny(), tmp_path / "model.safetensors")
    model = stawm.load(tmp_path / "model.safetensors", dtype=dtype)
    _trains(model)
    images = ImageSet(torch.randint(0, 256, (4, 1, 12, 12), dtype=torch.uint8), torch.arange(4), ())
    measured = evaluate(model, images, by_glimpse=True)
    assert measured.nll is not None
    assert 0 < measured.nll < 100
    assert diagnose(model, inputs(model)[0]).glimpses


def test_preprocessing_is_not_rounded():
    model = tiny(mean=(0.1307,), std=(0.3081,))
    pixels = torch.rand(2, 1, 12, 12)
    expected = model.normalise(pixels)
    for moved in (model.half(), model.bfloat16(), model.float()):
        assert torch.equal(moved.normalise(pixels), expected)
    assert torch.equal(
        tiny(mean=(0.1307,), std=(0.3081,)).double().mean.flatten(), torch.tensor([0.1307], dtype=torch.float64)
    )
