"""What stays in full precision under autocast, and in models whose weights are of half precision.

In bfloat16 the pose, the sampling grid, what x where and the memory lose the small differences that
the model steers by, and training collapses; they run in float32 whatever the rest does.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

HALVES = (torch.float16, torch.bfloat16)
_HAVE_AUTOCAST = {kind: torch.amp.is_autocast_available(kind) for kind in ("cpu", "cuda", "mps", "xpu", "meta")}
"""Asked before anything runs: not every PyTorch that is supported can trace the question (2.11 cannot)."""


def full_precision(x: Tensor) -> Tensor:
    """Return half-precision tensors as float32, others as they are."""
    return x.float() if x.dtype in HALVES else x


class WideLinear(nn.Linear):
    """A linear layer that computes in at least float32, whatever its weights are kept in."""

    def forward(self, input: Float[Tensor, "*b i"]) -> Float[Tensor, "*b o"]:  # PyTorch's own name for it
        """Return the layer's output."""
        bias = None if self.bias is None else full_precision(self.bias)
        with without_autocast(input):
            return F.linear(full_precision(input), full_precision(self.weight), bias)


class Exact(nn.Module):
    """Numbers as a buffer that is no part of a checkpoint, and that halves do not round."""

    numbers: Tensor

    def __init__(self, numbers: Sequence[float]) -> None:
        super().__init__()
        self.given = tuple(numbers)
        self.register_buffer("numbers", torch.tensor(self.given), persistent=False)

    def forward(self) -> Float[Tensor, "k"]:
        """Return the numbers, in at least float32."""
        return self.numbers

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Exact":
        super()._apply(fn, recurse)
        dtype = torch.promote_types(self.numbers.dtype, torch.float32)
        self.numbers = torch.tensor(self.given, dtype=dtype, device=self.numbers.device)
        return self


def of_weights(weights: Tensor, x: Tensor) -> AbstractContextManager[Any]:
    """Return a context in which a model with half-precision weights computes as one in float32 does under autocast.

    Args:
        weights: Weights of the model. Other types than halves need no context.
        x: A tensor on the device; where autocast is on already, it stays as it is.
    """
    if weights.dtype not in HALVES or not has_autocast(x.device) or autocasts(x):
        return nullcontext()
    return torch.autocast(x.device.type, weights.dtype)


def without_autocast(x: Tensor) -> AbstractContextManager[Any]:
    """Return a context in which autocast is off on the tensor's device."""
    return torch.autocast(x.device.type, enabled=False) if has_autocast(x.device) else nullcontext()


def autocasts(x: Tensor) -> bool:
    """Whether autocast is on for the tensor's device."""
    return has_autocast(x.device) and torch.is_autocast_enabled(x.device.type)


def has_autocast(device: torch.device) -> bool:
    """Whether there is autocast for a kind of device; of rarer kinds it is asked once, in the first call on one."""
    if device.type not in _HAVE_AUTOCAST:
        _HAVE_AUTOCAST[device.type] = torch.amp.is_autocast_available(device.type)
    return _HAVE_AUTOCAST[device.type]
