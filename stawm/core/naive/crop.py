"""The slow, obvious twin of `stawm.core.crop`."""

import torch
from jaxtyping import Float
from torch import Tensor


def grid(pose: Float[Tensor, "b 3"], base: Float[Tensor, "3 h w"]) -> Float[Tensor, "b h w 2"]:
    """Return where each pixel looks."""
    _, height, width = base.shape
    images = []
    for x, y, scale in pose:
        looks = [(scale * base[0, i, j] + x, scale * base[1, i, j] + y) for i in range(height) for j in range(width)]
        images.append(torch.stack([torch.stack(point) for point in looks]).view(height, width, 2))
    return torch.stack(images)


def as_affine(pose: Float[Tensor, "b 3"]) -> Float[Tensor, "b 6"]:
    """Return the same pose as the six numbers of `stawm.core.affine`."""
    rows = [[scale, scale * 0, x, scale * 0, scale, y] for x, y, scale in pose]
    return torch.stack([torch.stack(row) for row in rows])


def invert(pose: Float[Tensor, "b 3"]) -> Float[Tensor, "b 3"]:
    """Return the pose that takes everything back."""
    return torch.stack([torch.stack([-x / scale, -y / scale, 1 / scale]) for x, y, scale in pose])
