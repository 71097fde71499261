"""Models with random weights or with those of a checkpoint: which weights are meant, and what a model takes over."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from stawm import registry
from stawm.catalog.suggest import did_you_mean, nearest
from stawm.errors import CheckpointError, ConfigError, InputError, shown
from stawm.models.config import BaselineConfig, ModelConfig, SharedConfig, override
from stawm.models.construct import construct, without_downloads
from stawm.models.model import Model
from stawm.models.resolve import ModelSpec, config, layers, renewed
from stawm.registry import Kind
from stawm.storage.checkpoint import WEIGHTS, checked_hash, inspect, load, load_weights
from stawm.storage.opening import as_path
from stawm.storage.shipped import shipped_names, shipped_weights

HUB = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
"""A repository of the Hugging Face hub, and its revision."""

OF_HEADS = frozenset({"name", "family", "trainable", "frozen_loop", "dropout", "heads", "class_names", "canvas"})
"""The fields of a model that are not below its heads; a self-supervised model has all others of the drawing model."""


def build(
    spec: ModelSpec,
    /,
    *,
    pretrained: bool | str | Path = False,
    partial: bool = False,
    sha256: str | None = None,
    seed: int | None = None,
    **overrides: Any,
) -> Model:
    """Build a model by name.

    Args:
        spec: A preset's name, a configuration, or a mapping (see `config`).
        pretrained: Whether to load the weights that ship with the package; or a checkpoint's path, a folder with a
            ``model.safetensors``, ``user/name`` on the Hugging Face hub (``@revision`` may follow), or the name of
            another preset whose weights ship. A preset's name then stands for the model as it was trained, such as
            ``stawm-mnist-8.fast`` for ``stawm-mnist-8``: its configuration is the checkpoint's. A self-supervised
            model also takes the checkpoint of the drawing model that it stands on, and all of its configuration
            below the heads. A complete configuration is taken as it is.
        partial: Take of the weights what fits, for other classes, another head or another memory: tensors of the same
            name and shape, and the rows of the classes that both models name. The rest is random, and
            ``model.loaded`` says what was taken, what was left and what is new.
        sha256: What the file of the weights must be, as in `stawm.load`.
        seed: Makes the random weights reproducible, leaving the global generator as it is.
        **overrides: Components to swap and fields to change (see `config`).

    Returns:
        The model, in training mode with random weights, or in evaluation mode where pretrained.

    Raises:
        ConfigError: Everything that is wrong, together.
        UnknownNameError: The one fault is a name that is not registered.
        CheckpointError: The weights are not there, or do not fit.
        InputError: ``pretrained`` is of no legal form.

    Examples:
        >>> import stawm, torch
        >>> model = stawm.build("stawm-digits", memory="fast-weights", glimpses=3).eval()
        >>> out = model(torch.rand(2, 1, 16, 16))
        >>> out.logits.shape, out.trace.glimpses.shape
        (torch.Size([2, 10]), torch.Size([2, 3, 1, 8, 8]))
        >>> stawm.build("stawm-mnist-8", pretrained=True).config.name
        'stawm-mnist-8.fast'

        Digits that are known already, and letters that are not:

        >>> names = [*"0123456789abc"]
        >>> changes = {"heads.classification.classes": 13, "class_names": names}
        >>> model = stawm.build("stawm-mnist-8", pretrained=True, partial=True, seed=0, **changes)
        >>> "".join(model.loaded.rows), model.loaded.new, model.loaded.left
        ('0123456789', (), ())
    """
    if pretrained is False:
        if partial or sha256 is not None:
            raise InputError("partial and sha256 are of weights that are loaded: give pretrained too.")
        return construct_seeded(config(spec, **overrides), seed)
    checked_hash(sha256)
    spec = renewed(spec)
    path = shipped_weights(layers(spec)[0].name) if pretrained is True else resolve_weights(pretrained)
    found = stand_on(spec, inspect(path).config, overrides, partial=partial)
    return with_weights(found, path, seed, partial=partial, sha256=sha256).eval()


def with_weights(
    config: SharedConfig, path: Path, seed: int | None = None, *, partial: bool = False, sha256: str | None = None
) -> Model:
    """Build the model of a complete configuration with the weights of a checkpoint.

    Args:
        config: The configuration; what `stand_on` makes of the checkpoint's.
        path: The checkpoint.
        seed: Decides what the checkpoint does not: the heads of a self-supervised model, what is new where partial.
        partial: Take what fits (see `build`).
        sha256: What the file must be.

    Raises:
        CheckpointError: The weights do not fit, or cannot be read.
    """
    model = construct_seeded(without_downloads(config), seed)
    load_weights(model, path, partial=partial, sha256=sha256)
    model.config = config
    return model


def stand_on(
    asked: ModelSpec, trained: SharedConfig, given: Mapping[str, Any], *, partial: bool = False
) -> SharedConfig:
    """Return what a model is that takes the weights of a checkpoint.

    A preset's name stands for the model as it was trained: the checkpoint's configuration, where the checkpoint is of
    that preset or a variant. A model of which only the readout learns stands on the model of the checkpoint, and takes
    over everything below the heads. Any other model, and a complete configuration, is what it is without the
    checkpoint. Whatever the user gives is changed in that.

    Args:
        asked: The model that is asked for.
        trained: The checkpoint's configuration.
        given: Overrides of the model (see `config`).
        partial: Whether it takes only what fits, which other rates of the memory do not.

    Raises:
        ConfigError: The overrides are not legal, or change what the weights of the memory mean.
        UnknownNameError: A name that is not registered is all that is wrong.
    """
    base, changes = layers(asked)
    by_name = isinstance(asked, str) or (isinstance(asked, Mapping) and "preset" in asked)
    trainable = {"trainable": getattr(base, "trainable", "all"), **changes, **given}["trainable"]
    if by_name and trainable == "readout" and _can_stand(base, trained):
        base = base.replace(**_below_heads(trained))
    elif by_name and base.name.partition(".")[0] == trained.name.partition(".")[0]:
        base = trained
    found = override(override(base, changes), given)
    if not partial:
        _check_form(found, trained)
    return found


def _can_stand(base: SharedConfig, trained: SharedConfig) -> bool:
    return type(base) is type(trained) and not trained.is_readout


def _below_heads(trained: SharedConfig) -> dict[str, Any]:
    """Return the fields below the heads of a model that another one is to stand on; of a β-VAE its latent is one."""
    found = {key: value for key, value in vars(trained).items() if key not in OF_HEADS}
    if isinstance(trained, BaselineConfig) and trained.draws:
        found["latent"] = trained.head("drawing").latent
    return found


def _check_form(config: SharedConfig, trained: SharedConfig) -> None:
    """Raise a ConfigError where the weights of a memory would mean something else than when they were learned."""
    if not (isinstance(config, ModelConfig) and isinstance(trained, ModelConfig)):
        return
    learned, wanted = (getattr(c.memory, "constrained", None) for c in (trained, config))
    if config.memory.name == trained.memory.name and learned != wanted:
        raise ConfigError(
            [
                f"The rates to start from were learned with memory.constrained={learned}, and are of another form "
                f"than with {wanted}: leave it as it was, or train from random weights."
            ]
        )


def find_model(given: str | Path) -> Model:
    """Return a trained model, in evaluation mode.

    Args:
        given: What `resolve_weights` takes.

    Raises:
        CheckpointError: There are no such weights, or they are damaged.
        InputError: It is neither a string nor a path.
    """
    return load(resolve_weights(given))


def resolve_weights(given: str | Path) -> Path:
    """Return the checkpoint that is meant; every call and command that takes trained weights asks here.

    Args:
        given: A file; a folder with a ``model.safetensors``, as a run or `stawm.hub.save_pretrained` leaves it; where
            there is neither, the name of a preset whose weights come with the package, or ``user/name`` on the
            Hugging Face hub (``@revision`` may follow), which is fetched.

    Raises:
        CheckpointError: The preset has no weights, nothing is called so, or the hub gives none.
        InputError: It is neither a string nor a path, or an empty one.
    """
    if not isinstance(given, (str, os.PathLike)) or not str(given).strip():
        raise InputError(
            "Weights must be given by a preset's name, a file, a folder, or user/name on the Hugging Face hub; "
            f"got {shown(given)}."
        )
    path, name = as_path(given, "Weights", CheckpointError), str(given)
    if path.is_dir():
        return path / WEIGHTS
    if os.path.lexists(path) or path.suffix.lower() == ".safetensors":
        return path
    if Kind.PRESET in registry.kinds_of(name):
        return shipped_weights(registry.current(Kind.PRESET, name))
    if isinstance(given, str) and HUB.fullmatch(name) and not path.parent.is_dir():
        from stawm.storage import hub

        return hub.download(name)
    raise CheckpointError(f"Cannot read {shown(name)[1:-1]}: {_not_there(name, path)}")


def _not_there(name: str, path: Path) -> str:
    """Say what was looked for, and what else may have been meant."""
    if path.parent.is_dir() and path.parent != Path() and HUB.fullmatch(name):
        return (
            f"the folder {path.parent} is here, and holds no {path.name}. For the repository of that name on the "
            f"Hugging Face hub, use stawm.hub.from_pretrained({name!r})."
        )
    known = {spelled for shipped in shipped_names() for spelled in (shipped, shipped.partition(".")[0])}
    return f"there is no such file, folder or preset.{did_you_mean(nearest(name[:100], known))}"


def construct_seeded(config: SharedConfig, seed: int | None) -> Model:
    """Construct a model with random weights, which a seed makes reproducible; the global generator is left as it is."""
    if seed is None:
        return construct(config)
    if not isinstance(seed, int) or isinstance(seed, bool) or not -(2**63) <= seed < 2**64:
        raise InputError(f"seed must be an integer of at most 64 bits, or None; got {shown(seed)}.")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPUs too
        return construct(config)
