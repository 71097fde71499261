"""Which tensors of a file a model takes, all of them or those that fit, and what came of it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from stawm import registry
from stawm.errors import CheckpointError
from stawm.heads.config import label_of
from stawm.models.config import SharedConfig
from stawm.models.model import Model
from stawm.registry import Kind

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What a model's weights came from, and what of it the model took.

    Attributes:
        path: The file.
        sha256: The hash over its header and weights.
        repository: The repository of the Hugging Face hub that it came from, if it did.
        revision: The commit there.
        taken: The tensors that were taken whole.
        rows: The classes whose rows were taken, by name, of heads for other classes.
        partly: The tensors of which those rows were taken.
        left: The tensors of the file that the model has no use for.
        new: The tensors of the model that are not in the file, or of another shape there: they begin at random.
    """

    path: Path
    sha256: str
    repository: str | None = None
    revision: str | None = None
    taken: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    partly: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    new: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether the model took everything, and nothing of it is random."""
        return not (self.partly or self.left or self.new)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {**{k: list(v) if isinstance(v, tuple) else v for k, v in vars(self).items()}, "path": str(self.path)}

    def __str__(self) -> str:
        origin = f"{self.repository} at {self.revision}" if self.repository else str(self.path)
        lines = [f"{len(self.taken)} tensors were taken from {origin}."]
        if self.partly:
            lines.append(f"Of {shortened(self.partly)} were taken the rows of {shortened(self.rows)}; the rest is new.")
        if self.new:
            lines.append(f"New, and random: {shortened(self.new)}.")
        if self.left:
            lines.append(f"Not used: {shortened(self.left)}.")
        return "\n".join(lines)


def former_names(model: nn.Module) -> dict[str, str]:
    """Return for each tensor of a model that was renamed the name that files of the first version know it by."""
    own = model.state_dict()
    pairs = [
        (f"{path}.{new}", f"{path}.{old}")
        for path, module in model.named_modules()
        for new, old in getattr(module, "formerly", {}).items()
    ]
    return {new: old for new, old in pairs if new in own and old not in own}


def renamed(tensors: Mapping[str, T], model: Model) -> dict[str, T]:
    """Return what a file holds, with the former names of the model that it is of replaced by those of today."""
    heads = _heads_of_today({name.split(".")[1] for name in tensors if name.startswith("heads.")}, model)
    found = {_under(heads, name): tensor for name, tensor in tensors.items()}
    today = {old: new for new, old in former_names(model).items() if new not in found}
    return {today.get(name, name): tensor for name, tensor in found.items()}


def _heads_of_today(heads: Collection[str], model: Model) -> dict[str, str]:
    """Return for each head that the model does not have what it is called today."""
    own = {name.split(".")[1] for name in model.state_dict() if name.startswith("heads.")}
    others = {*heads} - own
    known = registry.known() if others else set()
    with registry.for_stranger():
        return {head: registry.current(Kind.HEAD, head) for head in others if (str(Kind.HEAD), head) in known}


def _under(heads: Mapping[str, str], tensor: str) -> str:
    place, *inner = tensor.split(".")
    return ".".join([place, heads.get(inner[0], inner[0]), *inner[1:]]) if place == "heads" and inner else tensor


LATENT_OF_DRAWING = {f"mu.{part}": f"heads.drawing.mu.{part}" for part in ("weight", "bias")}
"""What a baseline that classifies the latent of another one takes of that one's head."""


def under_heads_of(model: Model, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a model's own heads on the rest of the tensors, but for an inverse pose that this model does not have."""
    own = model.state_dict()
    heads = {name: tensor for name, tensor in own.items() if name.startswith("heads.")}
    heads |= {new: tensors[old] for new, old in LATENT_OF_DRAWING.items() if new in own and old in tensors}
    known = (name for name in tensors if name in own or not name.startswith("loop.inverse_emitter."))
    return heads | {name: tensors[name] for name in known if not name.startswith("heads.")}


def check_fit(model: Model, tensors: Mapping[str, Tensor | tuple[int, ...]], path: Path, advice: str = "") -> None:
    """Raise unless the tensors, or their shapes, are those of the model."""
    own = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    given = {name: tuple(t.shape) if isinstance(t, Tensor) else t for name, t in tensors.items()}
    lists = {
        "missing": [name for name in own if name not in given],
        "unexpected": sorted(name for name in given if name not in own),
        "of another shape": [
            f"{name} ({given[name]} for {shape})" for name, shape in own.items() if given.get(name, shape) != shape
        ],
    }
    if any(lists.values()):
        said = "; ".join(f"{label}: {shortened(names)}" for label, names in lists.items() if names)
        raise CheckpointError(f"{path} does not fit {model.config.name}: {said}.{advice}")


def choose(
    model: Model, tensors: Mapping[str, Tensor], trained: SharedConfig, loaded: Loaded
) -> tuple[dict[str, Tensor], Loaded]:
    """Return what a model takes of tensors that were learned by another: what is of the same name and shape.

    Of heads for other classes the rows of the classes that both know by name are taken.

    Args:
        model: The model.
        tensors: The tensors of the file.
        trained: The configuration that they are of.
        loaded: Where they came from.

    Raises:
        CheckpointError: There is nothing to take.
    """
    own = model.state_dict()
    given = tensors
    tensors = {name: tensor for name, tensor in given.items() if not _is_of_another_memory(name, model.config, trained)}
    filled, taken, partly = dict(own), [], []
    shared = _shared_classes(model.config, trained)
    for name, tensor in own.items():
        if name not in tensors:
            continue
        if shared is not None and _is_by_class(name, tensor, tensors[name], model.config, trained):
            filled[name] = _with_rows(tensor, tensors[name], shared)
            partly.append(name)
        elif tensors[name].shape == tensor.shape:
            filled[name] = tensors[name]
            taken.append(name)
    partly = partly if shared else []
    used = {*taken, *partly}
    if not used:
        raise CheckpointError(f"{loaded.path} has nothing in common with {model.config.name}: no tensor fits.")
    names = [model.config.class_names[row] for row in shared or ()]
    report = replace(
        loaded,
        taken=tuple(taken),
        rows=tuple(names if partly else ()),
        partly=tuple(partly),
        left=tuple(sorted(name for name in given if name not in used)),
        new=tuple(name for name in own if name not in used),
    )
    return filled, report


def shortened(names: list[str] | tuple[str, ...], most: int = 4) -> str:
    """Write a list of names, the first ones where there are many."""
    return ", ".join([*names[:most], *([f"and {len(names) - most} more"] if len(names) > most else [])])


def _shared_classes(config: SharedConfig, trained: SharedConfig) -> dict[int, int] | None:
    """Return the rows of the classes that both name, here and there; None where one names none, or all are equal."""
    ours, theirs = config.class_names, trained.class_names
    if not ours or not theirs or ours == theirs:
        return None
    return {row: theirs.index(name) for row, name in enumerate(ours) if name in theirs}


def _is_of_another_memory(name: str, config: SharedConfig, trained: SharedConfig) -> bool:
    """Whether a tensor is of a memory that only calls it by the same name: a rate of one rule is none of another."""
    ours, theirs = (getattr(getattr(each, "memory", None), "name", None) for each in (config, trained))
    return name.startswith("memory.") and ours != theirs


def _is_by_class(name: str, own: Tensor, given: Tensor, config: SharedConfig, trained: SharedConfig) -> bool:
    """Whether a tensor of a head has a row for each named class, here and in the file; a query has none."""
    if not name.startswith("heads.") or ".query." in name or not own.ndim or own.shape[1:] != given.shape[1:]:
        return False
    if name.split(".")[1] in map(label_of, config.heads):  # its classes are others than those that have the names
        return False
    return given.ndim > 0 and len(own) == len(config.class_names) and len(given) == len(trained.class_names)


def _with_rows(own: Tensor, given: Tensor, rows: Mapping[int, int]) -> Tensor:
    filled = own.clone()
    with torch.no_grad():
        for ours, theirs in rows.items():
            filled[ours] = given[theirs].to(filled)
    return filled
