"""The height and width of images, as numbers that can be computed with.

While a graph is exported they are counted: a graph takes images of any size and has no shape arithmetic, so each row
counts as one, and so does each column.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.core.constants import vector


def extent(image: Float[Tensor, "b c h w"]) -> Float[Tensor, "2"]:
    """Return the width and the height of images, x first as in points."""
    if torch.compiler.is_exporting():
        return torch.stack([_count(image[:1, :1, :1]), _count(image[:1, :1, :, :1])])
    return vector((image.shape[3], image.shape[2]), image)


def _count(line: Tensor) -> Tensor:
    # No number is below itself, what is no number included.
    return (1 - (line < line).to(line.dtype)).sum()


def doublings(side: int, most: int) -> int:
    """Return how often two can be doubled until a side is reached, at most so often; that often in an export."""
    return most if torch.compiler.is_exporting() else min(most, max(side - 1, 0).bit_length())
