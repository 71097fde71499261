"""Many small pictures cut out of, brought to a size, and put onto larger ones at once."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int, Int64, UInt8
from torch import Tensor
from torch.nn import functional as F

WHITE = 255


def cut(
    images: UInt8[Tensor, "n g g2"],
    which: Int64[Tensor, "b k"],
    corners: Int64[Tensor, "b k 2"],
    side: int,
) -> UInt8[Tensor, "b k side side"]:
    """Cut squares out of images.

    Args:
        images: What is cut from.
        which: The image of each square.
        corners: Its top and its left.
        side: How large it is.
    """
    flat = _flat(corners, side, images.shape[1:]) + (which * images[0].numel())[:, :, None, None]
    return images.flatten()[flat]


def stamp(
    canvas: Int[Tensor, "b hw"],
    size: tuple[int, int],
    stamps: Int[Tensor, "b k g g"] | UInt8[Tensor, "b k g g"],
    corners: Int64[Tensor, "b k 2"],
) -> Int[Tensor, "b hw"]:
    """Add squares onto canvases, in place; what of a square is beyond a canvas must be zero.

    Args:
        canvas: The canvases, row after row.
        size: Their height and width.
        stamps: The squares of each.
        corners: The top and the left of each square.
    """
    flat = _flat(corners, stamps.shape[-1], size)
    return canvas.scatter_add_(1, flat.flatten(1), stamps.flatten(1).to(canvas.dtype))


def resize(
    stamps: UInt8[Tensor, "b k g g"], sides: Int64[Tensor, "b k"], low: int, high: int
) -> UInt8[Tensor, "b k high high"]:
    """Bring squares to sizes of their own, as PyTorch's antialiased bilinear resize does; the rest of each is zero.

    Args:
        stamps: The squares.
        sides: The side of each, from ``low`` to ``high``.
        low: The smallest side that there is.
        high: The largest.
    """
    before = stamps.shape[-1]
    if low == high == before:
        return stamps
    table = torch.zeros(high - low + 1, high, before, device=stamps.device)
    for side in range(low, high + 1):
        table[side - low, :side] = weights(before, side).to(stamps.device)
    rows = table[sides - low]
    return (rows @ stamps.float() @ rows.mT).round().clamp(0, WHITE).to(torch.uint8)


def weights(before: int, after: int) -> Float[Tensor, "after before"]:
    """Return how much of each pixel of a row goes into each pixel of a row of another length."""
    row = torch.eye(before).view(before, 1, 1, before)
    return F.interpolate(row, size=(1, after), mode="bilinear", antialias=True).view(before, after).T


def boxes(stamps: UInt8[Tensor, "b k g g"], corners: Int64[Tensor, "b k 2"]) -> Int64[Tensor, "b k 4"]:
    """Return the smallest box around what is not black in each square: left, top, right and bottom, these beyond it.

    A square that is all black has a box of no size at its corner.
    """
    bright = stamps > 0
    top, bottom = _ends(bright.any(dim=-1))
    left, right = _ends(bright.any(dim=-2))
    y, x = corners.unbind(dim=-1)
    return torch.stack([x + left, y + top, x + right, y + bottom], dim=-1)


def shared_area(corners: Int64[Tensor, "*b k 2"], sides: Int64[Tensor, "*#b k"]) -> Int64[Tensor, "*b"]:
    """Return how many pixels pairs of squares share, over all pairs."""
    ends = corners + sides[..., None]
    first = torch.maximum(corners[..., :, None, :], corners[..., None, :, :])
    last = torch.minimum(ends[..., :, None, :], ends[..., None, :, :])
    shared = (last - first).clamp(min=0).prod(dim=-1)
    return shared.triu(diagonal=1).sum(dim=(-2, -1))


def _ends(there: Bool[Tensor, "b k g"]) -> tuple[Int64[Tensor, "b k"], Int64[Tensor, "b k"]]:
    """Return the first place where something is, and the one after the last; 0 and 0 where nothing is."""
    length, some = there.shape[-1], there.any(dim=-1)
    first = there.long().argmax(dim=-1)
    last = length - there.long().flip(-1).argmax(dim=-1)
    return first, torch.where(some, last, 0)


def _flat(corners: Int64[Tensor, "b k 2"], side: int, size: Sequence[int]) -> Int64[Tensor, "b k side side"]:
    """Return where in an image, row after row, each pixel of squares is; what is beyond counts as the edge."""
    steps = torch.arange(side, device=corners.device)
    y, x = ((corners[..., axis, None] + steps).clamp(max=size[axis] - 1) for axis in (0, 1))
    return y[..., :, None] * size[1] + x[..., None, :]
