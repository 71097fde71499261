"""Configurations drawn from the annotations of their fields."""

import json
import types
import typing
from typing import Any, Literal

from hypothesis import assume
from hypothesis import strategies as st

import stawm
from stawm import registry
from stawm.configuration import Config, field_hints
from stawm.configuration.fields import Interval
from stawm.errors import ConfigError
from stawm.registry import Kind

COMPONENTS = [(kind, name) for kind in Kind if kind is not Kind.PRESET for name in registry.list_names(kind)]
CONV = st.sampled_from(["8@3/1", "4@3/2 8@2/1p1", "16@1/1"])
TEXTS = {"layers": CONV | st.none(), "decoder": CONV | st.none()}


def config_of(kind: Kind, name: str) -> type[Config]:
    return registry.entries(kind)[name].load().Config


def config(name: str, **overrides: Any) -> Any:
    return stawm.config(name, **overrides)


def default(kind: Kind, name: str) -> Config:
    cls: Any = config_of(kind, name)
    return cls()


def through_json(found: Config) -> Any:
    return json.loads(json.dumps(found.to_dict(), allow_nan=False))


def numbers(hint: Any, interval: Interval) -> st.SearchStrategy[Any]:
    """Numbers of a type inside a range."""
    low, high = max(interval.low, -1e6), min(interval.high, 1e6)
    if hint is int:
        return st.integers(int(low), int(high)).filter(lambda n: n in interval)
    return st.floats(low, high).filter(lambda x: x in interval)


ANYWHERE = Interval()


def legal(hint: Any, interval: Interval = ANYWHERE) -> st.SearchStrategy[Any]:
    """Values that an annotation allows."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return legal(args[0], next(a for a in args[1:] if isinstance(a, Interval)))
    if origin in (typing.Union, types.UnionType):
        return st.one_of([legal(arg, interval) for arg in args])
    if origin is Literal:
        return st.sampled_from(args)
    if origin is tuple and args[-1] is Ellipsis:
        return st.lists(legal(args[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(legal, args))
    if hint in (int, float):
        return numbers(hint, interval)
    return {bool: st.booleans(), str: st.text(max_size=5), type(None): st.none()}[hint]


def settings_of(cls: type[Config]) -> st.SearchStrategy[dict[str, Any]]:
    """Fields of a configuration to set, each legal by itself."""
    hints = {key: hint for key, hint in field_hints(cls).items() if key != "name"}
    return st.fixed_dictionaries(
        {}, optional={key: TEXTS[key] if key in TEXTS else legal(hint) for key, hint in hints.items()}
    )


def configured(cls: type[Config], values: dict[str, Any]) -> Config:
    """The configuration, unless its fields are illegal together."""
    try:
        return typing.cast(Any, cls)(**values)
    except ConfigError:
        assume(False)
        raise
