"""The one override grammar: how a component is named, swapped and changed."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeAlias

from stawm import registry
from stawm.configuration.config import Config, make
from stawm.configuration.limits import MAX_DEPTH
from stawm.errors import ConfigError, shown

Spec: TypeAlias = str | Config | Mapping[str, Any]


def resolve(kind: registry.Kind | str, spec: Spec, current: Config | None = None) -> Config:
    """Return the complete, checked configuration that a component's specification means by the override grammar.

    Args:
        kind: The component's kind.
        spec: A name (swaps the component), a mapping with ``name`` (swaps and sets), a mapping
            without it (changes fields of the present one), or a configuration.
        current: The present configuration, if there is one.

    Raises:
        ConfigError: Everything that is wrong with the specification.
        UnknownNameError: The component is not registered.
    """
    if isinstance(spec, Config):
        return _checked(kind, spec)
    if isinstance(spec, str):
        spec = {"name": spec}
    if not isinstance(spec, Mapping):
        raise ConfigError([f"A {kind} must be given by a name, a mapping or a configuration; got {shown(spec)}."])
    if "name" in spec:
        spec = _renewed(kind, spec)
        return make(config_class(kind, spec["name"]), spec, str(spec["name"]))
    if current is None:
        raise ConfigError([f"The {kind} has no present value to change: give its 'name' too."])
    present = {f.name: getattr(current, f.name) for f in dataclasses.fields(current)}
    return make(type(current), {**present, **spec}, current.name)


def config_class(kind: registry.Kind | str, name: Any) -> type[Config]:
    """Return the class of a component's configuration.

    Raises:
        ConfigError: The name is not a string.
        UnknownNameError: The component is not registered.
    """
    if not isinstance(name, str):
        raise ConfigError([f"The name of a {kind} must be a string; got {shown(name)}."])
    return registry.find(kind, name).load().Config


def _renewed(kind: registry.Kind | str, spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a specification under the name that the component has today."""
    name = spec["name"]
    return {**spec, "name": registry.current(kind, name)} if isinstance(name, str) else spec


def _checked(kind: registry.Kind | str, config: Config) -> Config:
    today = registry.current(kind, config.name)
    config = config if today == config.name else config.replace(name=today)
    cls = config_class(kind, config.name)
    if not isinstance(config, cls):
        raise ConfigError([f"The {kind} {config.name!r} takes a {cls.__qualname__}; got {shown(config)}."])
    return config


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
    """Turn dotted keys into nested mappings, noting what is given twice and what is nested too deeply.

    What is given whole and by parts is both: ``memory="fast-weights"`` beside ``memory.decay=0.9``
    swaps and sets, in either order.
    """
    return _nest(overrides, faults, 0)


def _nest(overrides: Mapping[str, Any], faults: list[str], depth: int) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    parts: dict[str, dict[str, Any]] = {}
    for key, value in overrides.items():
        head, _, rest = str(key).partition(".")
        if head and rest:
            parts.setdefault(head, {})[rest] = value
        else:
            whole[key] = value
    joined = {**whole, **{head: _join(head, whole.get(head, {}), inner, faults) for head, inner in parts.items()}}
    inside = [key for key, value in joined.items() if isinstance(value, Mapping)]
    if inside and depth == MAX_DEPTH:
        faults.append(f"{shown(inside[0])} is nested deeper than the {MAX_DEPTH} levels that are read.")
        return {key: value for key, value in joined.items() if key not in inside}
    return {key: _nest(value, faults, depth + 1) if key in inside else value for key, value in joined.items()}


def _join(head: str, whole: Any, parts: Mapping[str, Any], faults: list[str]) -> Any:
    if isinstance(whole, str):
        whole = {"name": whole}
    if not isinstance(whole, Mapping):
        faults.append(f"{head!r} is given both as {shown(whole)} and by parts: {', '.join(parts)}.")
        return whole
    faults += [f"'{head}.{key}' is given twice." for key in parts if key in whole]
    return {**whole, **parts}
