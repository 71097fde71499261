"""The slow, obvious twin of `stawm.core.thumbnail`: each pixel counts by the area of it that is covered."""

import torch
from jaxtyping import Float
from torch import Tensor


def shrink(image: Float[Tensor, "b c h w"], side: int) -> Float[Tensor, "b c {side} {side}"]:
    """Return the mean of what each pixel of a square thumbnail covers."""
    batch, channels, height, width = image.shape
    out = torch.zeros(batch, channels, side, side, dtype=image.dtype)
    for i in range(side):
        for j in range(side):
            for y in range(height):
                for x in range(width):
                    share = _covered(y, i, height / side) * _covered(x, j, width / side)
                    out[:, :, i, j] += image[:, :, y, x] * (share * side * side / (height * width))
    return out


def _covered(pixel: int, number: int, wide: float) -> float:
    """How much of a pixel lies in the window of a number, each as wide."""
    return max(min(pixel + 1, (number + 1) * wide) - max(pixel, number * wide), 0.0)
