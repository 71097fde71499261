"""The crop: a square window of the image, by position and scale.

    (x, y) = s (x', y') + (x_0, y_0)

A pose is (x_0, y_0, s): the affine transform with s on the diagonal (Jaderberg et al. 2015, Eq. 2), and so
a glimpse as in Mnih et al. 2014 that can be differentiated. Coordinates are those of `stawm.core.affine`.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def grid(pose: Float[Tensor, "b 3"], base: Float[Tensor, "3 h w"]) -> Float[Tensor, "b h w 2"]:
    """Return where each pixel looks; ``base`` is what `stawm.core.affine.base_grid` gives."""
    numbers = pose.unflatten(1, (3, 1, 1))
    looks = numbers[:, 2:] * base[:2] + numbers[:, :2]
    return looks.permute(0, 2, 3, 1)


def as_affine(pose: Float[Tensor, "b 3"]) -> Float[Tensor, "b 6"]:
    """Return the same pose as the six numbers of `stawm.core.affine`."""
    x, y, scale = pose.unbind(dim=1)
    zero = torch.zeros_like(scale)
    return torch.stack([scale, zero, x, zero, scale, y], dim=1)


def invert(pose: Float[Tensor, "b 3"]) -> Float[Tensor, "b 3"]:
    """Return the pose that takes everything back; not finite where the scale is zero."""
    position, scale = pose[:, :2], pose[:, 2:]
    return torch.cat([-position, torch.ones_like(scale)], dim=1) / scale
