"""Weights of the authors' code, moved into the presets that have a counterpart there."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from stawm.catalog.suggest import natural_key
from stawm.errors import CheckpointError, InputError, shown
from stawm.models.baseline import Baseline
from stawm.models.model import Model, Stawm
from stawm.nn.backbones.conv import Conv
from stawm.nn.backbones.mobilenetv2_cifar import MobileNetV2Cifar
from stawm.storage.fitting import shortened

_NO_WEIGHT = re.compile(r"(memory\.)?(project\.(weight|bias)|soft\b.*|onehots|c0_in|c1_in|A|p|h)")
_SECOND_NAME = re.compile(r"(context|encoder)\.")
_DRAWING_ONLY = re.compile(r"(memory\.inv_emission|decoder|mu|var|sup)\.")
_STACK = re.compile(
    r"(memory\.context_cnn|memory\.glimpse_cnn|context|encoder|decoder)\.([^.]+)\.(?:(conv|bn)\.)?(\w+)"
)
_NETWORK = re.compile(r"(?:memory\.glimpse_cnn|encoder)\.(.+)")
_UNUSED_CLASSIFIER = re.compile(r"(?:memory\.glimpse_cnn|encoder)\.linear\.(weight|bias)")
_RATES = {"memory.decay": "memory.delta", "memory.learn": "memory.eta", "memory.learn2": "memory.theta"}
_GLIMPSES = {
    "memory.context_down": "loop.context_down",
    "memory.glimpse_down": "loop.glimpse_down",
    "memory.emission_rnn.rnn": "loop.emission_rnn",
    "memory.aggregator_rnn.rnn": "loop.aggregator_rnn",
    "memory.emission.fc1": "loop.emitter.hidden",
    "memory.emission.fc3": "loop.emitter.pose",
    "memory.inv_emission.fc1": "loop.inverse_emitter.hidden",
    "memory.inv_emission.fc3": "loop.inverse_emitter.pose",
    "memory.what": "loop.what",
    "memory.where": "loop.where",
    "memory.context_cnn": "loop.context.blocks",
    "memory.glimpse_cnn": "loop.backbone.blocks",
    "context": "loop.context.blocks",
    "encoder": "loop.backbone.blocks",
}
_CLASSES = {
    "qdown": "heads.classification.query.linear",
    "classifier": "heads.classification.classifier.linear",
    "classifier.0": "heads.classification.classifier.linear",
}
_SKETCHES = {"mu": "mu", "var": "logvar", "sup": "expand", "decoder": "decoder.blocks"}
_DRAWING = {"qdown": "heads.drawing.query.linear", "class_down": "heads.classification.query.linear"}


def load_authors_state_dict(model: Model, state_dict: Mapping[str, Any], *, trained_with: str | None = None) -> None:
    """Fill a model with the weights of the authors' code, at any sizes.

    Args:
        model: A preset with ``conv`` stacks, or the ``mobilenetv2-cifar`` backbone, the ``affine`` locator and the
            ``hebb-rosenblatt`` memory with free rates, or the β-VAE: every preset that has a counterpart there.
        state_dict: The state dict, by the authors' names, also as torchbearer saves it (under ``model``), and of a
            model in `torch.nn.DataParallel` (``module.`` before every name). What their forward pass never uses is
            passed over, and so are the second names under which it lists a module.
        trained_with: The version of PyTorch that the weights were trained with, such as "1.0.0". Before 1.3, images
            were sampled with aligned corners: weights of that time need a model with ``locator.align_corners=true``,
            and give worse pictures without a word in one that has not. Nothing is checked where left out.

    Raises:
        InputError: The model has no like in the authors' code, or samples otherwise than it did then.
        CheckpointError: The weights do not fit; the model is untouched.
    """
    _check_model(model)
    if not isinstance(state_dict, Mapping) or not all(isinstance(name, str) for name in state_dict):
        raise InputError(f"A state dict is a mapping from names to tensors; got {shown(state_dict)}.")
    _check_corners(model, trained_with)
    state_dict = _unwrapped(state_dict)
    own, names = model.state_dict(), authors_names(model, state_dict)
    moved: dict[str, Tensor] = {}
    taken: dict[str, str] = {}
    for theirs, ours in sorted(names.items(), key=lambda pair: _is_second(model, pair[0])):
        if ours in moved and _is_second(model, theirs):
            continue
        key = theirs if ours not in own or ours in moved else ours
        tensor = _tensor(theirs, state_dict[theirs])
        moved[key] = tensor.reshape(()) if key in _RATES.values() and tensor.numel() == 1 else tensor
        taken[key] = theirs
    _check_fit(model, own, moved, taken)
    model.load_state_dict(moved, strict=False)


def authors_names(model: Model, names: Iterable[str]) -> dict[str, str]:
    """Return the authors' names of weights with ours, without what their forward pass, or this model, has no use for.

    A name that nothing is known of stays as it is.

    Args:
        model: The model that the weights are for.
        names: The authors' names.
    """
    names = list(names)
    places, layers = _places(model), _layers(names)
    draws, whole = model.config.draws, isinstance(model.config.backbone, MobileNetV2Cifar.Config)
    used = [n for n in names if not _NO_WEIGHT.fullmatch(n) and (draws or not _DRAWING_ONLY.match(n))]
    if not whole:
        return {name: _translate(name, places, layers) for name in used}
    named = {name: _NETWORK.fullmatch(name) for name in used if not _UNUSED_CLASSIFIER.fullmatch(name)}
    return {
        name: f"loop.backbone.{part[1]}" if part else _translate(name, places, layers) for name, part in named.items()
    }


def _places(model: Model) -> dict[str, str]:
    if isinstance(model, Baseline):
        return {"encoder": "backbone.blocks", **{key: f"heads.drawing.{name}" for key, name in _SKETCHES.items()}}
    if not model.config.draws:
        return _GLIMPSES | _CLASSES
    return _GLIMPSES | _CLASSES | _DRAWING | {key: f"heads.drawing.sketcher.{name}" for key, name in _SKETCHES.items()}


def _layers(names: Iterable[str]) -> dict[str, list[str]]:
    """Return the authors' names of the layers of each CNN, in their order."""
    found: dict[str, set[str]] = {}
    for name in names:
        if stack := _STACK.fullmatch(name):
            found.setdefault(stack[1], set()).add(stack[2])
    return {stack: sorted(layers, key=natural_key) for stack, layers in found.items()}


def _translate(name: str, places: Mapping[str, str], layers: Mapping[str, list[str]]) -> str:
    if name in _RATES:
        return _RATES[name]
    stack = _STACK.fullmatch(name)
    if stack and stack[1] in places:
        part = "norm" if stack[3] == "bn" else "conv"
        return f"{places[stack[1]]}.{layers[stack[1]].index(stack[2])}.{part}.{stack[4]}"
    module, _, weight = name.rpartition(".")
    return f"{places[module]}.{weight}" if module in places else name


def _is_second(model: Model, name: str) -> bool:
    """Whether a name is the second one of a module of the authors' model."""
    return isinstance(model, Stawm) and _SECOND_NAME.match(name) is not None


def _tensor(name: str, value: Any) -> Tensor:
    try:
        return torch.as_tensor(value)
    except Exception as error:  # of many kinds, by what it is
        raise CheckpointError(
            f"The state dict has no tensor under {shown(name)} but a {type(value).__name__}."
        ) from error


def _check_model(model: Model) -> None:
    config: Any = getattr(model, "config", None)
    faults = []
    if isinstance(model, Stawm):
        known = (Conv.Config, MobileNetV2Cifar.Config)
        faults += [] if isinstance(config.context, Conv.Config) else [f"the backbone {config.context.name!r}"]
        faults += [] if isinstance(config.backbone, known) else [f"the backbone {config.backbone.name!r}"]
        faults += [f"the locator {config.locator.name!r}"] if config.locator.name != "affine" else []
        faults += [f"where={config.where!r}"] if config.where != "pose" else []
        faults += [f"the memory {config.memory.name!r}"] if config.memory.name != "hebb-rosenblatt" else []
        faults += ["constrained rates"] if getattr(config.memory, "constrained", False) else []
    elif isinstance(model, Baseline):
        faults += [] if isinstance(config.backbone, Conv.Config) else [f"the backbone {config.backbone.name!r}"]
        faults += [f"the head {head.name!r}" for head in config.heads if head.name != "drawing"]
    else:
        raise InputError(f"The authors' weights go into a model that stawm.build made; got {type(model).__name__}.")
    if faults:
        raise InputError(f"The authors' code has no like of {config.name} with {' and '.join(faults)}.")


def _unwrapped(state_dict: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the weights by their plain names, out of what torchbearer saves and out of a parallel model."""
    inner = state_dict.get("model")
    weights = inner if isinstance(inner, Mapping) else state_dict
    return {str(name).removeprefix("module."): value for name, value in weights.items()}


def _check_corners(model: Model, trained_with: str | None) -> None:
    """Raise an InputError where a model samples with other corners than the PyTorch that its weights are from."""
    if trained_with is None:
        return
    version = re.match(r"(\d+)\.(\d+)", str(trained_with))
    if version is None:
        raise InputError(f"trained_with is a version of PyTorch, such as '1.0.0' or '2.9'; got {trained_with!r}.")
    aligned = (int(version[1]), int(version[2])) < (1, 3)
    locator: Any = getattr(model.config, "locator", None)
    if locator is not None and locator.align_corners != aligned:
        word = "aligned" if aligned else "free"
        raise InputError(
            f"PyTorch {trained_with} sampled images with {word} corners: build the model with "
            f"locator.align_corners={str(aligned).lower()}."
        )


def _check_fit(model: Model, own: Mapping[str, Tensor], moved: Mapping[str, Tensor], taken: Mapping[str, str]) -> None:
    faults = {
        "missing": [name for name in own if name not in moved and not name.endswith("num_batches_tracked")],
        "unexpected": [name for name in moved if name not in own],
        "of another shape": [
            f"{taken[name]} ({tuple(moved[name].shape)} for {tuple(own[name].shape)})"
            for name in moved
            if name in own and moved[name].shape != own[name].shape
        ],
    }
    if any(faults.values()):
        said = "; ".join(f"{label}: {shortened(names, 40)}" for label, names in faults.items() if names)
        raise CheckpointError(f"The state dict does not fit {model.config.name}: {said}.")
