"""Configurations: frozen dataclasses with typed, bounded fields, and the one override grammar.

A component's configuration carries its registered name, so it is complete by itself:
``FastWeights.Config(decay=0.9)`` is ``{"name": "fast-weights", "decay": 0.9, ...}`` in JSON, in a
checkpoint and on the command line.
"""

import dataclasses
import typing
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass
from functools import cache
from typing import Any, ClassVar, TypeAlias, TypeVar

from stawm import registry
from stawm.errors import ConfigError
from stawm.hints import AT_LEAST_ONE, FRACTION, NON_NEGATIVE, POSITIVE, Interval, coerce, describe_hint, fits
from stawm.spelling import did_you_mean, nearest

C = TypeVar("C", bound="Config")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Base of every configuration.

    Subclasses are frozen, keyword-only dataclasses. The types of the fields are checked, and the
    ranges given as ``Annotated[..., Interval(...)]``; rules between fields go into `faults`.

    Attributes:
        in_words: What a field that holds such a configuration may be set to.
        name: The registered name of the component that the configuration is for.
    """

    in_words: ClassVar[str] = "a component"
    name: str

    def __post_init__(self) -> None:
        """Check every field; raise all faults together."""
        values = {key: getattr(self, key) for key in field_hints(type(self))}
        found = [*illegal(type(self), values, self.name).values()] or self.faults()
        if found:
            raise ConfigError(found)

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
    if isinstance(value, Mapping):
        return {key: _plain(v) for key, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (tuple, list)) else value


@cache
def field_hints(cls: type[Config]) -> dict[str, Any]:
    """Return the annotations of a configuration's fields, with their ranges."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return {f.name: hints[f.name] for f in dataclasses.fields(cls)}


def illegal(cls: type[Config], values: Mapping[str, Any], owner: str) -> dict[str, str]:
    """Return a sentence for each value that its field does not allow, by the field's name."""
    return {
        key: f"{owner}: {key} must be {describe_hint(hint)}; got {values[key]!r}."
        for key, hint in field_hints(cls).items()
        if key in values and not fits(values[key], hint)
    }


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
        return _checked(kind, spec)
    if isinstance(spec, str):
        spec = {"name": spec}
    if not isinstance(spec, Mapping):
        raise ConfigError([f"A {kind} is given by a name, a mapping or a configuration; got {spec!r}."])
    if "name" in spec:
        return make(config_class(kind, spec["name"]), spec, str(spec["name"]))
    if current is None:
        raise ConfigError([f"The {kind} has no present value to change: give its 'name' too."])
    present = {f.name: getattr(current, f.name) for f in dataclasses.fields(current)}
    return make(type(current), {**present, **spec}, current.name)


def config_class(kind: registry.Kind | str, name: Any) -> type[Config]:
    """Return the class of a component's configuration.

    Raises:
        ConfigError: The name is no text.
        UnknownNameError: The component is not registered.
    """
    if not isinstance(name, str):
        raise ConfigError([f"The name of a {kind} is a text; got {name!r}."])
    return registry.find(kind, name).load().Config


def _checked(kind: registry.Kind | str, config: Config) -> Config:
    cls = config_class(kind, config.name)
    if not isinstance(config, cls):
        raise ConfigError([f"The {kind} {config.name!r} takes a {cls.__qualname__}; got {config!r}."])
    return config


def make(cls: type[C], fields: Mapping[str, Any], owner: str) -> C:
    """Return the configuration of a class that a mapping describes; what it leaves out is the default.

    Raises:
        ConfigError: Everything that is wrong with it.
    """
    hints = field_hints(cls)
    values = {key: coerce(value, hints[key]) for key, value in fields.items() if key in hints}
    unusable = [*missing(cls, values, owner), *illegal(cls, values, owner).values()]
    faults = [*unknown_fields(fields, hints, owner), *unusable]
    try:
        config = None if unusable else cls(**values)
    except ConfigError as error:
        raise ConfigError([*faults, *error.faults]) from None
    if config is None or faults:
        raise ConfigError(faults)
    return config


def missing(cls: type[Config], values: Mapping[str, Any], owner: str) -> list[str]:
    """Return a sentence that names the fields without a default that are not given, if there are any."""
    required = (f.name for f in dataclasses.fields(cls) if f.default is MISSING and f.default_factory is MISSING)
    absent = [name for name in required if name not in values]
    return [f"{owner} lacks {', '.join(absent)}."] if absent else []


def unknown_fields(given: Iterable[str], known: Iterable[str], owner: str) -> list[str]:
    """Return a sentence for each given field that does not exist, with the nearest that do."""
    known = list(known)
    return [
        f"{owner} has no field {key!r}.{did_you_mean(nearest(str(key), known, limit=3))} "
        f"It has: {', '.join(known) or 'none'}."
        for key in given
        if key not in known
    ]


def split_dotted(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Turn dotted keys into nested mappings: ``{"memory.decay": 1}`` into ``{"memory": {"decay": 1}}``.

    Raises:
        ConfigError: A thing is given twice.
    """
    faults: list[str] = []
    nested = nest(overrides, faults)
    if faults:
        raise ConfigError(faults)
    return nested


def nest(overrides: Mapping[str, Any], faults: list[str]) -> dict[str, Any]:
    """Turn dotted keys into nested mappings, noting what is given twice.

    What is given whole and by parts is both: ``memory="fast-weights"`` beside ``memory.decay=0.9``
    swaps and sets, in either order.
    """
    whole: dict[str, Any] = {}
    parts: dict[str, dict[str, Any]] = {}
    for key, value in overrides.items():
        head, _, rest = str(key).partition(".")
        if head and rest:
            parts.setdefault(head, {})[rest] = value
        else:
            whole[key] = value
    joined = {**whole, **{head: _join(head, whole.get(head, {}), inner, faults) for head, inner in parts.items()}}
    return {key: nest(value, faults) if isinstance(value, Mapping) else value for key, value in joined.items()}


def _join(head: str, whole: Any, parts: Mapping[str, Any], faults: list[str]) -> Any:
    if isinstance(whole, str):
        whole = {"name": whole}
    if not isinstance(whole, Mapping):
        faults.append(f"{head!r} is given both as {whole!r} and by parts: {', '.join(parts)}.")
        return whole
    faults += [f"'{head}.{key}' is given twice." for key in parts if key in whole]
    return {**whole, **parts}


__all__ = [
    "AT_LEAST_ONE",
    "FRACTION",
    "NON_NEGATIVE",
    "POSITIVE",
    "Config",
    "Interval",
    "Spec",
    "coerce",
    "config_class",
    "describe_hint",
    "field_hints",
    "fits",
    "illegal",
    "make",
    "missing",
    "nest",
    "resolve",
    "split_dotted",
    "unknown_fields",
]
