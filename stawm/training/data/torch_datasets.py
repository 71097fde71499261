"""PyTorch's own data sets as sets to train and test on: read once, in their order, and held in memory."""

import logging
import warnings
from collections.abc import Mapping, Sized
from numbers import Integral
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
)

from stawm.errors import InputError
from stawm.models.pixels import to_unit
from stawm.training.data.checks import said
from stawm.training.data.sets import ImageSet, Splits, split

logger = logging.getLogger("stawm.data")
HELD_OUT = 0.2
"""The share that is held out for testing where there is no test part."""
TEST_NAMES = ("test", "val", "valid", "validation", "eval")
"""What the part to test on may be called; the first that is there counts."""
MODES = {"1": "L", "L": "L", "RGB": "RGB"}
"""The modes of pictures that mean one thing only, and what they are read as."""
AnySet: TypeAlias = ImageSet | Dataset[Any] | DataLoader[Any]


def as_splits(given: Any, seed: int = 0, held_out: float = HELD_OUT) -> Splits:
    """Return what to train on and to test on, given in any of the forms that `stawm.training.train` takes.

    Args:
        given: `Splits`; a pair of sets, or a mapping of them by ``train`` and ``test`` (or ``val``); or one set, of
            which some is held out for testing. Each is whatever `as_image_set` takes.
        seed: Decides what is held out.
        held_out: The share that is held out of a single set.

    Raises:
        InputError: It is of another form, or a set cannot be read.
    """
    if isinstance(given, Mapping):
        test = next((name for name in TEST_NAMES if name in given), None)
        if test is None or set(given) != {"train", test}:
            raise InputError(
                f"Data as a mapping has 'train' and 'test'; got {', '.join(map(repr, given)) or 'nothing'}."
            )
        given = (given["train"], given[test])
    if isinstance(given, (tuple, list)):
        if len(given) != 2:
            raise InputError(f"Data as a pair is what to train on and what to test on; got {len(given)} things.")
        return Splits(as_image_set(given[0], name="the training set"), as_image_set(given[1], name="the test set"))
    whole = as_image_set(given, name="the data")
    if len(whole) < 2:
        raise InputError(f"The data holds {len(whole)} images, too few to hold some out for testing.")
    splits = split(whole, held_out, seed)
    logger.warning(
        "The data has no test part: %s of its %s images, drawn at random by seed %s, are held out to test on.",
        *(len(splits.test), len(whole), seed),
    )
    return splits


def as_image_set(dataset: AnySet, *, name: str = "the dataset") -> ImageSet:
    """Return a PyTorch data set as images with their targets, all held in memory.

    Every item is read once, in order, so what a transform draws at random is drawn once: leave augmentation to the
    recipe, and normalisation to the model. The names of the classes are the data set's ``classes`` or ``class_names``,
    where it has them.

    Args:
        dataset: A map-style `torch.utils.data.Dataset`, or a `DataLoader`, of which the data set is taken; an
            `ImageSet` is returned as it is. An item is (image, target): the image a picture of Pillow's, a uint8
            tensor or a float tensor in [0, 1], (c, h, w) or (h, w), all of one size; the target a class number, or
            other numbers for heads that learn other things.
        name: What it is called in a message.

    Raises:
        InputError: It is no such data set, or an item is not of that form; the message says which, and the cure.

    Examples:
        >>> import torch
        >>> from stawm.training.data import as_image_set
        >>> pixels, labels = torch.zeros(4, 1, 16, 16, dtype=torch.uint8), torch.tensor([0, 1, 1, 0])
        >>> as_image_set(torch.utils.data.TensorDataset(pixels, labels)).shape
        (1, 16, 16)
    """
    if isinstance(dataset, ImageSet):
        return dataset
    if isinstance(dataset, DataLoader):
        dataset = _behind(dataset, name)
    if isinstance(dataset, IterableDataset):
        raise InputError(
            f"{name} is an IterableDataset, which has neither length nor order: give one with items by number."
        )
    if not hasattr(dataset, "__getitem__") or not isinstance(dataset, Sized) or isinstance(dataset, (Tensor, str)):
        raise InputError(
            f"{name} must be an ImageSet, or a torch Dataset or DataLoader with a length and items by number; got "
            f"{said(dataset)}."
        )
    if not len(dataset):
        raise InputError(f"{name} holds no images.")
    items: Any = dataset
    pairs = [_item(items[index], index, name) for index in range(len(dataset))]
    return ImageSet(_stack([image for image, _ in pairs], name), _targets([t for _, t in pairs], name), _names(dataset))


def _behind(loader: DataLoader[Any], name: str) -> Dataset[Any]:
    """Return the data set behind a loader that goes through all of it."""
    batches = loader.batch_sampler
    sampler = batches.sampler if type(batches) is BatchSampler else loader.sampler if batches is None else batches
    if isinstance(loader.dataset, IterableDataset):
        return loader.dataset
    if not isinstance(sampler, (SequentialSampler, RandomSampler)):
        raise InputError(
            f"{name} is a DataLoader that draws by a {type(sampler).__name__}: give the images that it draws as a data "
            "set, such as torch.utils.data.Subset(dataset, indices)."
        )
    if isinstance(sampler, RandomSampler):
        warnings.warn(
            f"The shuffling of the DataLoader of {name} is not used: training shuffles by the seed of its run.",
            stacklevel=4,
        )
    return loader.dataset


def _item(item: Any, index: int, name: str) -> tuple[Tensor, Any]:
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        raise InputError(f"An item of {name} must be a pair (image, target); item {index} is a {type(item).__name__}.")
    return _pixels(item[0], f"the image of item {index} of {name}"), item[1]


def _pixels(image: Any, what: str) -> Tensor:
    """Return an image as bytes or as floats in [0, 1], (c, h, w)."""
    if isinstance(image, Image.Image):
        if image.mode not in MODES:
            raise InputError(
                f"{what} is a picture of mode {image.mode}, which can be read in several ways: convert it in the data "
                "set, by image.convert('RGB') or image.convert('L')."
            )
        upright = ImageOps.exif_transpose(image).convert(MODES[image.mode])
        pixels = torch.from_numpy(np.array(upright))
        return pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1).contiguous()
    if not isinstance(image, Tensor) or image.ndim not in (2, 3):
        raise InputError(f"{what} must be a picture (PIL) or a tensor (c, h, w); got {said(image)}.")
    try:
        to_unit(image)
    except InputError as error:
        raise InputError(
            f"{what}: {error} Leave transforms that normalise away: the model does it, by the mean and std of its "
            "configuration."
        ) from error
    pixels = image.detach() if image.dtype == torch.uint8 else image.detach().float()
    return pixels[None] if pixels.ndim == 2 else pixels


def _stack(images: list[Tensor], name: str) -> Tensor:
    for index, image in enumerate(images):
        if image.shape != images[0].shape or image.dtype != images[0].dtype:
            raise InputError(
                f"The images of {name} differ: item 0 is {said(images[0])}, item {index} is {said(image)}. Bring all "
                "to one form in the data set, by torchvision.transforms.Resize((h, w)) or image.convert('RGB')."
            )
    return torch.stack(images)


def _targets(targets: list[Any], name: str) -> Tensor:
    found = []
    for index, target in enumerate(targets):
        is_number = isinstance(target, (bool, Integral, float, np.generic))
        if not is_number and not (isinstance(target, (Tensor, np.ndarray, tuple, list)) and len(np.shape(target)) <= 1):
            raise InputError(
                f"A target must be a class number, or a row of numbers; that of item {index} of {name} is "
                f"{said(target)}."
            )
        try:
            found.append(torch.as_tensor(target))
        except (TypeError, ValueError, RuntimeError) as error:
            raise InputError(f"The target of item {index} of {name} is no number: {target!r}.") from error
        if found[-1].shape != found[0].shape:
            raise InputError(
                f"The targets of {name} differ: item 0 has {said(found[0])}, item {index} {said(found[-1])}."
            )
    stacked = torch.stack(found)
    if stacked.is_floating_point():
        return stacked if stacked.ndim == 2 else stacked[:, None]
    return stacked[:, 0] if stacked.ndim == 2 and stacked.shape[1] == 1 else stacked


def _names(dataset: Any) -> tuple[str, ...]:
    while isinstance(dataset, Subset) and not hasattr(dataset, "classes"):
        dataset = dataset.dataset
    names = next((getattr(dataset, key) for key in ("classes", "class_names") if hasattr(dataset, key)), ())
    return tuple(map(str, names)) if isinstance(names, (list, tuple)) else ()
