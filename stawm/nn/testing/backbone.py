"""What every backbone must do."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch

from stawm.configuration import Config
from stawm.nn.backbones.base import Backbone
from stawm.nn.testing.contract import (
    by_name,
    normal,
    require,
    require_equal,
    require_finite,
    require_gradients,
    run_checks,
    uniform,
)
from stawm.nn.testing.export import export_as

Build: TypeAlias = Callable[[], Backbone]

BATCH, CHANNELS, SIZE = 3, 2, (16, 16)
ROUNDING = 1e-8


def check_backbone(
    cls: type, *, config: Config | None = None, seeds: Sequence[int] = (0,), export: bool = True
) -> list[str]:
    """Check that a class keeps the contract of `stawm.nn.backbones.base.Backbone`, as `check_memory` does."""
    exporter = export_as("context", channels=CHANNELS, image=SIZE, glimpse=SIZE[0]) if export else None
    return run_checks(
        cls, BACKBONE_CHECKS, lambda chosen: cls(chosen, channels=CHANNELS, size=SIZE), config, seeds, exporter
    )


def reports_its_width(build: Build, seed: int) -> None:
    """The features are flat and as wide as is said."""
    backbone = build().eval()
    features = backbone(uniform(seed, BATCH, CHANNELS, *SIZE))
    wanted = (BATCH, backbone.features)
    require(tuple(features.shape) == wanted, f"features have shape {tuple(features.shape)}, not {wanted}")


def samples_are_apart(build: Build, seed: int) -> None:
    """In evaluation mode the features of an image do not depend on its batch."""
    backbone = build().eval()
    images = uniform(seed, BATCH, CHANNELS, *SIZE)
    together = backbone(images)
    for i in range(BATCH):
        require_equal(f"sample {i} alone", backbone(images[i : i + 1]), together[i : i + 1], ROUNDING)


def repeats(build: Build, seed: int) -> None:
    """In evaluation mode the same image gives the same bits."""
    backbone = build().eval()
    images = uniform(seed, BATCH, CHANNELS, *SIZE)
    require_equal("the same features again", backbone(images), backbone(images))


def learns(build: Build, seed: int) -> None:
    """In training mode gradients are finite and reach every parameter and the image."""
    backbone = build().train()
    images = uniform(seed, BATCH, CHANNELS, *SIZE).requires_grad_()
    features = backbone(images)
    (features * normal(seed + 1, *features.shape)).sum().backward()
    require_finite("the gradient of the image", images.grad)
    assert images.grad is not None
    require(bool(images.grad.any()), "the image gets no gradient")
    require_gradients(backbone)


def keeps_type(build: Build, seed: int) -> None:
    """Features of single precision images are of single precision."""
    features = build().eval().float()(uniform(seed, BATCH, CHANNELS, *SIZE).float())
    require(features.dtype == torch.float32, f"features of torch.float32 images are {features.dtype}")


BACKBONE_CHECKS = by_name(reports_its_width, samples_are_apart, repeats, learns, keeps_type)
