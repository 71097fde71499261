"""A set as a certain model takes it: its classes by the model's numbers, its targets as the heads learn them."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor

from stawm import registry
from stawm.configuration import Config
from stawm.errors import InputError
from stawm.heads.classification import ClassificationHead
from stawm.heads.config import called
from stawm.heads.recall import RecallHead
from stawm.models.classes import places
from stawm.models.config import SharedConfig
from stawm.registry import Kind
from stawm.training.data.checks import check_pixels, check_targets
from stawm.training.data.sets import ImageSet
from stawm.training.data.streamed import Streamed


def aligned(images: ImageSet, config: SharedConfig, what: str = "the images") -> ImageSet:
    """Return a set whose classes have the model's numbers and names; the set itself where it is so already.

    Args:
        images: The set.
        config: The model.
        what: What the set is called in a message.

    Raises:
        InputError: A class of the set is none of the model's, or the numbers in the set are not legal: labels out of
            range or of another type than the model's heads learn, pixels that are floats outside [0, 1].
    """
    check_pixels(images.images, what)
    kinds, names = target_kinds(config), images.class_names
    _check_counts(config)
    numbered = bool({"classes", "answers"} & {*kinds})
    known = places(config, names, what) if numbered else None
    check_targets(images.labels, kinds, len(names) or config.answers, what)
    _check_cues(config, images.labels, what)
    changes: dict[str, object] = {}
    if (pixels := _single(images.images)) is not images.images:
        changes["images"] = pixels
    if numbered:
        labels = _numbered(images.labels, known)
        if known is not None and isinstance(images.images, Streamed):
            changes["images"] = images.images.renumbered(known)
        changes |= {"labels": labels} if labels is not images.labels else {}
        known_as = config.class_names or names
        changes |= {"class_names": known_as} if known_as != names else {}
    elif "values" in kinds and images.labels.dtype != torch.float32:
        changes["labels"] = images.labels.float()
    return replace(images, **changes) if changes else images


def known_labels(images: ImageSet, config: SharedConfig) -> Int[Tensor, "count"] | None:
    """Return the class of each image by the model's numbers; None where the model tells no such classes apart."""
    if "classes" not in target_kinds(config):
        return None
    try:
        return aligned(images, config).labels
    except InputError:
        return None


def target_kinds(config: SharedConfig) -> tuple[str, ...]:
    """Return what the heads of a model learn: ``"classes"``, ``"values"``, ...; drawing needs no targets."""
    found = (_targets(head) for head in config.heads)
    return tuple(dict.fromkeys(kind for kind in found if kind is not None))


def learns_places(config: SharedConfig) -> bool:
    """Whether a model learns from the boxes of things."""
    policy = getattr(config, "policy", None)
    return policy is not None and registry.find(Kind.POLICY, policy.name).load().learns_places


def _targets(head: Config) -> str | None:
    usual = "classes" if hasattr(head, "classes") else None
    return getattr(registry.find(Kind.HEAD, head.name).load(), "targets", usual)


def _check_counts(config: SharedConfig) -> None:
    """Raise an InputError where heads tell different numbers of classes apart: an image of a set has one class."""
    counts = {called(h): h.classes for h in config.heads if isinstance(h, ClassificationHead.Config)}
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise InputError(
            f"The heads of {config.name} tell different numbers of classes apart ({said}), and an image of a set has "
            "one class: train and measure in a loop of your own, with the targets as a mapping by the heads' names."
        )


def _check_cues(config: SharedConfig, labels: Tensor, what: str) -> None:
    """Raise an InputError where a set has targets for another number of questions than a head asks."""
    counts = {called(h): h.cues for h in config.heads if isinstance(h, RecallHead.Config) and h.cues is not None}
    wrong = [name for name, count in counts.items() if labels.shape[1] != count]
    if wrong:
        raise InputError(
            f"The targets of {what} are of {labels.shape[1]} questions, and the head {wrong[0]!r} asks "
            f"{counts[wrong[0]]}: build the model with heads.{wrong[0]}.cues={labels.shape[1]}."
        )


def _numbered(labels: Tensor, known: tuple[int, ...] | None) -> Tensor:
    labels = labels.long()
    if known is None or known == tuple(range(len(known))):
        return labels
    return renumbered(labels, known)


def renumbered(labels: Tensor, known: Sequence[int]) -> Tensor:
    """Return labels by other numbers; where there is none, there still is none."""
    return torch.where(labels < 0, labels, torch.tensor(known, device=labels.device)[labels.clamp(min=0)])


def _single(images: Tensor | Streamed) -> Tensor | Streamed:
    """Return floats in single precision, which models are trained in."""
    return images.float() if isinstance(images, Tensor) and images.is_floating_point() else images
