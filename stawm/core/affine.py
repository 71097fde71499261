"""The affine glimpse transform.

    (x, y) = A (x', y', 1),    glimpse(y', x') = image(y, x)

(x', y') runs over the pixels of what is made and (x, y) is where each of them looks, both in units in
which an image reaches from -1 to 1. The six numbers of a pose are A, a 2x3 matrix, row by row. Between
pixels the image is interpolated bilinearly. Jaderberg et al. 2015, Eq. 1 and 5.
"""

from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from stawm.core.constants import vector

Padding: TypeAlias = Literal["zeros", "border", "reflection"]


def base_grid(
    height: int,
    width: int,
    *,
    align_corners: bool = False,
    dtype: torch.dtype | None = None,
    device: torch.device | None = None,
) -> Float[Tensor, "3 h w"]:
    """Return (x', y', 1) for each pixel.

    With ``align_corners`` -1 and 1 are the centres of the outermost pixels, not their outer edges.
    """
    y = _axis(height, align_corners, dtype, device)
    x = _axis(width, align_corners, dtype, device)
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width), torch.ones_like(y[:, None] * x)])


def _axis(pixels: int, align_corners: bool, dtype: torch.dtype | None, device: torch.device | None) -> Tensor:
    # Whole numbers first, so that each coordinate is rounded only once.
    steps = torch.arange(1 - pixels, pixels, 2, dtype=dtype or torch.get_default_dtype(), device=device)
    return steps / max(pixels - 1, 1) if align_corners else steps / pixels


def grid(pose: Float[Tensor, "b 6"], base: Float[Tensor, "3 h w"]) -> Float[Tensor, "b h w 2"]:
    """Return where each pixel looks; ``base`` is what `base_grid` gives.

    A product and a sum rather than a matrix product: matrix products are rounded to TF32 on some
    GPUs, which would move what is looked at.
    """
    terms = pose.unflatten(1, (2, 3, 1, 1)) * base
    return terms.sum(dim=2).permute(0, 2, 3, 1)


def concentric(base: Float[Tensor, "3 h w"], views: int) -> Float[Tensor, "3 vh w"]:
    """Return the pixels of several views, one below the other, each twice as wide as the one before (Mnih et al. 2014).

    Where a pose takes them is where wider poses of the same centre take ``base``.
    """
    wider = base.new_tensor([(2.0**view, 2.0**view, 1.0) for view in range(views)])
    return (wider[:, :, None, None] * base).transpose(0, 1).flatten(1, 2)


def squared(pose: Float[Tensor, "b 6"], size: Float[Tensor, "2"]) -> Float[Tensor, "b 6"]:
    """Return the pose that is square in pixels where the given one is in fractions, by the image's longer side.

    Args:
        pose: The pose; its centre stays.
        size: The image's width and height.
    """
    shorter = (size.amax(dim=0) / size)[:, None]
    return (pose.unflatten(1, (2, 3)) * torch.cat([shorter, shorter, torch.ones_like(shorter)], dim=1)).flatten(1)


def sample(
    image: Float[Tensor, "b c h w"],
    grid: Float[Tensor, "b i j 2"],
    *,
    align_corners: bool = False,
    padding: Padding = "zeros",
) -> Float[Tensor, "b c i j"]:
    """Interpolate images bilinearly at the points (x, y) of a grid; ``padding`` says what stands outside the image."""
    return F.grid_sample(image, grid, mode="bilinear", padding_mode=padding, align_corners=align_corners)


def inside(grid: Float[Tensor, "b i j 2"], padding: Padding) -> Float[Tensor, "b i j 2"]:
    """Bring points outside the image back in, as a padding other than zeros says; its edges are at -1 and 1."""
    if padding == "zeros":
        return grid
    if padding == "border":
        return grid.clamp(-1, 1)
    turns = (grid + 1) / 4
    return 1 - (4 * (turns - turns.floor()) - 2).abs()


def transform(pose: Float[Tensor, "b 6"], points: Float[Tensor, "q 2"]) -> Float[Tensor, "b q 2"]:
    """Return where the pose takes points (x', y')."""
    matrix = pose.unflatten(1, (2, 3))
    return (matrix[:, None, :, :2] * points[:, None, :]).sum(dim=-1) + matrix[:, None, :, 2]


def invert(pose: Float[Tensor, "b 6"]) -> Float[Tensor, "b 6"]:
    """Return the pose that takes everything back; not finite where the pose flattens the plane."""
    a, b, x, c, d, y = pose.unbind(dim=1)
    inverse = torch.stack([d, -b, b * y - d * x, -c, a, c * x - a * y], dim=1)
    return inverse / (a * d - b * c)[:, None]


def corners(like: Tensor) -> Float[Tensor, "4 2"]:
    """Return the corners (x, y) of a whole image, clockwise from the top left, without waiting for a GPU.

    Args:
        like: A tensor of the device and type that is wanted.
    """
    return vector((-1, -1, 1, -1, 1, 1, -1, 1), like).view(4, 2)
