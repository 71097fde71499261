"""Means over squares of pixels, exact for bytes: sums of whole numbers, divided once."""

from typing import Any

import numpy as np

BLOCK = 2**22
"""About how many pixels of an array are read at a time."""


def averaged(
    array: Any,
    rows: slice,
    columns: slice,
    factor: int,
    last: tuple[float, float] = (1.0, 1.0),
    dtype: Any = np.float64,
) -> np.ndarray:
    """Read a part of an array and average it down, about a block at a time.

    Args:
        array: An image of shape (height, width, channels), of which parts can be read.
        rows: Which of its rows.
        columns: Which of its columns.
        factor: How many of its pixels each pixel of the result stands for, along each side.
        last: What share of a whole pixel those of the last row and of the last column stand for.
        dtype: The type of the result.
    """
    step = factor * max(1, BLOCK // ((columns.stop - columns.start) * factor))
    found = []
    for start in range(rows.start, rows.stop, step):
        stop = min(start + step, rows.stop)
        share = last if stop == rows.stop else (1.0, last[1])
        found.append(means(array[start:stop, columns], factor, share).astype(dtype, copy=False))
    return np.concatenate(found)


def means(part: np.ndarray, factor: int, last: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    """Return the mean of each square of an image, as float64; of a square that reaches out of it, of what is inside.

    Args:
        part: An image of shape (height, width, channels).
        factor: The side of a square.
        last: What share of a whole pixel those of the last row and of the last column count.
    """
    if last != (1.0, 1.0):
        part = part.astype(np.float64)
        part[-1] *= last[0]
        part[:, -1] *= last[1]
    total = _sums(_sums(part, factor, 0), factor, 1)
    height, width = (_count(side, factor, share) for side, share in zip(part.shape[:2], last, strict=True))
    return total / (height[:, None, None] * width[:, None])


def _sums(part: np.ndarray, factor: int, axis: int) -> np.ndarray:
    """Add neighbours up along an axis; a loop over slices is several times as fast as a sum over a reshaped axis."""
    lines = np.moveaxis(part, axis, 0)
    total = lines[::factor].astype(np.uint32 if part.dtype.kind == "u" else np.float64)
    for offset in range(1, factor):
        added = lines[offset::factor]
        total[: len(added)] += added
    return np.moveaxis(total, 0, axis)


def _count(side: int, factor: int, last: float) -> np.ndarray:
    counted = np.minimum(factor, side - np.arange(0, side, factor)).astype(np.float64)
    counted[-1] += last - 1
    return counted


def overlaps(edges: np.ndarray, side: int) -> np.ndarray:
    """Return the weights by which pixels of any width give an axis of some equal cells, as means of what these cover.

    Args:
        edges: Where each pixel begins, and where the last one ends.
        side: How many cells there are.

    Returns:
        Weights of shape (cells, pixels), each row of which sums to 1.
    """
    cells = np.linspace(edges[0], edges[-1], side + 1)
    ends, begins = np.minimum(cells[1:, None], edges[1:]), np.maximum(cells[:-1, None], edges[:-1])
    return np.maximum(ends - begins, 0) * (side / (edges[-1] - edges[0]))
