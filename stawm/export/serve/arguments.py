"""What the calls of a session are given beside images, checked."""

import operator
from numbers import Real
from typing import Any

import numpy as np

from stawm.errors import InputError, shown


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
