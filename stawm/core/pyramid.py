"""The pyramid: what a pixel of a glimpse covers of the image is averaged, not sampled.

    level_0 = image,    level_(l+1) = the mean of each 2x2 pixels of level_l
    J = diag(w, h) A / g,    λ = ½ log₂ max(1, |J|²/2)
    glimpse(i, j) = Σ_l max(0, 1 - |λ - l|) level_l(x, y)

A is the 2x2 part of a pose and J what it does to a pixel of a glimpse of g, both in pixels: its singular values are the
sides of what the pixel covers, and |J|²/2 is the mean of their squares. So λ says how often the image has to be halved
until such a pixel covers one pixel of it, and between the two levels next to λ the glimpse is linear (Williams 1983).
What is outside of the image counts as the padding says on every level.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from stawm.core import affine
from stawm.core.sizes import doublings, extent

LEVELS = 10
"""The coarsest level: a pixel of a glimpse averages up to 2^10 x 2^10 pixels of the image."""


class Pyramid(NamedTuple):
    """An image, halved and halved.

    Attributes:
        levels: The image, and the means of ever larger squares of it.
        shares: Which share of a level's width and height the image takes: what is halved may be odd.
        size: Its width and height in pixels, as numbers to compute with.
    """

    levels: tuple[Float[Tensor, "b c _h _w"], ...]
    shares: tuple[Float[Tensor, "2"], ...]
    size: Float[Tensor, "2"]

    def sample(
        self, grid: Float[Tensor, "b vg g 2"], level: Float[Tensor, "b v"], *, padding: affine.Padding = "zeros"
    ) -> Float[Tensor, "b c vg g"]:
        """Read views; see `sample`."""
        return sample(self, grid, level, padding=padding)


def build(image: Float[Tensor, "b c h w"], padding: affine.Padding = "zeros") -> Pyramid:
    """Return the pyramid of an image, down to where it is a single pixel."""
    levels = [image]
    for _ in range(doublings(max(image.shape[2:]), LEVELS)):
        levels.append(_halve(levels[-1], padding))
    size = extent(image)
    covers = [size / 2**number for number in range(len(levels))]
    return Pyramid(tuple(levels), tuple(pixels / pixels.ceil() for pixels in covers), size)


def _halve(image: Tensor, padding: affine.Padding) -> Tensor:
    """Return the mean of each 2x2 pixels; one row and one column more than there are stand for what is outside."""
    if padding == "zeros":
        return F.avg_pool2d(F.pad(image, (0, 1, 0, 1)), 2)
    wider = torch.cat([image, image[..., -1:]], dim=3)
    return F.avg_pool2d(torch.cat([wider, wider[:, :, -1:]], dim=2), 2)


def level(
    pose: Float[Tensor, "b 6"], glimpse: int, size: Float[Tensor, "2"], views: int = 1
) -> Float[Tensor, "b {views}"]:
    """Return λ of concentric views, each twice as wide as the one before.

    Args:
        pose: The pose of the first view.
        glimpse: g, the side of a glimpse in pixels.
        size: The image's width and height.
        views: v, how many there are.
    """
    matrix = pose.unflatten(1, (2, 3))[:, :, :2]
    covered = (matrix * (size / glimpse)[:, None]).square().sum(dim=(1, 2)) / 2
    wider = 4.0 ** torch.arange(views, dtype=pose.dtype, device=pose.device)
    area = (covered[:, None] * wider).clamp(min=1)
    return torch.minimum(area, size.amax(dim=0).square()).clamp(max=4.0**LEVELS).log2() / 2


def sample(
    pyramid: Pyramid,
    grid: Float[Tensor, "b vg g 2"],
    level: Float[Tensor, "b v"],
    *,
    padding: affine.Padding = "zeros",
) -> Float[Tensor, "b c vg g"]:
    """Read views, one below the other, each between the two levels of the pyramid that are next to its own.

    Args:
        pyramid: The image.
        grid: Where each pixel of the views looks, as `stawm.core.affine.grid` gives it without ``align_corners``.
        level: λ of each view.
        padding: What stands outside the image.
    """
    grid = affine.inside(grid, padding)
    numbers = _seen_levels(level, len(pyramid.levels))
    looked = [
        affine.sample(pyramid.levels[n], grid * pyramid.shares[n] + (pyramid.shares[n] - 1), padding=padding)
        for n in numbers
    ]
    every = torch.arange(len(pyramid.levels), dtype=level.dtype, device=level.device)
    apart = level[:, None] - (every if len(numbers) == len(every) else every[numbers])[:, None]
    weights = (1 - apart.abs()).clamp(min=0)
    stacked = torch.cat(looked, dim=1).unflatten(2, (level.shape[1], -1)).unflatten(1, (len(looked), -1))
    return (stacked * weights[:, :, None, :, None, None]).sum(dim=1).flatten(2, 3)


def _seen_levels(level: Float[Tensor, "b v"], count: int) -> list[int]:
    """Return the levels that have a weight in some view, or a gradient: all, unless looking at λ costs nothing."""
    every = list(range(count))
    if level.device.type != "cpu" or torch.compiler.is_compiling() or not level.numel():
        return every
    apart = (level.detach().flatten() - torch.arange(count, dtype=level.dtype)[:, None]).abs()
    unseen = apart > 1 if level.requires_grad else apart >= 1  # what is no number is seen
    try:
        found = (~unseen).any(dim=1).tolist()
    except RuntimeError:  # there are no numbers: under vmap, and where a graph is traced
        return every
    return [number for number in every if found[number]]


def read(
    pyramid: Pyramid,
    pose: Float[Tensor, "b 6"],
    base: Float[Tensor, "3 vg g"],
    *,
    views: int = 1,
    padding: affine.Padding = "zeros",
) -> Float[Tensor, "b c vg g"]:
    """Return what the pixels of a glimpse cover of the image, averaged.

    Args:
        pyramid: The image.
        pose: The pose of the first view.
        base: The pixels of all views, as `stawm.core.affine.concentric` gives them.
        views: v, how many there are.
        padding: What stands outside the image.
    """
    depth = level(pose, base.shape[2], pyramid.size, views)
    return pyramid.sample(affine.grid(pose, base), depth, padding=padding)
