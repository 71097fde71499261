"""Configurations: frozen dataclasses with typed, bounded fields.

A component's configuration carries its registered name, so it is complete by itself:
``FastWeights.Config(decay=0.9)`` is ``{"name": "fast-weights", "decay": 0.9, ...}`` in JSON, in a
checkpoint and on the command line.
"""

import dataclasses
import typing
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass
from functools import cache
from typing import Any, ClassVar, TypeVar

from stawm.catalog.suggest import did_you_mean, nearest
from stawm.configuration.fields import coerce, describe_hint, fits
from stawm.errors import ConfigError

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
