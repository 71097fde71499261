"""A model after its data: what the data says of itself wins over what a preset says of other data."""

import logging
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from stawm.configuration import Config, split_dotted
from stawm.errors import InputError
from stawm.heads.config import label_of
from stawm.models.classes import listed, match, note_on_places
from stawm.models.config import SharedConfig, override
from stawm.models.resolve import ModelSpec, learned_with
from stawm.training.data import ImageSet, Splits, batches
from stawm.training.data.alignment import aligned, learns_places, target_kinds
from stawm.training.data.checks import check_pixels, check_targets

logger = logging.getLogger("stawm.training")
FIELDS = frozenset({"image", "mean", "std", "class_names", "classes"})
"""What follows the data where the user does not give it."""
LEARNED = "learned"
"""Stands among the fixed fields where the names that a model has are those of classes that it learned already."""
PUBLISHED = {
    "digits": ((0.3,), (0.35,)),
    "mnist": ((0.1307,), (0.3081,)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
}
"""Mean and standard deviation of sets that have usual ones."""
MEASURED = 10_000
"""On how many images mean and standard deviation are measured at most, spread over all of them."""
BATCH = 128
"""Images that are measured together."""
DIGITS = 4
"""To how many decimals they are rounded, as published ones are."""
COLOURS = {1: "1 channel (grey)", 3: "3 channels (colour)"}


def given_fields(spec: ModelSpec, overrides: Mapping[str, Any], begun: SharedConfig | None = None) -> frozenset[str]:
    """Return which of the fields that follow the data do not, since the user or the weights decide them.

    Args:
        spec: The model that is asked for; a complete configuration decides all of them.
        overrides: Fields of the model that were given beside it.
        begun: The model whose weights are taken, which were learned with its image form and normalisation.

    Examples:
        >>> sorted(given_fields("stawm-digits", {"heads.classification.classes": 3, "glimpses": 2}))
        ['classes']
        >>> sorted(given_fields({"preset": "stawm-digits", "std": [0.5]}, {"image": [3, 32, 32]}))
        ['image', 'std']
    """
    if not isinstance(spec, str) and not (isinstance(spec, Mapping) and "preset" in spec):
        return FIELDS
    layers = [split_dotted(spec)] if isinstance(spec, Mapping) else []
    changes = [*layers, split_dotted(overrides)]
    found = {key for layer in changes for key in layer if key in FIELDS}
    found |= {"classes"} if any(_gives_classes(layer.get("heads")) for layer in changes) else set()
    if begun is not None:
        found |= {"image", "mean", "std"} | ({"classes", LEARNED} if begun.answers is not None else set())
    return frozenset(found)


class Met(NamedTuple):
    """A model and its data, each as it goes with the other.

    Attributes:
        config: The model, with what the data says.
        splits: The data, with its classes as the model numbers them.
        said: What the model took from the data, in words.
    """

    config: SharedConfig
    splits: Splits
    said: tuple[str, ...]


def meet(config: SharedConfig, splits: Splits, learned: ImageSet, fixed: Collection[str]) -> Met:
    """Bring a model and its data together, before anything is made of them.

    Args:
        config: The model.
        splits: The data.
        learned: The part of the training images that is learned from.
        fixed: What of the model stays as it is; see `given_fields`.

    Raises:
        InputError: The data is wrong in itself, of another form than the model takes, or of other classes.
        ConfigError: What is fixed does not go together with what the data says.
    """
    if learns_places(config) and not learned.knows_places:
        raise InputError(
            f"{config.name} learns where things are, by its policy, and these images do not say it: train it on scenes "
            "(--data clutter:ROOT), or with policy=deterministic."
        )
    found = adapt(config, Splits(learned, splits.test), fixed)
    lines = said(config, found, learned)
    for line in lines:
        logger.debug(line)  # for those who keep logs; people read it on stderr, where `train` says it once
    parts = ((splits.train, "the training images"), (splits.test, "the test images"))
    return Met(found, Splits(*(_checked(part, found, what) for part, what in parts)), lines)


def _checked(images: ImageSet, config: SharedConfig, what: str) -> ImageSet:
    if not len(images) or not config.takes(images.shape):
        have, want = ("x".join(map(str, shape)) for shape in (images.shape, config.image))
        form = ",".join(map(str, images.shape))
        cure = f" Bring them to that size, or build the model with image={form}." if len(images) else ""
        raise InputError(f"{config.name} takes images of {want}; got {len(images):,} of {have} as {what}.{cure}")
    return aligned(images, config, what)


def adapt(config: SharedConfig, splits: Splits, fixed: Collection[str]) -> SharedConfig:
    """Return a model's configuration with what the data says: channels, classes and their names, mean and std.

    The size of the images stays the model's, as its glimpses are made for it; a model that takes images of any size is
    said to be trained with the data's. A model that does not normalise,
    such as the paper's models that draw, still does not. Mean and std are those that pretrained weights of a network
    were learned with; without such weights, the usual ones of sets that have some; of others they are measured on the
    training images.

    Args:
        config: The configuration.
        splits: What is learned from, and what is tested on.
        fixed: What stays as it is; see `given_fields`.

    Raises:
        InputError: The training images are none or have pixels that are not legal, or the labels say no number of
            classes.
        ConfigError: What is fixed does not go together with what the data says.
    """
    if not len(splits.train):
        raise InputError("There are no images to train on.")
    check_pixels(splits.train.images, "the training images")
    sizes = splits.train.shape if config.any_size else config.image
    found = {"image": (splits.train.shape[0], *sizes[1:])} | _normalised(config, splits.train)
    changes = {key: value for key, value in found.items() if key not in fixed}
    return override(config, changes | _classes(config, splits, fixed))


def _normalised(config: SharedConfig, train: ImageSet) -> dict[str, tuple[float, ...]]:
    if any(config.mean) or set(config.std) != {1.0}:
        mean, std = learned_with(config, train.shape[0]) or normalisation(train)
        return {"mean": mean, "std": std}
    return {"mean": (0.0,), "std": (1.0,)}


def _classes(config: SharedConfig, splits: Splits, fixed: Collection[str]) -> dict[str, Any]:
    """Return the changes of the number of classes and of their names."""
    if "class_names" in fixed or not {"classes", "answers"} & {*target_kinds(config)} or config.answers is None:
        return {}
    names = splits.train.class_names
    if "classes" in fixed:
        free = not config.class_names or LEARNED not in fixed
        return {"class_names": names} if free and len(names) == config.answers else {}
    if not config.classifies:
        return _answers(config, splits.train)
    if names and set(match(config.class_names, names)) == set(range(len(config.class_names))):
        return {}
    count = len(names) or _count(splits)
    return {"heads": {"classification": {"classes": count}}, "class_names": names}


def _answers(config: SharedConfig, train: ImageSet) -> dict[str, Any]:
    """Return the changes of how many questions there are, of the number of answers, and of their names."""
    check_targets(train.labels, ("answers",), None, "the training images")
    names, head = train.class_names, config.head("recall")
    known = bool(names) and set(match(config.class_names, names)) == set(range(len(config.class_names)))
    changes = {} if known else {"classes": len(names) or int(train.labels.max()) + 1}
    if head.cues is not None and head.cues != train.labels.shape[1]:
        changes |= {"cues": train.labels.shape[1], "cue_names": ()}
    return ({"heads": {"recall": changes}} if changes else {}) | ({} if known else {"class_names": names})


def _count(splits: Splits) -> int:
    """Return how many classes there are where they have no names: each number from 0 must have images."""
    for part, what in zip(splits, ("the training images", "the test images"), strict=True):
        check_targets(part.labels, ("classes",), None, what)
    there = splits.train.labels.unique().tolist()
    if there != list(range(len(there))):
        lacking = next(number for number, label in enumerate(there) if number != label)
        raise InputError(
            f"The classes of the training images have no names, and their numbers go up to {there[-1]} but there is no "
            f"image of class {lacking}: number the classes from 0 without gaps, name all of them (class_names), or say "
            "how many there are by heads.classification.classes."
        )
    return len(there)


def said(before: SharedConfig, after: SharedConfig, train: ImageSet) -> tuple[str, ...]:
    """Say in words, a line each, what the data changed of a configuration."""
    lines = []
    if before.image != after.image:
        channels = after.image[0]
        lines.append(f"images: {COLOURS.get(channels, f'{channels} channels')}, from the data")
    if (before.answers, before.class_names) != (after.answers, after.class_names):
        names = f"({listed(after.class_names)})" if after.class_names else "(numbered)"
        lines.append(f"{'classes' if after.classifies else 'answers'}: {after.answers} {names}, from the data")
    asked = [getattr(config.head("recall"), "cues", None) for config in (before, after)]
    if asked[0] != asked[1]:
        lines.append(f"questions: {asked[1]}, from the data")
    if (before.mean, before.std) != (after.mean, after.std):
        lines.append(f"mean {_row(after.mean)} and std {_row(after.std)}, {_whence(after, train)}")
    note = note_on_places(after, train.class_names)
    return (*lines, note) if note and train.class_names else tuple(lines)


def _whence(config: SharedConfig, train: ImageSet) -> str:
    if learned_with(config, train.shape[0]) is not None:
        return "those that the pretrained weights were learned with"
    if train.source in PUBLISHED:
        return f"the usual ones of {train.source}"
    return f"from {_measured_on(train):,} training images"


def normalisation(images: ImageSet) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and the standard deviation of each channel, in [0, 1]: the set's usual ones, or measured.

    Bytes are added up as whole numbers, so that every machine gets the same.
    """
    if images.source in PUBLISHED:
        return PUBLISHED[images.source]
    step = _step(images)
    some = images.take(slice(0, None, step)) if step > 1 else images
    total, squares, count = torch.zeros((), dtype=torch.long), torch.zeros((), dtype=torch.long), 0
    for raw, _ in batches(some, BATCH):
        pixels = raw.long() if raw.dtype == torch.uint8 else raw.double()
        total, squares = total + _over_channels(pixels), squares + _over_channels(pixels.square())
        count += pixels[:, 0].numel()
    top = 255 if total.dtype == torch.long else 1
    means = [value / count / top for value in total.tolist()]
    spread = [square / count / top**2 - m**2 for square, m in zip(squares.tolist(), means, strict=True)]
    stds = [round(max(value, 0.0) ** 0.5, DIGITS) or 1.0 for value in spread]
    return tuple(round(value, DIGITS) for value in means), tuple(stds)


def _over_channels(pixels: Tensor) -> Tensor:
    return pixels.sum(dim=(0, 2, 3)).cpu()


def _step(images: ImageSet) -> int:
    return -(-len(images) // MEASURED)


def _measured_on(images: ImageSet) -> int:
    return -(-len(images) // _step(images))


def _row(values: Collection[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def _gives_classes(heads: Any) -> bool:
    """Whether a specification of heads says how many classes there are."""
    if isinstance(heads, Config):
        return hasattr(heads, "classes") and not label_of(heads)
    if isinstance(heads, Mapping):
        if heads.get("label"):
            return False
        named = heads.get("name") in ("classification", "recall")
        inner = [heads] if named else [heads.get(name, {}) for name in ("classification", "recall")]
        return any(
            _gives_classes(h) if isinstance(h, Config) else isinstance(h, Mapping) and "classes" in h for h in inner
        )
    return isinstance(heads, (list, tuple)) and any(_gives_classes(head) for head in heads)
