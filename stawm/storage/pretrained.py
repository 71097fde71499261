"""Models by name, with random weights or with those of a checkpoint."""

import re
from pathlib import Path
from typing import Any

import torch

from stawm import registry
from stawm.models.config import ModelConfig, SharedConfig
from stawm.models.construct import construct, without_downloads
from stawm.models.model import Model
from stawm.models.resolve import ModelSpec, config
from stawm.registry import Kind
from stawm.storage.checkpoint import inspect, load, load_weights
from stawm.storage.shipped import shipped_weights

HUB = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
"""A repository of the Hugging Face hub, and its revision."""

BELOW_HEADS = (
    *("image", "glimpses", "glimpse_size", "memory_size", "hidden_size", "where", "pose_limit"),
    *("mean", "std"),
    *("context", "backbone", "locator", "memory"),
)
"""What a self-supervised model has of the drawing model that it stands on."""


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
    from stawm.storage import hub

    return hub.download(given)


def _seeded(resolved: SharedConfig, seed: int | None) -> Model:
    if seed is None:
        return construct(resolved)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPUs too
        return construct(resolved)
