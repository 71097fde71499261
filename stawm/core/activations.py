"""φ, the response of the second layer, with the constants that the bounds are made of.

Every φ here but the identity is nonnegative, bounded, nondecreasing, and concave on [0, ∞): what the
analysis of the memory needs (Harris et al. 2019, Appendix A; `stawm.core.stability`).
"""

import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from torch import Tensor
from torch.nn import functional

Phi: TypeAlias = Callable[[Tensor], Tensor]


class Activation(NamedTuple):
    """A response function and what is known of it.

    Attributes:
        phi: φ, elementwise.
        bound: Φ, the least number that |φ| never exceeds.
        lipschitz: L, the steepest slope of φ.
    """

    phi: Phi
    bound: float
    lipschitz: float


def relu6(x: Tensor) -> Tensor:
    """Return min(max(x, 0), 6)."""
    return functional.relu6(x)


def sigmoid(x: Tensor) -> Tensor:
    """Return 1 / (1 + exp(-x))."""
    return x.sigmoid()


def hard_sigmoid(x: Tensor) -> Tensor:
    """Return min(max(x + 3, 0), 6) / 6."""
    return functional.relu6(x + 3) / 6


def identity(x: Tensor) -> Tensor:
    """Return x."""
    return x


ACTIVATIONS = {
    "relu6": Activation(relu6, bound=6.0, lipschitz=1.0),
    "sigmoid": Activation(sigmoid, bound=1.0, lipschitz=0.25),
    "hard-sigmoid": Activation(hard_sigmoid, bound=1.0, lipschitz=1 / 6),
    "identity": Activation(identity, bound=math.inf, lipschitz=1.0),
}
