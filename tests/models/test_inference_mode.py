"""What a model does first under `torch.inference_mode` leaves nothing behind that it cannot learn with afterwards."""

from typing import Any

import pytest
import torch

from stawm import registry
from tests.small import TINY, inputs, shaken, small, tensors, tiny

BACKBONES = ["mobilenetv2-cifar", "timm:test_efficientnet", "timm:test_vit"]  # every other case has the backbone conv
CASES = [(kind, name) for kind in ("memory", "locator", "canvas", "head") for name in registry.list_names(kind)]
CASES += [("backbone", name) for name in BACKBONES]


def made(kind: str, name: str) -> Any:
    key, value = ("heads", (name,)) if kind == "head" else (kind, name)
    options = TINY | {"image": (1, 16, 16), "glimpse_size": 8, "glimpses": 2, key: value}
    return shaken(tiny(**options))


def assert_learns_after_looking(model: Any, *, bf16: bool) -> None:
    images, _ = inputs(model, 3)
    looked = images.clone()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        with torch.inference_mode():
            model.eval()(images.clone())
            model.predict(looked)
        output = tensors(model.train()(images))
    torch.stack([value.float().sum() for value in output.values()]).sum().backward()
    assert any(parameter.grad is not None for parameter in model.parameters())
    assert not [name for name, tensor in model.state_dict().items() if tensor.is_inference()]
    assert not [name for name, buffer in model.named_buffers() if buffer.is_inference()]


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize(("kind", "name"), CASES)
def test_every_part_learns_after_a_first_call_in_inference_mode(kind: str, name: str, bf16: bool) -> None:
    assert_learns_after_looking(made(kind, name), bf16=bf16)


@pytest.mark.parametrize("preset", ["bvae-cifar", "stawm-mnist-selfsup"])
def test_baselines_and_models_on_frozen_glimpses_learn_after_it_too(preset: str) -> None:
    assert_learns_after_looking(small(preset), bf16=False)
