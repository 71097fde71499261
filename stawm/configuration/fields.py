"""What values the annotation of a field allows: types, ranges, and their words."""

import math
import re
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stawm.errors import shown


@dataclass(frozen=True, slots=True)
class Interval:
    """The legal range of a number, used as ``Annotated[float, Interval(0, 1)]``."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: float) -> bool:
        """Whether the value is a finite number inside the range."""
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        return above and below and _is_finite(value)

    def __str__(self) -> str:
        """Write the range as mathematics does."""
        left = "(" if self.open_low or math.isinf(self.low) else "["
        right = ")" if self.open_high or math.isinf(self.high) else "]"
        low, high = (f"{bound}" if isinstance(bound, int) else f"{bound:g}" for bound in (self.low, self.high))
        return f"{left}{low}, {high}{right}"


POSITIVE = Interval(0, open_low=True)
NON_NEGATIVE = Interval(0)
FRACTION = Interval(0, 1)
AT_LEAST_ONE = Interval(1)
SIDE = Interval(1, 16_384)
"""Of the sides of images and glimpses, in pixels: far beyond what is of use, so that no file can ask for more."""
SIZE = Interval(1, 65_536)
"""Of widths and numbers of things, likewise."""
GLIMPSES = Interval(1, 10_000)
"""How many glimpses a model may take."""


def illegal(values: Mapping[str, Any], hints: Mapping[str, Any], owner: str) -> dict[str, str]:
    """Return a sentence for each value that its field's annotation does not allow, by the field's name."""
    return {
        key: f"{owner}: {key} must be {describe_hint(hints[key])}; got {shown(value)}."
        for key, value in values.items()
        if not fits(value, hints[key])
    }


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of an annotated type and inside its range."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        inside = (value is None or value in m for m in args[1:] if isinstance(m, Interval))
        return fits(value, args[0]) and all(inside)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, arg) for arg in args)
    if origin is Literal:
        return any(value == arg and type(value) is type(arg) for arg in args)
    if origin is tuple:
        return isinstance(value, tuple) and _fit_each(value, args)
    if hint is Any:
        return True
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and _is_finite(value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, type(None) if hint is None else origin or hint)


def _fit_each(values: tuple[Any, ...], hints: tuple[Any, ...]) -> bool:
    each = hints[:1] * len(values) if hints[-1] is Ellipsis else hints
    return len(each) == len(values) and all(map(fits, values, each))


def samples(hint: Any) -> list[Any]:
    """Return some values that an annotation allows, its edges among them; none where it is of a type without any."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        ranges = [m for m in args[1:] if isinstance(m, Interval)]
        found = [*samples(args[0]), *(edge for m in ranges for edge in (m.low, m.high, (m.low + m.high) / 2))]
        return [value for value in (coerce(each, args[0]) for each in found) if fits(value, hint)]
    if origin in (typing.Union, types.UnionType):
        return [value for arg in args for value in samples(arg)]
    if origin is Literal:
        return [*args]
    if origin is tuple:
        return [()] if fits((), hint) else []
    return {bool: [True, False], int: [0, 1], float: [0.0, 1.0], str: [""], type(None): [None], None: [None]}.get(
        hint, []
    )


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond every float
        return False


WORDS = {
    int: "an integer",
    float: "a number",
    str: "a string",
    bool: "a boolean",
    Path: "a path",
    type(None): "None (null)",
}
"""What values of plain types are called; on the command line and in JSON, None is null."""


def describe_hint(hint: Any) -> str:
    """Say in words what values an annotation allows."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        ranges = [f" in {m}" for m in args[1:] if isinstance(m, Interval)]
        return describe_hint(args[0]) + "".join(ranges)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(describe_hint(arg) for arg in args)
    if origin is Literal:
        return "one of " + ", ".join(map(repr, args))
    if origin is tuple:
        inner = [describe_hint(arg) for arg in args if arg is not Ellipsis]
        if Ellipsis in args:
            return "a list of " + re.sub(r"^an? (\w+)", r"\1s", inner[0])
        return f"a list of {len(inner)}: " + ", ".join(inner)
    return WORDS.get(hint) or getattr(hint, "in_words", None) or getattr(hint, "__name__", str(hint))


def coerce_all(values: Mapping[str, Any], hints: Mapping[str, Any]) -> dict[str, Any]:
    """Turn JSON's forms into the fields' own."""
    return {key: coerce(value, hints[key]) for key, value in values.items()}


MAX_WORD = 2**64
"""What a whole number that stands for a word is smaller than."""


def coerce(value: Any, hint: Any) -> Any:
    """Turn JSON's forms into the field's own: lists into tuples, whole numbers into floats.

    A single value stands for a list of one, and whole numbers in a list of strings for how they are written, so that
    ``mean=0.5``, ``milestones=5`` and ``class_names=0,1`` mean on the command line what they look like.
    """
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return coerce(value, args[0])
    if origin in (typing.Union, types.UnionType):
        return next((c for c in (coerce(value, arg) for arg in args) if fits(c, hint)), value)
    if origin is tuple and isinstance(value, (list, tuple)):
        each = args[:1] * len(value) if args[-1] is Ellipsis else args
        return tuple(_words(map(coerce, value, each), args[0])) if len(each) == len(value) else tuple(value)
    if origin is tuple:
        alone = tuple(_words([coerce(value, args[0])], args[0]))
        return value if value is None or not fits(alone, hint) else alone
    return float(value) if hint is float and fits(value, float) else value


def _words(values: Iterable[Any], hint: Any) -> list[Any]:
    """Return whole numbers as words where words are due."""
    return [str(value) if hint is str and fits(value, int) and abs(value) < MAX_WORD else value for value in values]
