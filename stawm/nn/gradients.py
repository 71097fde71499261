"""Gradients of zero for parameters that a short forward pass does not use."""

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn


def reach(x: Float[Tensor, "*b"], parameters: Iterable[nn.Parameter]) -> Float[Tensor, "*b"]:
    """Return x, whose backward pass leaves a gradient of zero at parameters that nothing else reaches.

    With one or two glimpses some weights have no influence on the answer. Without a gradient they would stop
    `DistributedDataParallel`, which waits for that of every parameter.
    """
    learned = [parameter for parameter in parameters if parameter.requires_grad]
    if not learned or not torch.is_grad_enabled() or torch.compiler.is_exporting():
        return x
    return _Reach.apply(x, *learned)


class _Reach(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, *learned: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        return gradient, *(torch.zeros_like(parameter) for parameter in ctx.saved_tensors)
