"""Rates that cannot leave their legal range, whatever an optimiser does to the raw parameter behind them."""

import math

from torch import Tensor
from torch.nn import functional

FARTHEST = 750.0
"""A raw value that gives a rate at the end of its range, exactly, in every type; it does not learn away from there."""


def raw_fraction(value: float) -> float:
    """Return the raw parameter that `fraction` takes to a value in [0, 1]."""
    if value in (0.0, 1.0):
        return FARTHEST if value else -FARTHEST
    return math.log(value) - math.log1p(-value)


def fraction(raw: Tensor) -> Tensor:
    """Return a rate in [0, 1] for any raw parameter."""
    return raw.sigmoid()


def raw_positive(value: float) -> float:
    """Return the raw parameter that `positive` takes to a value ≥ 0."""
    if value > 20:
        return value
    return math.log(math.expm1(value)) if value > 0 else -FARTHEST


def positive(raw: Tensor) -> Tensor:
    """Return a rate ≥ 0 for any raw parameter."""
    return functional.softplus(raw)
