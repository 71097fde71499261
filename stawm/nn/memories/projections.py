"""What memories make of an input before they write it, in at least float32 whatever the parameters are."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from stawm.nn.precision import full_precision

EPSILON = 1e-6
"""What is added to a squared length before dividing by the length, so that a zero vector stays zero."""


def project(linear: nn.Linear, x: Float[Tensor, "*b m"]) -> Float[Tensor, "*b f"]:
    """Return a linear layer's output."""
    bias = None if linear.bias is None else full_precision(linear.bias)
    return functional.linear(x, full_precision(linear.weight), bias)


def unit(x: Float[Tensor, "*b m"]) -> Float[Tensor, "*b m"]:
    """Return a vector of length 1, or a little below; zero for zero, smooth everywhere."""
    return x * (x.square().sum(dim=-1, keepdim=True) + EPSILON).rsqrt()
