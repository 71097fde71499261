"""Configurations: frozen dataclasses with typed, bounded fields.

A component's configuration carries its registered name, so it is complete by itself:
``FastWeights.Config(decay=0.9)`` is ``{"name": "fast-weights", "decay": 0.9, ...}`` in JSON, in a
checkpoint and on the command line.
"""

import ast
import dataclasses
import inspect
import json
import os
import textwrap
import typing
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass
from functools import cache
from itertools import pairwise
from typing import Any, ClassVar, TypeVar

from stawm.catalog.suggest import did_you_mean, nearest
from stawm.configuration.fields import coerce_all, illegal
from stawm.errors import ConfigError
from stawm.text import preformatted

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
        found = self.check(vars(self), self.name) or self.faults()
        if found:
            raise ConfigError(found)

    @classmethod
    def check(cls, values: Mapping[str, Any], owner: str) -> list[str]:
        """Return what is wrong with values of some or all of the fields, each by itself."""
        return [*illegal(values, field_hints(cls), owner).values()]

    def faults(self) -> list[str]:
        """Return what is wrong between fields; each field by itself is legal already."""
        return []

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as plain JSON values."""
        return {f.name: plain(getattr(self, f.name)) for f in dataclasses.fields(self)}

    def _repr_html_(self) -> str:
        """What a notebook shows: the fields, those of components indented."""
        return preformatted(json.dumps(self.to_dict(), indent=2, ensure_ascii=False))

    def replace(self: C, **changes: Any) -> C:
        """Return a copy with fields changed."""
        return dataclasses.replace(self, **changes)


def plain(value: Any) -> Any:
    """Return a value of a field as plain JSON values."""
    if isinstance(value, Config):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {key: plain(v) for key, v in value.items()}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return [plain(v) for v in value] if isinstance(value, (tuple, list)) else value


@cache
def field_hints(cls: type[Config]) -> dict[str, Any]:
    """Return the annotations of a configuration's fields, with their ranges."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return {f.name: hints[f.name] for f in dataclasses.fields(cls)}


def make(cls: type[C], fields: Mapping[str, Any], owner: str) -> C:
    """Return the configuration of a class that a mapping describes; what it leaves out is the default.

    Raises:
        ConfigError: Everything that is wrong with it.
    """
    hints = field_hints(cls)
    faults = unknown_fields(fields, hints, owner)
    values = coerce_all({key: value for key, value in fields.items() if key in hints}, hints)
    absent = missing(cls, values, owner)
    if absent:
        raise ConfigError([*faults, *absent, *cls.check(values, owner)])
    try:
        config = cls(**values)
    except ConfigError as error:
        raise ConfigError([*faults, *error.faults]) from None
    if faults:
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


@cache
def field_meanings(cls: type[Config]) -> dict[str, str]:
    """Return what the strings under a configuration's fields say; nothing where the source is not at hand."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        try:
            source = textwrap.dedent(inspect.getsource(base))
        except (OSError, TypeError):
            continue
        (body,) = (node.body for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
        for field, text in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
                found[field.target.id] = " ".join(str(ast.literal_eval(text.value)).split())
    return found
