"""The slow, obvious twin of `stawm.core.pyramid`; `read` integrates the area that the pyramid approximates."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.core.naive import affine
from stawm.core.pyramid import LEVELS, Pyramid

POINTS = 24
"""Along how many lines each way an area is integrated."""


def build(image: Float[Tensor, "b c h w"], padding: affine.Padding = "zeros") -> Pyramid:
    """Return the pyramid of an image, down to where it is a single pixel."""
    height, width = image.shape[2:]
    levels, shares = [image], [torch.ones(2, dtype=image.dtype)]
    while max(levels[-1].shape[2:]) > 1 and len(levels) <= LEVELS:
        levels.append(_halve(levels[-1], padding))
        pixels = 2 ** (len(levels) - 1)
        shares.append(image.new_tensor([side / pixels / math.ceil(side / pixels) for side in (width, height)]))
    return Pyramid(tuple(levels), tuple(shares), torch.tensor([width, height], dtype=image.dtype))


def _halve(image: Tensor, padding: str) -> Tensor:
    rows, columns = ((side + 1) // 2 for side in image.shape[2:])
    out = torch.zeros(*image.shape[:2], rows, columns, dtype=image.dtype)
    for i in range(rows):
        for j in range(columns):
            four = [_pixel(image, y, x, padding) for y in (2 * i, 2 * i + 1) for x in (2 * j, 2 * j + 1)]
            out[:, :, i, j] = torch.stack(four).mean(dim=0)
    return out


def _pixel(image: Tensor, y: int, x: int, padding: str) -> Tensor:
    """Return a pixel, also next to the image's last row or column."""
    height, width = image.shape[2:]
    if padding == "zeros" and (y == height or x == width):
        return torch.zeros_like(image[:, :, 0, 0])
    return image[:, :, min(y, height - 1), min(x, width - 1)]


def level(
    pose: Float[Tensor, "b 6"], glimpse: int, size: Float[Tensor, "2"], views: int = 1
) -> Float[Tensor, "b {views}"]:
    """Return λ of concentric views: the mean of the squared singular values, in pixels, says how much is covered."""
    out = torch.zeros(len(pose), views, dtype=pose.dtype)
    for b, row in enumerate(pose):
        for view in range(views):
            sides = torch.linalg.svdvals(2**view * torch.diag(size) @ row.view(2, 3)[:, :2] / glimpse)
            pixels = sides.square().mean().sqrt()
            most = min(2.0**LEVELS, float(max(size)))
            out[b, view] = torch.log2(pixels.clamp(1, most))
    return out


def sample(
    pyramid: Pyramid,
    grid: Float[Tensor, "b vg g 2"],
    level: Float[Tensor, "b v"],
    *,
    padding: affine.Padding = "zeros",
) -> Float[Tensor, "b c vg g"]:
    """Read views, one below the other, each between the two levels of the pyramid that are next to its own."""
    rows = grid.shape[1] // level.shape[1]
    out = []
    for b in range(len(grid)):
        views = []
        for view, depth in enumerate(level[b]):
            seen = torch.zeros(())
            for number, image in enumerate(pyramid.levels):
                if abs(depth - number) < 1:
                    points = affine.inside(grid[b : b + 1, view * rows : (view + 1) * rows], padding)
                    there = (points + 1) * pyramid.shares[number] - 1
                    looked = affine.sample(image[b : b + 1], there, padding=padding)
                    seen = seen + (1 - abs(depth - number)) * looked
            views.append(seen)
        out.append(torch.cat(views, dim=2))
    return torch.cat(out)


def read(
    pyramid: Pyramid,
    pose: Float[Tensor, "b 6"],
    base: Float[Tensor, "3 vg g"],
    *,
    views: int = 1,
    padding: affine.Padding = "zeros",
) -> Float[Tensor, "b c vg g"]:
    """Return the mean of the image over the parallelogram that each pixel of the views covers, a pixel at least.

    The integral is a sum over POINTS² points of each parallelogram; the image is constant on each of its pixels.
    """
    image, size, (_, rows, side) = pyramid.levels[0], pyramid.size, base.shape
    out = torch.zeros(len(pose), image.shape[1], rows, side, dtype=image.dtype)
    steps = (torch.arange(POINTS, dtype=image.dtype) + 0.5) / POINTS - 0.5
    within = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), dim=-1).flatten(0, 1)
    for b, row in enumerate(pose):
        matrix = row.view(2, 3)
        for view in range(views):
            U, sides, V = torch.linalg.svd(2**view * torch.diag(size) @ matrix[:, :2] / side)
            covers = within @ (U @ torch.diag(sides.clamp(min=1)) @ V).T
            for i in range(view * side, (view + 1) * side):
                for j in range(side):
                    middle = (matrix @ base[:, i, j] + 1) / 2 * size
                    out[b, :, i, j] = _at(image[b], middle + covers, padding).mean(dim=1)
    return out


def _at(image: Tensor, points: Float[Tensor, "q 2"], padding: str) -> Float[Tensor, "c q"]:
    """Return the pixels that points (x, y) lie in, counted in pixels."""
    seen = []
    for x, y in points.floor().long().tolist():
        outside = not (0 <= y < image.shape[1] and 0 <= x < image.shape[2])
        y, x = (_back(place, side, padding) for place, side in zip((y, x), image.shape[1:], strict=True))
        seen.append(torch.zeros_like(image[:, 0, 0]) if outside and padding == "zeros" else image[:, y, x])
    return torch.stack(seen, dim=1)


def _back(place: int, side: int, padding: str) -> int:
    if padding == "reflection":
        place %= 2 * side
        return min(place, 2 * side - 1 - place)
    return min(max(place, 0), side - 1)
