"""Weights of the authors' code, moved into the presets that have their like there."""

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from stawm.errors import CheckpointError, InputError
from stawm.heads.model import Stawm
from stawm.nn.backbones.conv import Conv

_NO_WEIGHT = re.compile(r"(memory\.)?(project\.(weight|bias)|soft\b.*|onehots|c0_in|c1_in|A|p|h)")
_SECOND_NAME = re.compile(r"(context|encoder)\.")
_DRAWING_ONLY = re.compile(r"memory\.inv_emission\.|decoder\.|mu\.|var\.|sup\.")

_NAMES: tuple[tuple[str, str], ...] = (
    (r"memory\.decay", "memory.delta"),
    (r"memory\.learn", "memory.eta"),
    (r"memory\.learn2", "memory.theta"),
    (r"memory\.(context|glimpse)_down\.(.+)", r"loop.\1_down.\2"),
    (r"memory\.(emission|aggregator)_rnn\.rnn\.(.+)", r"loop.\1_rnn.\2"),
    (r"memory\.emission\.fc1\.(.+)", r"loop.emitter.hidden.\1"),
    (r"memory\.emission\.fc3\.(.+)", r"loop.emitter.pose.\1"),
    (r"memory\.inv_emission\.fc1\.(.+)", r"loop.inverse_emitter.hidden.\1"),
    (r"memory\.inv_emission\.fc3\.(.+)", r"loop.inverse_emitter.pose.\1"),
    (r"memory\.(what|where)\.(.+)", r"loop.\1.\2"),
    (r"mu\.(.+)", r"heads.drawing.sketcher.mu.\1"),
    (r"var\.(.+)", r"heads.drawing.sketcher.logvar.\1"),
    (r"sup\.(.+)", r"heads.drawing.sketcher.expand.\1"),
    (r"class_down\.(.+)", r"heads.classification.query.linear.\1"),
    (r"classifier\.(?:0\.)?(.+)", r"heads.classification.classifier.linear.\1"),
)
_STACKS: tuple[tuple[str, str], ...] = (
    ("memory.context_cnn.", "loop.context.blocks."),
    ("memory.glimpse_cnn.", "loop.backbone.blocks."),
    ("decoder.", "heads.drawing.sketcher.decoder.blocks."),
    ("context.", "loop.context.blocks."),
    ("encoder.", "loop.backbone.blocks."),
)
_RATES = ("memory.delta", "memory.eta", "memory.theta")


def load_authors_state_dict(model: Stawm, state_dict: Mapping[str, Tensor]) -> None:
    """Fill a model with the weights of the authors' code, at any sizes.

    Args:
        model: A preset with ``conv`` stacks, the ``affine`` locator and the ``hebb-rosenblatt``
            memory with free rates: every preset that has its like there.
        state_dict: The state dict, by the authors' names. What their forward pass never uses is
            passed over, and so are the second names under which it lists a module.

    Raises:
        InputError: The model has no like in the authors' code.
        CheckpointError: The weights do not fit; the model is untouched.
    """
    _check_model(model)
    own = model.state_dict()
    moved: dict[str, Tensor] = {}
    for theirs, ours in authors_names(model, state_dict).items():
        if not _SECOND_NAME.match(theirs):
            tensor = torch.as_tensor(state_dict[theirs])
            moved[ours] = tensor.reshape(()) if ours in _RATES and tensor.numel() == 1 else tensor
    _check_fit(model, own, moved)
    model.load_state_dict(moved, strict=False)


def authors_names(model: Stawm, names: Iterable[str]) -> dict[str, str]:
    """Translate the authors' names of weights into ours.

    Args:
        model: The model that the weights are for.
        names: The authors' names.

    Returns:
        Their name to ours, without what their forward pass, or this model, has no use for.
    """
    own = model.state_dict()
    translated = {}
    for name, numbered in _numbered(names).items():
        ours = _translate(numbered, draws=model.config.draws)
        if ours is not None and (ours in own or not _DRAWING_ONLY.match(name)):
            translated[name] = ours
    return translated


def _check_model(model: Stawm) -> None:
    if not isinstance(model, Stawm):
        raise InputError(f"The authors' weights go into a STAWM model; got {type(model).__name__}.")
    config = model.config
    faults = []
    if not (isinstance(config.context, Conv.Config) and isinstance(config.backbone, Conv.Config)):
        faults.append(f"conv stacks, not {config.context.name!r} and {config.backbone.name!r}")
    if config.locator.name != "affine" or config.where != "pose":
        faults.append("the affine locator with where='pose'")
    if config.memory.name != "hebb-rosenblatt" or getattr(config.memory, "constrained", False):
        faults.append("the hebb-rosenblatt memory with free rates")
    if faults:
        raise InputError(f"The authors' code has no like of {config.name}: it has {' and '.join(faults)}.")


def _numbered(names: Iterable[str]) -> dict[str, str]:
    """Number the layers of each CNN by their order, whatever the authors called them."""
    renamed: dict[str, str] = {}
    layers: dict[str, list[str]] = {prefix: [] for prefix, _ in _STACKS}
    for name in names:
        prefix = next((p for p, _ in _STACKS if name.startswith(p)), None)
        if prefix is None:
            renamed[name] = name
            continue
        layer, _, rest = name.removeprefix(prefix).partition(".")
        if layer not in layers[prefix]:
            layers[prefix].append(layer)
        part, _, weight = rest.rpartition(".")
        renamed[name] = f"{prefix}{layers[prefix].index(layer)}.{'norm' if part == 'bn' else 'conv'}.{weight}"
    return renamed


def _translate(name: str, *, draws: bool) -> str | None:
    if _NO_WEIGHT.fullmatch(name):
        return None
    for prefix, ours in _STACKS:
        if name.startswith(prefix):
            return ours + name.removeprefix(prefix)
    if name.startswith("qdown."):
        return f"heads.{'drawing' if draws else 'classification'}.query.linear.{name.removeprefix('qdown.')}"
    for pattern, ours in _NAMES:
        if re.fullmatch(pattern, name):
            return re.sub(pattern, ours, name)
    return name


def _check_fit(model: Stawm, own: Mapping[str, Tensor], moved: Mapping[str, Tensor]) -> None:
    counters = {name for name in own if name.endswith("num_batches_tracked")}
    faults = {
        "missing": sorted(set(own) - set(moved) - counters),
        "unexpected": sorted(set(moved) - set(own)),
        "of another shape": sorted(n for n in moved if n in own and moved[n].shape != own[n].shape),
    }
    if any(faults.values()):
        said = "; ".join(f"{label}: {', '.join(names)}" for label, names in faults.items() if names)
        raise CheckpointError(f"The state dict does not fit {model.config.name}: {said}.")
