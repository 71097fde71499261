"""Spatial softmax: where in a map its activation is, as a point (Levine et al. 2016; Finn et al. 2016).

    s_ij = exp(a_ij / τ) / Σ exp(a / τ)        x = Σ s_ij x_j        y = Σ s_ij y_i        v = Σ s_ij a_ij

Coordinates are those of `stawm.core.affine`: -1 and 1 are the outer edges of the outermost cells.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Points(NamedTuple):
    """A point for each map.

    Attributes:
        x: How far to the right it is, from -1 to 1.
        y: How far down.
        value: The map's mean there, weighted as the point is.
    """

    x: Float[Tensor, "b f"]
    y: Float[Tensor, "b f"]
    value: Float[Tensor, "b f"]


def points(maps: Float[Tensor, "b f h w"], temperature: Float[Tensor, ""]) -> Points:
    """Return the point of each map.

    Args:
        maps: a, the activations.
        temperature: τ, above zero: the smaller, the more the largest activation alone decides.
    """
    height, width = maps.shape[-2:]
    flat = maps.flatten(2)
    shares = (flat / temperature).softmax(dim=2)
    rows, columns = _centres(height, maps), _centres(width, maps)
    x = (shares * columns.repeat(height)).sum(dim=2)
    y = (shares * rows.repeat_interleave(width)).sum(dim=2)
    return Points(x, y, (shares * flat).sum(dim=2))


def _centres(count: int, like: Tensor) -> Float[Tensor, "count"]:
    """Return the centres of the cells along a side from -1 to 1."""
    return (2 * torch.arange(count, device=like.device, dtype=like.dtype) + 1) / count - 1
