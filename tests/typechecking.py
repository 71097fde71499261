"""The checker of types and shapes that the tests run under."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from beartype import BeartypeConf, beartype
from jaxtyping import AbstractArray

PACKAGES = ("nn", "heads", "models", "export.graphs", "export.serve", "training", "viz", "large")
CORE = [file.stem for file in (Path(__file__).parents[1] / "stawm/core").glob("*.py")]
CHECKED = [f"stawm.{name}" for name in PACKAGES] + [f"stawm.core.{name}" for name in CORE]
"""Where most arrays are handled, but for `stawm.core.naive`, whose functions are called for each number. Elsewhere
basedpyright alone checks types: to check a call takes longer than most calls."""

_check = beartype(conf=BeartypeConf(is_pep484_tower=True))


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Check what has a shape, but constructors: a configuration answers wrong values itself, with a ConfigError."""
    shaped = any(map(has_shape, function.__annotations__.values()))
    return _check(function) if shaped and function.__name__ != "__init__" else function


def has_shape(annotation: object) -> bool:
    """Return whether an annotation is an array of jaxtyping, or has one inside."""
    array = isinstance(annotation, type) and issubclass(annotation, AbstractArray)
    return array or any(map(has_shape, get_args(annotation)))
