"""Configurations: frozen dataclasses with typed, bounded fields, and the one override grammar.

A component's configuration carries its registered name, so it is complete by itself:
``FastWeights.Config(decay=0.9)`` is ``{"name": "fast-weights", "decay": 0.9, ...}`` in JSON, in a
checkpoint and on the command line.
"""

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeAlias, TypeVar

from stawm import registry
from stawm.errors import ConfigError, UnknownNameError


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
        return above and below and math.isfinite(value)

    def __str__(self) -> str:
        """Write the range as mathematics does."""
        left = "(" if self.open_low or math.isinf(self.low) else "["
        right = ")" if self.open_high or math.isinf(self.high) else "]"
        return f"{left}{self.low:g}, {self.high:g}{right}"


C = TypeVar("C", bound="Config")

POSITIVE = Interval(0, open_low=True)
NON_NEGATIVE = Interval(0)
FRACTION = Interval(0, 1)
AT_LEAST_ONE = Interval(1)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Base of every configuration.

    Subclasses are frozen, keyword-only dataclasses. The types of the fields are checked, and the
    ranges given as ``Annotated[..., Interval(...)]``; rules between fields go into `faults`.

    Attributes:
        name: The registered name of the component that the configuration is for.
    """

    name: str

    def __post_init__(self) -> None:
        """Check every field; raise all faults together."""
        faults = field_faults(self) or self.faults()
        if faults:
            raise ConfigError(faults)

    def faults(self) -> list[str]:
        """Return what is wrong between fields; each field by itself is legal already."""
        return []

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as plain JSON values."""
        return {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}

    def replace(self: C, **changes: Any) -> C:
        """Return a copy with fields changed."""
        return dataclasses.replace(self, **changes)


def _plain(value: Any) -> Any:
    if isinstance(value, Config):
        return value.to_dict()
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    return value


@cache
def field_hints(cls: type[Config]) -> dict[str, Any]:
    """Return the annotations of a configuration's fields, with their ranges."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return {f.name: hints[f.name] for f in dataclasses.fields(cls)}


def field_faults(config: Config) -> list[str]:
    """Return a sentence for each field whose value is not legal."""
    checked = ((key, hint, getattr(config, key)) for key, hint in field_hints(type(config)).items())
    return [f"{config.name}: {key} must be {describe_hint(hint)}; got {value!r}." for key, hint, value in checked if not fits(value, hint)]


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
        if not isinstance(value, tuple):
            return False
        each = args[:1] * len(value) if args[-1] is Ellipsis else args
        return len(each) == len(value) and all(map(fits, value, each))
    if hint is Any:
        return True
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, type(None) if hint is None else hint)


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
        return f"a list of {inner[0]}" if Ellipsis in args else f"a list of {len(inner)}: " + ", ".join(inner)
    if hint is type(None):
        return "null"
    return {int: "an integer", float: "a number", str: "a text", bool: "true or false"}.get(hint, getattr(hint, "__name__", str(hint)))


def coerce(value: Any, hint: Any) -> Any:
    """Turn JSON's forms into the field's own: lists into tuples, whole floats stay floats."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return coerce(value, args[0])
    if origin in (typing.Union, types.UnionType):
        return next((c for c in (coerce(value, arg) for arg in args) if fits(c, hint)), value)
    if origin is tuple and isinstance(value, (list, tuple)):
        each = args[:1] * len(value) if args[-1] is Ellipsis else args
        return tuple(map(coerce, value, each)) if len(each) == len(value) else tuple(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


Spec: TypeAlias = str | Config | Mapping[str, Any]


def resolve(kind: registry.Kind | str, spec: Spec, current: Config | None = None) -> Config:
    """Resolve one component's specification by the override grammar.

    Args:
        kind: The component's kind.
        spec: A name (swaps the component), a mapping with ``name`` (swaps and sets), a mapping
            without it (changes fields of the present one), or a configuration.
        current: The present configuration, if there is one.

    Returns:
        A complete, checked configuration.

    Raises:
        ConfigError: Everything that is wrong with the specification.
        UnknownNameError: The component is not registered.
    """
    if isinstance(spec, Config):
        registry.find(kind, spec.name)
        return spec
    if isinstance(spec, str):
        spec = {"name": spec}
    if not isinstance(spec, Mapping):
        raise ConfigError([f"A {kind} is given by a name, a mapping or a configuration; got {spec!r}."])
    fields = dict(spec)
    if "name" in fields:
        return _fill(_config_class(kind, fields["name"]), fields)
    if current is None:
        raise ConfigError([f"The {kind} has no present value to change: give its 'name' too."])
    return _fill(type(current), {**{f.name: getattr(current, f.name) for f in dataclasses.fields(current)}, **fields})


def _config_class(kind: registry.Kind | str, name: Any) -> type[Config]:
    if not isinstance(name, str):
        raise ConfigError([f"The name of a {kind} is a text; got {name!r}."])
    return registry.find(kind, name).load().Config


def _fill(cls: type[Config], fields: Mapping[str, Any]) -> Config:
    hints = field_hints(cls)
    faults = unknown_fields(fields, hints, str(fields.get("name", cls.__name__)))
    known = {key: coerce(value, hints[key]) for key, value in fields.items() if key in hints}
    try:
        config = cls(**known)
    except ConfigError as error:
        raise ConfigError([*faults, *error.faults]) from None
    except TypeError as error:
        raise ConfigError([*faults, f"{cls.__qualname__}: {error}."]) from None
    if faults:
        raise ConfigError(faults)
    return config


def unknown_fields(given: Mapping[str, Any], known: Sequence[str] | Mapping[str, Any], owner: str) -> list[str]:
    """Return a sentence for each given field that does not exist, with the nearest that do."""
    return [
        f"{owner} has no field {key!r}.{registry.did_you_mean(_near_fields(key, known))} Its fields: {', '.join(known)}."
        for key in given
        if key not in known
    ]


def _near_fields(key: str, known: Sequence[str] | Mapping[str, Any]) -> list[str]:
    return registry.nearest(key, known, limit=3) or difflib.get_close_matches(key, list(known), n=2)


def split_dotted(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Turn dotted keys into nested mappings: ``{"memory.decay": 1}`` into ``{"memory": {"decay": 1}}``.

    Raises:
        ConfigError: The same thing is given twice.
    """
    nested: dict[str, Any] = {}
    faults = []
    for key, value in overrides.items():
        head, dot, rest = key.partition(".")
        if not dot:
            if head in nested:
                faults.append(f"{head!r} is given both whole and by parts.")
            nested[head] = value
            continue
        inner = nested.setdefault(head, _Parts())
        if isinstance(inner, str):
            inner = nested[head] = _Parts(name=inner)
        if not isinstance(inner, Mapping):
            faults.append(f"{head!r} is given both whole and by parts.")
        elif rest in inner:
            faults.append(f"{key!r} is given twice.")
        else:
            nested[head] = _Parts(inner, **{rest: value})
    if faults:
        raise ConfigError(faults)
    return {key: split_dotted(value) if isinstance(value, _Parts) else value for key, value in nested.items()}


class _Parts(dict[str, Any]):
    """A mapping that dotted keys made, told apart from one that the user gave."""


__all__ = [
    "AT_LEAST_ONE",
    "FRACTION",
    "NON_NEGATIVE",
    "POSITIVE",
    "Config",
    "ConfigError",
    "Interval",
    "Spec",
    "UnknownNameError",
    "coerce",
    "describe_hint",
    "field_hints",
    "fits",
    "resolve",
    "split_dotted",
    "unknown_fields",
]
