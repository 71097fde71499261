"""Whole models by name: resolve, build, describe, cite."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, TypeAlias

import torch

from stawm import registry
from stawm.catalog import NETWORKS
from stawm.checkpoint import inspect, load, load_weights
from stawm.errors import ConfigError
from stawm.heads.building import components, construct, without_downloads
from stawm.heads.model import Model
from stawm.heads.model_config import ModelConfig, SharedConfig, from_mapping, override
from stawm.registry import Kind
from stawm.shipping import shipped_weights

HUB = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
"""A repository of the Hugging Face hub, and its revision."""

BELOW_HEADS = (
    *("image", "glimpses", "glimpse_size", "memory_size", "hidden_size", "where", "pose_limit"),
    *("mean", "std"),
    *("context", "backbone", "locator", "memory"),
)
"""What a self-supervised model has of the drawing model that it stands on."""

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


def _resolve(spec: ModelSpec, within: tuple[str, ...] = ()) -> SharedConfig:
    if isinstance(spec, SharedConfig):
        return spec
    if isinstance(spec, str):
        return _preset(spec, within)
    if not isinstance(spec, Mapping):
        raise ConfigError([f"A model is given by a preset's name, a mapping or a configuration; got {spec!r}."])
    if "preset" not in spec:
        return from_mapping(spec)
    return override(_preset(spec["preset"], within), {key: value for key, value in spec.items() if key != "preset"})


def _preset(name: Any, within: tuple[str, ...]) -> SharedConfig:
    if not isinstance(name, str):
        raise ConfigError([f"The name of a preset is a text; got {name!r}."])
    if name in within:
        raise ConfigError([f"The preset {name!r} is made from itself: {' from '.join((*within, name))}."])
    target = registry.find(Kind.PRESET, name).load()
    found: Any = target() if callable(target) else target
    resolved = _resolve({"name": name, **found} if isinstance(found, Mapping) else found, (*within, name))
    return resolved.replace(name=name)


def build(
    spec: ModelSpec, /, *, pretrained: bool | str | Path = False, seed: int | None = None, **overrides: Any
) -> Model:
    """Build a model by name.

    Args:
        spec: A preset's name, a configuration, or a mapping (see `config`).
        pretrained: Whether to load the weights that ship with the package; or a checkpoint's path, a folder
            that `stawm.hub.save_pretrained` wrote, or ``user/name`` on the Hugging Face hub (``@revision`` may
            follow). A preset's name then stands for the model as it was trained, whose configuration is the
            checkpoint's. A self-supervised model also takes the checkpoint of the drawing model that it stands on, and
            all of its configuration but the heads.
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
    if not pretrained:
        return _seeded(resolved, seed)
    path = shipped_weights(resolved.name) if pretrained is True else _find_weights(pretrained)
    if isinstance(spec, str):
        resolved = config(_as_trained(config(spec), inspect(path).config), **overrides)
    model = _seeded(without_downloads(resolved), seed)
    load_weights(model, path)
    model.config = resolved
    return model.eval()


def _as_trained(asked: SharedConfig, trained: SharedConfig) -> SharedConfig:
    """Return what a preset is with the weights of a checkpoint: in another memory they are another model."""
    if trained.name == asked.name:
        return trained
    if getattr(asked, "trainable", "all") == "readout" and isinstance(trained, ModelConfig):
        return asked.replace(**{field: getattr(trained, field) for field in BELOW_HEADS})
    return asked


def find_model(given: str | Path) -> Model:
    """Return the model of a checkpoint, or the one of a preset with the weights that ship for it.

    Args:
        given: A path, or the name of a preset where no file is called so.

    Raises:
        CheckpointError: There is no such file, it is damaged, or no weights ship for the preset.
    """
    return build(str(given), pretrained=True) if _is_preset(given) else load(given)


def find_checkpoint(given: str | Path) -> Path:
    """Return the path of a checkpoint, or of the weights that ship for a preset.

    Args:
        given: A path, or the name of a preset where no file is called so.

    Raises:
        CheckpointError: No weights ship for the preset.
    """
    return shipped_weights(str(given)) if _is_preset(given) else Path(given)


def _is_preset(given: str | Path) -> bool:
    """Whether a preset is called so, and no file."""
    return str(given) in registry.list_names(Kind.PRESET) and not Path(given).exists()


def _find_weights(given: str | Path) -> Path:
    """Return a checkpoint's path, fetched where it names none but a repository."""
    path = Path(given)
    if path.is_dir():
        return path / "model.safetensors"
    if path.exists() or path.suffix == ".safetensors" or not (isinstance(given, str) and HUB.fullmatch(given)):
        return path
    from stawm import hub

    return hub.download(given)


def _seeded(resolved: SharedConfig, seed: int | None) -> Model:
    if seed is None:
        return construct(resolved)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPUs too
        return construct(resolved)


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
    used = {key for kind, part in components(resolved) for key in _cites(kind, part.name)}
    if Kind.PRESET in registry.kinds_of(resolved.name):
        used |= {*_cites(Kind.PRESET, resolved.name)}
    return bibliography(used)


def _cites(kind: Kind, name: str) -> tuple[str, ...]:
    entry = registry.find(kind, name)
    network = re.split(r"[._]", name.partition(":")[2])[0]
    return entry.cites + NETWORKS.get(network, ()) if entry.takes_argument else entry.cites


def bibliography(keys: Iterable[str]) -> str:
    """Return BibTeX entries in the order of their keys.

    Args:
        keys: Keys into ``stawm/references.bib``, or whole entries, which are kept as they are.

    Raises:
        ConfigError: A key is none of ours.
    """
    entries = {_key(key) or key: key for key in keys}
    known = references()
    strange = [key for key, entry in entries.items() if key == entry and key not in known]
    if strange:
        raise ConfigError([f"stawm/references.bib has no {key!r}: cite the whole BibTeX entry." for key in strange])
    return "\n\n".join(known.get(entry, entry).strip() for _, entry in sorted(entries.items()))


@cache
def references() -> dict[str, str]:
    """Return the entries of ``stawm/references.bib`` by key."""
    text = resources.files("stawm").joinpath("references.bib").read_text(encoding="utf-8")
    return {_key(entry) or entry: entry for entry in re.split(r"\n\s*\n", text.strip())}


def _key(entry: str) -> str | None:
    found = re.match(r"\s*@\w+\s*\{\s*([^,\s]+)\s*,", entry)
    return found[1] if found else None


__all__ = [
    "ModelSpec",
    "bibliography",
    "build",
    "cite",
    "components",
    "config",
    "construct",
    "find_model",
    "references",
]
