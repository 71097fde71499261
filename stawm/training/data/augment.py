"""Augmentation of whole batches of pixel values, on the device where the images are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

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
    hue: Annotated[float, Interval(0, 0.5)] = 0.0
    """The largest turn of the hue, as a share of the circle of colours; the changes then come in a random order."""
    resampling: Literal["bilinear", "nearest", "bicubic"] = "bilinear"
    """How a turned, shifted or warped image is computed from its pixels: bilinear blurs a little, nearest copies pixels
    as the paper's code does, and bicubic is sharp and smooth."""

    @property
    def moves(self) -> bool:
        """Whether what is in an image moves."""
        moving = (self.rotation, self.shift, self.scale, self.shear, self.crop, self.flip, self.elastic)
        return any(moving)


def augment(
    images: Float[Tensor, "b c h w"], recipe: Augmentation, generator: torch.Generator | None = None
) -> Float[Tensor, "b c h w"]:
    """Change each image of a batch at random.

    Args:
        images: Pixel values in [0, 1].
        recipe: What to do.
        generator: Where the random numbers come from; on the images' device.
    """
    if recipe.moves:
        poses = random_poses(len(images), images.shape[-2:], recipe, generator, images)
        grid = F.affine_grid(poses, list(images.shape), align_corners=False)
        if recipe.elastic:
            grid = grid + random_warp(images, recipe.elastic, generator)
        images = F.grid_sample(images, grid, mode=recipe.resampling, align_corners=False)
        images = images.clamp(0, 1) if recipe.resampling == "bicubic" else images  # which overshoots at edges
    if recipe.hue and images.shape[1] == 3:
        return jitter_colours(images, recipe.jitter, recipe.hue, generator)
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


def jitter_colours(
    images: Float[Tensor, "b 3 h w"], reach: float, hue: float, generator: torch.Generator | None = None
) -> Float[Tensor, "b 3 h w"]:
    """Change brightness, contrast, saturation and hue, for each image by amounts and in an order of its own."""
    count, like = len(images), {"device": images.device, "dtype": images.dtype}
    drawn = 2 * torch.rand(4, count, 1, 1, 1, generator=generator, **like) - 1
    order = torch.rand(count, 4, generator=generator, **like).argsort(dim=1)
    changes = (_brighten, _contrast, _saturate, _turn_hue)
    amounts = (*(1 + reach * drawn[:3]), hue * drawn[3])
    images = images.clone()
    for place in range(4):
        for which, (change, amount) in enumerate(zip(changes, amounts, strict=True)):
            chosen = order[:, place] == which
            images[chosen] = change(images[chosen], amount[chosen])
    return images


def _brighten(images: Tensor, factor: Tensor) -> Tensor:
    return (images * factor).clamp(0, 1)


def _contrast(images: Tensor, factor: Tensor) -> Tensor:
    return images.lerp(_grey(images).mean(dim=(2, 3), keepdim=True), 1 - factor).clamp(0, 1)


def _saturate(images: Tensor, factor: Tensor) -> Tensor:
    return images.lerp(_grey(images), 1 - factor).clamp(0, 1)


def _turn_hue(images: Float[Tensor, "b 3 h w"], turn: Float[Tensor, "b 1 1 1"]) -> Float[Tensor, "b 3 h w"]:
    """Turn the hue in the HSV model (Smith 1978) by a share of the circle."""
    value, least = images.amax(dim=1), images.amin(dim=1)
    chroma = value - least
    red, green, blue = images.unbind(1)
    safe = torch.where(chroma == 0, 1, chroma)
    of_red, of_green = ((green - blue) / safe) % 6, (blue - red) / safe + 2
    hue = torch.where(value == red, of_red, torch.where(value == green, of_green, (red - green) / safe + 4))
    hue = (hue + 6 * turn[:, 0]) % 6
    corners = [(n + hue) % 6 for n in (5, 3, 1)]  # where each colour stands on the hexagon
    return torch.stack([value - chroma * torch.minimum(k, 4 - k).clamp(0, 1) for k in corners], dim=1)


def _grey(images: Tensor) -> Tensor:
    if images.shape[1] != 3:
        return images
    return (images * images.new_tensor(GREY).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
