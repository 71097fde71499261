"""Layers that give what PyTorch's give, and cost less while training."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from stawm.nn.precision import autocasts, full_precision, without_autocast


class LeanReLU6(nn.ReLU6):
    """ReLU6 that keeps what it gave for the gradient, not what it was given.

    What it gave is kept anyhow by the convolution that takes it; PyTorch's own keeps both.
    """

    def forward(self, input: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:  # PyTorch's own name for it
        """Return the input, held between 0 and 6."""
        traced = torch.compiler.is_compiling() or torch.jit.is_tracing()
        return F.relu6(input) if traced or not torch.is_grad_enabled() else _ReLU6.apply(input)


class _ReLU6(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return F.relu6(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return torch.ops.aten.hardtanh_backward(gradient, *ctx.saved_tensors, 0, 6)


class StridedDepthwise(nn.Conv2d):
    """A strided depthwise convolution that a CPU computes in full precision under autocast.

    oneDNN has no fast kernel for its gradient in bfloat16: that takes 10 to 100 times as long as in float32.
    """

    def forward(self, input: Float[Tensor, "b c h w"]) -> Float[Tensor, "b f i j"]:  # PyTorch's own name for it
        """Return the convolution, in the type that autocast would give."""
        if input.device.type != "cpu" or not autocasts(input):
            return super().forward(input)
        bias = None if self.bias is None else full_precision(self.bias)
        with without_autocast(input):
            wide = self._conv_forward(full_precision(input), full_precision(self.weight), bias)
        return wide.to(torch.get_autocast_dtype("cpu"))


def make_lean(network: nn.Module) -> None:
    """Put the layers of this file in the place of PyTorch's, with the same weights."""
    for name, module in list(network.named_modules()):
        if type(module) is nn.ReLU6:
            network.set_submodule(name, LeanReLU6())
        elif type(module) is nn.Conv2d and module.groups == module.in_channels > 1 and max(module.stride) > 1:
            network.set_submodule(name, _depthwise(module))


def _depthwise(conv: nn.Conv2d) -> StridedDepthwise:
    parts = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
    same = StridedDepthwise(**{part: getattr(conv, part) for part in parts}, bias=conv.bias is not None, device="meta")
    same.weight, same.bias = conv.weight, conv.bias
    return same
