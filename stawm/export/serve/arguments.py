"""What the calls of a session are given beside images, checked."""

import operator
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stawm.errors import InputError, shown
from stawm.heads.output import Noise


def as_count(value: Any, name: str, *, least: int | None = 1) -> int:
    """Return a whole number that was given, of whatever integer type.

    Raises:
        InputError: It is no whole number, is True or False, or is below the least.
    """
    try:
        number = None if isinstance(value, (bool, np.bool_)) else operator.index(value)
    except TypeError:
        number = None
    if number is None:
        raise InputError(f"{name} must be a whole number; got {shown(value)}.")
    if least is not None and number < least:
        raise InputError(f"{name} must be at least {least}; got {number}.")
    return number


def check_until(until: Any) -> float:
    """Return the probability at which an image is done.

    Raises:
        InputError: It is no probability above 0.
    """
    if not isinstance(until, Real) or isinstance(until, bool) or not 0 < float(until) <= 1:
        raise InputError(f"until must be a probability above 0 and at most 1; got {shown(until)}.")
    return float(until)


def check_noise(noise: Any) -> None:
    """Raise an InputError unless random numbers are given as a Noise of tensors, or not at all."""
    if noise is None:
        return
    if not isinstance(noise, Noise):
        raise InputError(f"noise must be a stawm.heads.output.Noise; got {type(noise).__name__}.")
    for name, value in noise._asdict().items():
        if not (value is None or isinstance(value, (Tensor, np.ndarray))):
            raise InputError(f"The {name} noise must be a tensor; got {type(value).__name__}.")


def check_generator(generator: Any) -> None:
    """Raise an InputError unless a generator is one of PyTorch's, or is not given."""
    if not (generator is None or isinstance(generator, torch.Generator)):
        raise InputError(f"generator must be a torch.Generator; got {type(generator).__name__}.")
