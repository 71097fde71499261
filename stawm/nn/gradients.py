"""Gradients that are kept from exploding where they pass."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


def clip_rows(x: Float[Tensor, "b k"], limit: float) -> Float[Tensor, "b k"]:
    """Return x, whose gradient is scaled down, row by row, to a norm of at most ``limit``.

    Pascanu et al. (2013) clip the gradient of the weights, which one exploding image then decides for a whole
    batch. Clipped where it passes, each image keeps its say.
    """
    return _ClipRows.apply(x, limit)


class _ClipRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, limit: float) -> Tensor:
        ctx.limit = limit
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        norm = gradient.norm(dim=1, keepdim=True)
        least = max(ctx.limit, torch.finfo(gradient.dtype).tiny)
        return gradient * (ctx.limit / norm.clamp(min=least)), None
