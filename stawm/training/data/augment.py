"""Augmentation of whole batches of pixel values, on the device where the images are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from stawm import configuration as base
from stawm.configuration import FRACTION, NON_NEGATIVE, Interval

GREY = (0.299, 0.587, 0.114)
"""How bright red, green and blue appear (ITU-R BT.601)."""

KNOTS = 5
"""Points of an elastic warp's lattice along each side."""


@dataclass(frozen=True, kw_only=True)
class Augmentation(base.Config):
    """How the images of a batch are changed, each by its own random amounts; nothing is by default."""

    name: str = "augmentation"
    rotation: Annotated[float, Interval(0, 180)] = 0.0
    """The largest turn, in degrees, to either side."""
    shift: Annotated[float, FRACTION] = 0.0
    """The largest shift, as a share of the image's side."""
    scale: Annotated[float, Interval(0, 1, open_high=True)] = 0.0
    """The largest growth or shrinkage, as a share."""
    shear: Annotated[float, Interval(0, 45)] = 0.0
    """The largest shear, in degrees."""
    crop: Annotated[int, NON_NEGATIVE] = 0
    """Pixels of margin on each side that a crop of the image's size is cut from: a shift by whole pixels."""
    flip: bool = False
    """Whether half of the images are mirrored."""
    elastic: Annotated[float, FRACTION] = 0.0
    """The typical displacement of a smooth random warp, as a share of the image's side."""
    jitter: Annotated[float, FRACTION] = 0.0
    """The largest change of brightness, contrast and saturation, as a share."""


def augment(
    images: Float[Tensor, "b c h w"], recipe: Augmentation, generator: torch.Generator | None = None
) -> Float[Tensor, "b c h w"]:
    """Change each image of a batch at random.

    Args:
        images: Pixel values in [0, 1].
        recipe: What to do.
        generator: Where the random numbers come from; on the images' device.
    """
    if recipe.rotation or recipe.shift or recipe.scale or recipe.shear or recipe.crop or recipe.flip or recipe.elastic:
        poses = random_poses(len(images), images.shape[-2:], recipe, generator, images)
        grid = F.affine_grid(poses, list(images.shape), align_corners=False)
        if recipe.elastic:
            grid = grid + random_warp(images, recipe.elastic, generator)
        images = F.grid_sample(images, grid, align_corners=False)
    return jitter(images, recipe.jitter, generator) if recipe.jitter else images


def random_poses(
    count: int, size: Sequence[int], recipe: Augmentation, generator: torch.Generator | None, like: Tensor
) -> Float[Tensor, "count 2 3"]:
    """Draw the affine map of each image: scale, shear, turn, mirror and shift, in `grid_sample`'s coordinates."""

    def uniform(reach: float, *shape: int) -> Tensor:
        drawn = torch.rand(count, *shape, generator=generator, device=like.device, dtype=like.dtype)
        return (2 * drawn - 1) * reach

    h, w = size
    turn, shear = uniform(math.radians(recipe.rotation)), uniform(math.radians(recipe.shear)).tan()
    grow = 1 + uniform(recipe.scale)
    mirror = 1 - 2 * (torch.rand(count, generator=generator, device=like.device) < 0.5 * recipe.flip).to(like.dtype)
    pixels = uniform(recipe.crop + 0.5 - 1e-3, 2).round()
    shift = 2 * uniform(recipe.shift, 2) + 2 * pixels / torch.tensor([w, h], device=like.device, dtype=like.dtype)
    cos, sin, aspect = turn.cos() / grow, turn.sin() / grow, h / w
    rows = torch.stack([mirror * cos, aspect * (shear * cos - sin), mirror * sin / aspect, shear * sin + cos], dim=1)
    return torch.cat([rows.view(count, 2, 2), shift[:, :, None]], dim=2)


def random_warp(
    images: Float[Tensor, "b c h w"], reach: float, generator: torch.Generator | None = None
) -> Float[Tensor, "b h w 2"]:
    """Draw a smooth displacement of each pixel, in `grid_sample`'s coordinates, as in elastic distortion.

    Where Simard et al. (2003) blur white noise, the displacement of a coarse lattice is interpolated.
    """
    knots = torch.randn(len(images), 2, KNOTS, KNOTS, generator=generator, device=images.device, dtype=images.dtype)
    warp = F.interpolate(2 * reach * knots, size=images.shape[-2:], mode="bicubic", align_corners=True)
    return warp.permute(0, 2, 3, 1)


def jitter(
    images: Float[Tensor, "b c h w"], reach: float, generator: torch.Generator | None = None
) -> Float[Tensor, "b c h w"]:
    """Change brightness, contrast and, of colour images, saturation, each by a factor of its own."""
    drawn = torch.rand(3, len(images), 1, 1, 1, generator=generator, device=images.device, dtype=images.dtype)
    brightness, contrast, saturation = 1 + (2 * drawn - 1) * reach
    images = (images * brightness).clamp_(0, 1)
    images.lerp_(_grey(images).mean(dim=(2, 3), keepdim=True), 1 - contrast).clamp_(0, 1)
    return images.lerp_(_grey(images), 1 - saturation).clamp_(0, 1) if images.shape[1] == 3 else images


def _grey(images: Tensor) -> Tensor:
    if images.shape[1] != 3:
        return images
    return (images * images.new_tensor(GREY).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
