"""The checker of types and shapes that the tests run under."""

from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype

_check = beartype(conf=BeartypeConf(is_pep484_tower=True))


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Check all but constructors: a configuration answers wrong values itself, with a ConfigError."""
    return function if function.__name__ == "__init__" else _check(function)
