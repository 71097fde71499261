"""The thumbnail: the exact mean of what each of its pixels covers of an image of any size.

    F(y) = ∫₀ʸ image,    thumbnail(i) = (F((i + 1) h/s) - F(i h/s)) s/h,    along y, and then along x

An image is constant on each of its pixels, so F is a sum of whole pixels and a part of one. The whole pixels before y
are summed by the binary digits of y: for each digit that is one they are 2^l times a mean of 2^l pixels, and these
means are made by halving. So no rounding piles up as in a running sum, and the cost is one addition for each pixel.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from stawm.core.sizes import doublings, extent

HALVINGS = 14
"""How often a side is halved at most: 2^14 pixels become one."""


def shrink(image: Float[Tensor, "b c h w"], side: int) -> Float[Tensor, "b c {side} {side}"]:
    """Return the mean of what each pixel of a square thumbnail covers; no side of the image may be shorter."""
    width, height = extent(image)
    return _means(_means(image, 2, height, side), 3, width, side)


def _means(image: Tensor, axis: int, size: Float[Tensor, ""], side: int) -> Tensor:
    halvings = doublings(image.shape[axis] + 1, HALVINGS + 1)
    edges = torch.arange(side + 1, dtype=image.dtype, device=image.device) * size / side
    powers = 2.0 ** torch.arange(halvings + 1, dtype=image.dtype, device=image.device)
    whole = (edges / powers[:, None]).floor()
    counts = _along((whole[:-1] - 2 * whole[1:]) * powers[:-1, None], axis)
    places = (whole[:-1] - 1).clamp(min=0).long()
    last = torch.minimum(whole[0], size - 1).long()
    sums = _along(edges - whole[0], axis) * image.index_select(axis, last)
    for number in range(halvings):
        sums = sums + counts[number] * image.index_select(axis, places[number])
        # Of an odd number the last is a mean by itself, which is never asked for.
        image = F.avg_pool2d(image, (2, 1) if axis == 2 else (1, 2), ceil_mode=True)
    return (sums.narrow(axis, 1, side) - sums.narrow(axis, 0, side)) * (side / size)


def _along(numbers: Float[Tensor, "*l n"], axis: int) -> Tensor:
    return numbers[..., None] if axis == 2 else numbers
