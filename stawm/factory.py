"""Whole models by name: resolve, build, describe, cite."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, TypeAlias

import torch

from stawm import registry
from stawm.configuration import Config
from stawm.errors import ConfigError, UnknownNameError
from stawm.heads.baseline import Baseline
from stawm.heads.model import Model, Stawm
from stawm.heads.model_config import PART_KINDS, BaselineConfig, ModelConfig, SharedConfig, from_mapping, override
from stawm.registry import Kind

ModelSpec: TypeAlias = str | SharedConfig | Mapping[str, Any]


def config(spec: ModelSpec, /, **overrides: Any) -> SharedConfig:
    """Resolve a model's complete configuration without building it.

    Args:
        spec: A preset's name, a configuration, a complete mapping, or a mapping with ``preset``.
        **overrides: Fields of the model by the override grammar: a string swaps a component, a
            mapping with ``name`` swaps and sets, a mapping without it changes fields of the
            present one, dotted keys reach inside.

    Returns:
        The configuration, frozen and complete.

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
    resolved = _resolve(spec)
    return override(resolved, overrides) if overrides else resolved


def _resolve(spec: ModelSpec) -> SharedConfig:
    if isinstance(spec, SharedConfig):
        return spec
    if isinstance(spec, str):
        return _preset(spec)
    if not isinstance(spec, Mapping):
        raise ConfigError([f"A model is given by a preset's name, a mapping or a configuration; got {spec!r}."])
    fields = dict(spec)
    if "preset" not in fields:
        return from_mapping(fields)
    return override(_preset(fields.pop("preset")), fields)


def _preset(name: str) -> SharedConfig:
    target = registry.find(Kind.PRESET, name).load()
    found = target() if callable(target) else target
    resolved = found if isinstance(found, SharedConfig) else _resolve({"name": name, **found})
    return resolved.replace(name=name)


def build(
    spec: ModelSpec, /, *, pretrained: bool | str | Path = False, seed: int | None = None, **overrides: Any
) -> Model:
    """Build a model by name.

    Args:
        spec: A preset's name, a configuration, or a mapping (see `config`).
        pretrained: Whether to load the weights that ship with the package, or a checkpoint's path.
        seed: Makes the random weights reproducible, leaving the global generator as it is.
        **overrides: Components to swap and fields to change (see `config`).

    Returns:
        The model, in training mode with random weights, or in evaluation mode where pretrained.

    Raises:
        ConfigError: Everything that is wrong, together.
        UnknownNameError: The one fault is a name that is not registered.
        CheckpointError: The weights are not there, or do not fit.

    Examples:
        >>> import stawm, torch
        >>> model = stawm.build("stawm-digits", memory="fast-weights", glimpses=3).eval()
        >>> out = model(torch.rand(2, 1, 16, 16))
        >>> out.logits.shape, out.trace.glimpses.shape
        (torch.Size([2, 10]), torch.Size([2, 3, 1, 8, 8]))
    """
    resolved = config(spec, **overrides)
    if seed is None:
        model = construct(resolved)
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = construct(resolved)
    if pretrained:
        from stawm.checkpoint import load_weights, shipped_weights

        load_weights(model, shipped_weights(resolved.name) if pretrained is True else Path(pretrained))
        model.eval()
    return model


def construct(resolved: SharedConfig) -> Model:
    """Construct the model that a complete configuration describes."""
    if isinstance(resolved, ModelConfig):
        return Stawm(resolved)
    if isinstance(resolved, BaselineConfig):
        return Baseline(resolved)
    raise ConfigError([f"{type(resolved).__name__} describes no model."])


def components(resolved: SharedConfig) -> Iterator[tuple[Kind, Config]]:
    """Yield the kind and configuration of every component that a model uses."""
    for field, kind in PART_KINDS.items():
        unused = field == "canvas" and resolved.head("drawing") is None
        if hasattr(resolved, field) and not unused:
            yield kind, getattr(resolved, field)
    for head in resolved.heads:
        yield Kind.HEAD, head


def cite(spec: ModelSpec | Model, /) -> str:
    """Return BibTeX for exactly what a model uses.

    Args:
        spec: A model, or what `build` takes.

    Returns:
        The entries, each once, sorted by key.

    Examples:
        >>> import stawm
        >>> "harris2019" in stawm.cite("stawm-mnist-8")
        True
    """
    resolved = spec.config if isinstance(spec, Model) else config(spec)
    used = [registry.find(kind, part.name) for kind, part in components(resolved)]
    try:
        used.append(registry.find(Kind.PRESET, resolved.name))
    except UnknownNameError:
        pass
    return bibliography({key for entry in used for key in entry.cites})


def bibliography(keys: set[str]) -> str:
    """Return the BibTeX entries of some keys; what is a whole entry already is kept as it is."""
    known = _references()
    return "\n\n".join(sorted(known.get(key, key) for key in keys))


@cache
def _references() -> dict[str, str]:
    text = resources.files("stawm").joinpath("references.bib").read_text(encoding="utf-8")
    found = re.findall(r"^@\w+\{([^,\s]+),.*?^\}", text, flags=re.MULTILINE | re.DOTALL)
    blocks = re.split(r"\n(?=@)", text.strip())
    return dict(zip(found, (block.strip() for block in blocks), strict=True))


__all__ = ["ModelSpec", "bibliography", "build", "cite", "components", "config", "construct"]
