"""From what names a model to its complete configuration."""

from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

from stawm import registry
from stawm.catalog.plugins import quietly
from stawm.errors import ConfigError, StawmError, UnknownNameError, shown
from stawm.models.config import SharedConfig, from_mapping, override
from stawm.registry import Kind

ModelSpec: TypeAlias = str | SharedConfig | Mapping[str, Any]


def config(spec: ModelSpec, /, **overrides: Any) -> SharedConfig:
    """Return a model's configuration, frozen and complete, without building it.

    Args:
        spec: A preset's name, a configuration, a complete mapping, or a mapping with ``preset``.
        **overrides: Fields of the model by the override grammar: a string swaps a component, a
            mapping with ``name`` swaps and sets, a mapping without it changes fields of the
            present one, dotted keys reach inside. Where a preset is given a network with pretrained weights,
            mean and std are those that the weights were learned with, unless they are given too.

    Raises:
        ConfigError: Everything that is wrong, together.
        UnknownNameError: The one fault is a name that is not registered.

    Examples:
        >>> import stawm
        >>> small = stawm.config("stawm-mnist-8", memory="fast-weights", glimpses=4)
        >>> small.memory.name, small.glimpses
        ('fast-weights', 4)
        >>> stawm.config("stawm-mnist-8", **{"memory.delta": 0.3}).memory.delta
        0.3
    """
    base, changes = layers(spec)
    found = override(override(base, changes), overrides)
    by_name = isinstance(spec, str) or (isinstance(spec, Mapping) and "preset" in spec)
    return _as_learned(base, found, {*changes, *overrides}) if by_name else found


def learned_with(config: SharedConfig, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Return the mean and std that pretrained weights of a network were learned with; None where there are none.

    A backbone's configuration says so by ``normalisation``. Of two networks the one that sees the glimpses counts.

    Args:
        config: The model.
        channels: Of the images; where the weights are of others, one number stands for all channels.
    """
    parts = (getattr(config, field, None) for field in ("backbone", "context"))
    found = next((known for part in parts if (known := getattr(part, "normalisation", None))), None)
    if found is None or len(found[0]) == channels:
        return found
    mean, std = ((sum(values) / len(values),) for values in found)
    return mean, std


def _as_learned(base: SharedConfig, found: SharedConfig, given: Collection[str]) -> SharedConfig:
    kept = all(getattr(base, field, None) == getattr(found, field, None) for field in ("backbone", "context"))
    known = None if kept else learned_with(found, found.image[0])
    changes = {} if known is None else dict(zip(("mean", "std"), known, strict=True))
    return found.replace(**{key: value for key, value in changes.items() if key not in given})


def layers(spec: ModelSpec) -> tuple[SharedConfig, Mapping[str, Any]]:
    """Return what a specification starts from, a preset or a complete configuration, and what it changes of it.

    Raises:
        ConfigError: It is of no legal form, or what it starts from is not legal.
        UnknownNameError: It names a preset, or the one fault is a component, that is not registered.
    """
    return _layers(spec, ())


def renewed(spec: ModelSpec) -> ModelSpec:
    """Return what names a model with the name that its preset has today; one that was changed warns, once."""
    if isinstance(spec, str):
        return registry.current(Kind.PRESET, spec)
    if isinstance(spec, Mapping) and isinstance(spec.get("preset"), str):
        return {**spec, "preset": registry.current(Kind.PRESET, spec["preset"])}
    return spec


def _layers(spec: ModelSpec, within: tuple[str, ...]) -> tuple[SharedConfig, Mapping[str, Any]]:
    if isinstance(spec, SharedConfig):
        return spec, {}
    if isinstance(spec, str):
        return _preset(spec, within), {}
    if not isinstance(spec, Mapping):
        raise ConfigError(
            [f"A model must be given by a preset's name, a mapping or a configuration; got {shown(spec)}."]
        )
    if "preset" not in spec:
        return from_mapping(spec), {}
    return _preset(spec["preset"], within), {key: value for key, value in spec.items() if key != "preset"}


def _preset(name: Any, within: tuple[str, ...]) -> SharedConfig:
    if not isinstance(name, str):
        raise ConfigError([f"The name of a preset must be a string; got {shown(name)}."])
    name = registry.current(Kind.PRESET, name)
    if name in within:
        raise ConfigError([f"The preset {name!r} is made from itself: {' from '.join((*within, name))}."])
    found = _made(name, registry.find(Kind.PRESET, name).load())
    base, changes = _layers({**found, "name": name} if isinstance(found, Mapping) else found, (*within, name))
    return override(base, changes if base.name == name else {**changes, "name": name})


def _made(name: str, target: Any) -> Any:
    """Return what a preset is; of one that is a function, what it returns."""
    if not callable(target):
        return target
    try:
        with quietly():
            return target()
    except (StawmError, KeyboardInterrupt):
        raise
    except BaseException as error:  # whatever a stranger's function raises, sys.exit too
        raise UnknownNameError(f"The preset {name!r} cannot be made: {type(error).__name__}: {error}.") from error
