"""From a component's configuration to the component."""

import inspect
from collections.abc import Collection, Mapping
from typing import Any

from stawm import registry
from stawm.configuration.config import Config, unknown_fields
from stawm.configuration.fields import describe_hint, fits
from stawm.configuration.grammar import Spec, resolve
from stawm.errors import ConfigError, Faults, shown

LARGEST = 10**9
"""How large a size may be that a component is made for."""


def instantiate(kind: registry.Kind | str, config: Config, **sizes: Any) -> Any:
    """Construct the component that a configuration is for.

    Args:
        kind: The component's kind.
        config: Its complete configuration.
        **sizes: What the model offers; the component is given what its constructor asks for.

    Raises:
        ConfigError: Something that the constructor asks for is not offered, or it refuses.
        UnknownNameError: The component is not registered.
    """
    component = registry.find(kind, config.name).load()
    wanted = size_names(component)
    if faults := _missing_sizes(kind, config, wanted, sizes):
        raise ConfigError(faults)
    return component(config, **{name: sizes[name] for name in wanted if name in sizes})


def build_component(kind: registry.Kind | str, spec: Spec, /, **given: Any) -> Any:
    """Build one component by name, outside any model.

    Args:
        kind: ``"memory"``, ``"backbone"``, ``"canvas"``, ``"locator"``, ``"policy"``, ``"head"`` or ``"data"``.
        spec: A name, a mapping with ``name``, or a configuration.
        **given: The sizes that the component needs, and fields of its configuration.

    Raises:
        ConfigError: A size is missing, or a field does not exist or is not legal.
        UnknownNameError: The component is not registered.

    Examples:
        >>> import stawm
        >>> memory = stawm.build_component("memory", "fast-weights", memory_size=16, decay=0.9)
        >>> memory.config.decay
        0.9
    """
    kind = registry.as_kind(kind)
    if kind is registry.Kind.PRESET:
        raise ConfigError(["A preset is a whole model: build it with stawm.build(name)."])
    config = resolve(kind, spec)
    component = registry.find(kind, config.name).load()
    wanted = size_names(component)
    fields = [key for key in config.to_dict() if key != "name"]
    faults = Faults()
    faults.add(*unknown_fields(given, [*fields, *wanted], f"The {kind} {config.name!r}"))
    faults.add(*_missing_sizes(kind, config, wanted, given), *_illegal_sizes(component, config.name, given))
    config = faults.attempt(resolve, kind, {key: given[key] for key in fields if key in given}, config)
    faults.settle()
    return instantiate(kind, config, **{name: given[name] for name in wanted if name in given})


def size_names(component: type) -> Mapping[str, bool]:
    """Return the keyword-only arguments of a constructor, and whether each is required."""
    parameters = inspect.signature(component).parameters.values()
    return {p.name: p.default is p.empty for p in parameters if p.kind is p.KEYWORD_ONLY}


def _missing_sizes(
    kind: registry.Kind | str, config: Config, wanted: Mapping[str, bool], given: Collection[str]
) -> list[str]:
    absent = [name for name, required in wanted.items() if required and name not in given]
    return [f"The {kind} {config.name!r} needs {', '.join(absent)}."] if absent else []


def _illegal_sizes(component: type, name: str, given: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each size that is not of the type that the constructor says, or not above zero."""
    annotations = {p.name: p.annotation for p in inspect.signature(component).parameters.values()}
    sizes = {key: value for key, value in given.items() if annotations.get(key) in (int, tuple[int, int])}
    return [
        f"{name}: {key} must be {describe_hint(annotations[key])}, of 1 to {LARGEST:,}; got {shown(value)}."
        for key, value in sizes.items()
        if not fits(value, annotations[key])
        or not all(1 <= size <= LARGEST for size in (value if isinstance(value, tuple) else [value]))
    ]
