"""Data against itself: whether images, targets, names and masks belong together, and are what they have to be."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from stawm.errors import InputError
from stawm.heads.recall import HOLE
from stawm.models.classes import listed
from stawm.models.pixels import to_unit
from stawm.training.data.streamed import Streamed

CHUNK = 4096
"""Images that are looked at together."""


def check_form(images: Any, labels: Any, class_names: Any, masks: Any) -> None:
    """Raise an InputError unless the parts of a set are of legal types and shapes, and as many as each other."""
    if not isinstance(images, Streamed):
        is_pixels = isinstance(images, Tensor) and (images.dtype == torch.uint8 or images.is_floating_point())
        if not is_pixels or images.ndim != 4:
            raise InputError(
                "The images of a set must be a tensor of shape (count, channels, height, width), of bytes (uint8) from "
                f"0 to 255 or of floats in [0, 1]; got {said(images)}."
            )
    if not isinstance(labels, Tensor) or labels.ndim not in (1, 2):
        raise InputError(
            "The labels of a set must be a tensor: one class number for each image, or of shape (count, k) for heads "
            f"that learn other targets; got {said(labels)}."
        )
    if len(labels) != len(images):
        raise InputError(
            f"There must be as many labels as images; got {len(labels):,} labels for {len(images):,} images."
        )
    if not isinstance(class_names, tuple) or not all(isinstance(name, str) for name in class_names):
        raise InputError(f"The names of the classes must be a tuple of strings; got {class_names!r}.")
    twice = sorted({name for name in class_names if class_names.count(name) > 1}) if _repeats(class_names) else []
    if twice:
        raise InputError(f"Each class must have a name of its own; got more than once: {listed(twice)}.")
    if masks is not None:
        shape = (len(images), 1, *images.shape[2:])
        of_flags = isinstance(masks, Streamed) or (isinstance(masks, Tensor) and masks.dtype == torch.bool)
        if not of_flags or tuple(masks.shape) != shape:
            raise InputError(f"The masks of a set must be booleans of shape {shape}; got {said(masks)}.")


def check_targets(labels: Tensor, kinds: Sequence[str], classes: int | None, what: str) -> None:
    """Raise an InputError unless the targets of a set are what the heads of a model learn.

    Args:
        labels: The targets.
        kinds: What the heads learn: ``"classes"``, ``"values"``, ``"flags"`` or ``"answers"``; with none, nothing is
            checked.
        classes: How many classes there are; None where that is not known.
        what: What the set is called in a message.
    """
    for kind in kinds:
        _CHECKS[kind](labels, classes, what)


def check_pixels(images: Tensor | Streamed, what: str) -> None:
    """Raise an InputError unless pixels that are floats are in [0, 1], as `to_unit` has it."""
    if isinstance(images, Streamed) or images.dtype == torch.uint8:
        return
    for start in range(0, len(images), CHUNK):
        part = images[start : start + CHUNK]
        finite = part.isfinite().all(dim=3).all(dim=2).all(dim=1)
        if not finite.all():
            first = start + int((~finite).nonzero()[0])
            raise InputError(
                f"Image {first:,} of {what} has pixels that are no numbers (NaN or infinity): mend or remove it."
            )
        to_unit(part)


def _check_classes(labels: Tensor, classes: int | None, what: str) -> None:
    if labels.ndim != 1 or labels.dtype == torch.bool or labels.is_floating_point() or labels.is_complex():
        raise InputError(
            f"The labels of {what} must be class numbers, integers of shape (count,); got {said(labels)}. "
            + (
                "Turn a row for each image into one number, by labels.argmax(dim=1) if it marks the class."
                if labels.ndim == 2
                else "Turn them into integers, by labels.long()."
            )
        )
    wrong = labels < 0 if classes is None else (labels < 0) | (labels >= classes)
    if wrong.any():
        first = int(wrong.nonzero()[0])
        legal = "0 or more" if classes is None else f"in [0, {classes - 1}], as there are {classes} classes"
        raise InputError(
            f"The labels of {what} must be {legal}; {int(wrong.sum()):,} of {len(labels):,} are not, the first is "
            f"{int(labels[first])}, of image {first:,}."
        )


def _check_values(labels: Tensor, classes: int | None, what: str) -> None:
    if labels.ndim != 2 or not labels.is_floating_point():
        raise InputError(f"The targets of {what} must be floats of shape (count, k); got {said(labels)}.")
    wrong = ~labels.isfinite().all(dim=1)
    if wrong.any():
        first = int(wrong.nonzero()[0])
        raise InputError(
            f"The targets of {what} must be finite numbers; those of image {first:,} are {labels[first].tolist()}."
        )


def _check_flags(labels: Tensor, classes: int | None, what: str) -> None:
    if labels.ndim != 2 or not ((labels == 0) | (labels == 1)).all():
        values = "" if labels.ndim != 2 else " with other values than 0 and 1"
        raise InputError(f"The targets of {what} must be 0 or 1, of shape (count, k); got {said(labels)}{values}.")


def _check_answers(labels: Tensor, classes: int | None, what: str) -> None:
    if labels.ndim != 2 or labels.dtype == torch.bool or labels.is_floating_point() or labels.is_complex():
        raise InputError(
            f"The targets of {what} must be the numbers of answers, integers of shape (count, k), {HOLE} where there "
            f"is none; got {said(labels)}."
        )
    wrong = (labels < HOLE) if classes is None else (labels < HOLE) | (labels >= classes)
    if wrong.any():
        first, cue = (int(part) for part in wrong.nonzero()[0])
        legal = f"{HOLE} or more" if classes is None else f"{HOLE}, or in [0, {classes - 1}]"
        raise InputError(
            f"The targets of {what} must be {legal}; {int(wrong.sum()):,} are not, the first is "
            f"{int(labels[first, cue])}, of question {cue} about image {first:,}."
        )


_CHECKS = {"classes": _check_classes, "values": _check_values, "flags": _check_flags, "answers": _check_answers}


def said(given: Any) -> str:
    """Say what was given: type and shape of a tensor, the type of anything else."""
    if isinstance(given, Tensor):
        return f"{str(given.dtype).removeprefix('torch.')} of shape {tuple(given.shape)}"
    return f"{type(given).__name__}, turn it into a tensor first" if hasattr(given, "__len__") else type(given).__name__


def _repeats(names: Sequence[str]) -> bool:
    return len(set(names)) < len(names)
