"""From a component's configuration to the component."""

import inspect
from collections.abc import Mapping
from typing import Any

from stawm import registry
from stawm.configuration import Config, Spec, resolve, unknown_fields
from stawm.errors import ConfigError


def instantiate(kind: registry.Kind | str, config: Config, **sizes: Any) -> Any:
    """Construct the component that a configuration is for.

    Args:
        kind: The component's kind.
        config: Its complete configuration.
        **sizes: What the model offers; the component is given what its constructor asks for.

    Raises:
        ConfigError: Something that the constructor asks for is not offered, or it refuses.
    """
    component = registry.find(kind, config.name).load()
    wanted = size_names(component)
    missing = [name for name, required in wanted.items() if required and name not in sizes]
    if missing:
        raise ConfigError([f"The {kind} {config.name!r} needs {', '.join(missing)}."])
    return component(config, **{name: sizes[name] for name in wanted if name in sizes})


def build_component(kind: registry.Kind | str, spec: Spec, /, **given: Any) -> Any:
    """Build one component by name, outside any model.

    Args:
        kind: ``"memory"``, ``"backbone"``, ``"canvas"``, ``"locator"`` or ``"head"``.
        spec: A name, a mapping with ``name``, or a configuration.
        **given: The sizes that the component needs, and fields of its configuration.

    Returns:
        The module.

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
    wanted = size_names(registry.find(kind, config.name).load())
    sizes = {name: value for name, value in given.items() if name in wanted}
    fields = {name: value for name, value in given.items() if name not in wanted}
    faults = unknown_fields(fields, [*config.to_dict(), *wanted], f"The {kind} {config.name!r}")
    if faults:
        raise ConfigError(faults)
    return instantiate(kind, resolve(kind, fields, config) if fields else config, **sizes)


def size_names(component: type) -> Mapping[str, bool]:
    """Return the keyword-only arguments of a constructor, and whether each is required."""
    parameters = inspect.signature(component).parameters.values()
    return {p.name: p.default is p.empty for p in parameters if p.kind is p.KEYWORD_ONLY}
