"""The slow, obvious twin of `stawm.core.affine`: one pixel at a time, with the tent kernel."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Padding = Literal["zeros", "border", "reflection"]


def base_grid(
    height: int,
    width: int,
    *,
    align_corners: bool = False,
    dtype: torch.dtype | None = None,
    device: torch.device | None = None,
) -> Float[Tensor, "3 h w"]:
    """Return (x', y', 1) for each pixel."""
    rows = [[_centre(i, height, align_corners)] * width for i in range(height)]
    columns = [[_centre(j, width, align_corners) for j in range(width)] for _ in range(height)]
    ones = [[1.0] * width for _ in range(height)]
    return torch.tensor([columns, rows, ones], dtype=dtype, device=device)


def _centre(index: int, pixels: int, align_corners: bool) -> float:
    """Where a pixel's centre lies between -1 and 1."""
    if align_corners:
        return -1 + 2 * index / (pixels - 1) if pixels > 1 else 0.0
    return -1 + (2 * index + 1) / pixels


def grid(pose: Float[Tensor, "b 6"], base: Float[Tensor, "3 h w"]) -> Float[Tensor, "b h w 2"]:
    """Return where each pixel looks."""
    _, height, width = base.shape
    points = [base[:, i, j] for i in range(height) for j in range(width)]
    return torch.stack([_looks(row.view(2, 3), points).view(height, width, 2) for row in pose])


def _looks(matrix: Tensor, points: list[Tensor]) -> Tensor:
    return torch.stack([torch.stack([matrix[0].dot(point), matrix[1].dot(point)]) for point in points])


def concentric(base: Float[Tensor, "3 h w"], views: int) -> Float[Tensor, "3 vh w"]:
    """Return the pixels of several views, one below the other, each twice as wide as the one before."""
    found = []
    for view in range(views):
        x, y, one = base
        found.append(torch.stack([2**view * x, 2**view * y, one]))
    return torch.cat(found, dim=1)


def squared(pose: Float[Tensor, "b 6"], size: Float[Tensor, "2"]) -> Float[Tensor, "b 6"]:
    """Return the pose that is square in pixels where the given one is in fractions, by the image's longer side."""
    (width, height), longer = size, max(size)
    rows = []
    for a, b, x, c, d, y in pose:
        along, down = longer / width, longer / height
        rows.append(torch.stack([a * along, b * along, x, c * down, d * down, y]))
    return torch.stack(rows)


def sample(
    image: Float[Tensor, "b c h w"],
    grid: Float[Tensor, "b i j 2"],
    *,
    align_corners: bool = False,
    padding: Padding = "zeros",
) -> Float[Tensor, "b c i j"]:
    """Interpolate images: each pixel counts with a tent of width one pixel around where is looked."""
    batch, channels, height, width = image.shape
    _, rows, columns, _ = grid.shape
    out = torch.zeros(batch, channels, rows, columns, dtype=image.dtype)
    for b in range(batch):
        for i in range(rows):
            for j in range(columns):
                x = _pad(_pixels(grid[b, i, j, 0], width, align_corners), width, align_corners, padding)
                y = _pad(_pixels(grid[b, i, j, 1], height, align_corners), height, align_corners, padding)
                seen = [image[b, :, v, u] * _tent(x - u) * _tent(y - v) for v in range(height) for u in range(width)]
                out[b, :, i, j] = torch.stack(seen).sum(dim=0)
    return out


def _pixels(coordinate: Tensor, pixels: int, align_corners: bool) -> Tensor:
    """From -1 to 1 into pixel indices."""
    if align_corners:
        return (coordinate + 1) / 2 * (pixels - 1)
    return ((coordinate + 1) * pixels - 1) / 2


def _pad(position: Tensor, pixels: int, align_corners: bool, padding: Padding) -> Tensor:
    """Bring a position outside the image back in, as the padding says."""
    if padding == "zeros":
        return position
    if padding == "border":
        return position.clamp(0, pixels - 1)
    low, high = (0.0, pixels - 1.0) if align_corners else (-0.5, pixels - 0.5)
    if high == low:
        return position * 0
    while not low <= position <= high:
        position = 2 * low - position if position < low else 2 * high - position
    return position.clamp(0, pixels - 1)


def _tent(distance: Tensor) -> Tensor:
    return (1 - distance.abs()).clamp(min=0)


def inside(grid: Float[Tensor, "b i j 2"], padding: Padding) -> Float[Tensor, "b i j 2"]:
    """Bring points outside the image back in, as a padding other than zeros says; its edges are at -1 and 1."""
    if padding == "border":
        return grid.clamp(-1, 1)
    while padding == "reflection" and grid.abs().max() > 1:
        grid = torch.where(grid > 1, 2 - grid, torch.where(grid < -1, -2 - grid, grid))
    return grid


def transform(pose: Float[Tensor, "b 6"], points: Float[Tensor, "q 2"]) -> Float[Tensor, "b q 2"]:
    """Return where the pose takes points (x', y')."""
    taken = [[row.view(2, 3) @ torch.cat([point, point.new_ones(1)]) for point in points] for row in pose]
    return torch.stack([torch.stack(points) for points in taken])


def invert(pose: Float[Tensor, "b 6"]) -> Float[Tensor, "b 6"]:
    """Return the pose that takes everything back: the inverse of the 3x3 matrix with (0, 0, 1) below."""
    below = torch.tensor([[0.0, 0.0, 1.0]], dtype=pose.dtype)
    return torch.stack([torch.linalg.inv(torch.cat([row.view(2, 3), below]))[:2].flatten() for row in pose])


def corners(like: Tensor) -> Float[Tensor, "4 2"]:
    """Return the corners (x, y) of a whole image, clockwise from the top left."""
    return like.new_tensor([[-1, -1], [1, -1], [1, 1], [-1, 1]])
