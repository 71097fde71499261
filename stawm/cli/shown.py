"""The images that a graph is judged by and calibrated on, of the data that a command is given."""

import argparse
from typing import Any, NamedTuple

from stawm.cli import values
from stawm.errors import InputError

JUDGED = 10_000
"""How many images a graph is judged by at most."""
IN_HALVES = 1000
"""How many where a graph is in half precision, which takes its time on a CPU."""
CALIBRATED = 512
"""On how many images ranges are measured where nothing else is asked for."""


class Shown(NamedTuple):
    """Images as the model takes them; None where no data is named.

    Attributes:
        images: A tensor: what a graph is judged by, of the test part.
        labels: Their classes; None where they are none of the model's.
        calibration: What ranges are measured on, of the training part; None where that is not asked for.
    """

    images: Any = None
    labels: Any = None
    calibration: Any = None


def shown(model: Any, args: argparse.Namespace) -> Shown:
    """Return the images of a command's ``--data``; of more than are looked at some that are drawn at random.

    Raises:
        InputError: The data cannot be loaded, or ranges are asked for and there is no data.
    """
    from stawm.training import data

    asked = getattr(args, "calibrate", None)
    in_int8 = getattr(args, "precision", "") == "int8"
    if asked and not in_int8:
        raise InputError("--calibrate measures ranges for int8: add --precision int8.")
    if args.data is None:
        if asked:
            raise InputError("--calibrate measures ranges on images: name them by --data.")
        return Shown()
    splits = data.load(args.data, image=model.config.image, **values.data_fields(args))
    halves = "fp16" in (getattr(args, "precision", ""), getattr(args, "weights", ""))
    test = some(splits.test, IN_HALVES if halves else JUDGED)
    count = CALIBRATED if asked is None else asked
    calibration = normalised(model, some(splits.train, count)) if in_int8 and count else None
    return Shown(normalised(model, test), labels_of(model, test), calibration)


def some(images: Any, count: int) -> Any:
    """Return some images of a set, the same each time; all of a set that has no more."""
    import torch

    if len(images) <= count:
        return images
    drawn = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:count]
    return images.take(drawn.sort().values)


def normalised(model: Any, images: Any) -> Any:
    """Return the images of a set as the model takes them."""
    from stawm.models.pixels import to_unit

    return model.normalise(to_unit(images.images[:]))


def labels_of(model: Any, images: Any) -> Any:
    """Return the classes of a set by the model's numbers; None where it has others, or the model has none."""
    from stawm.training import data

    try:
        return data.aligned(images, model.config).labels if model.config.classifies else None
    except InputError:
        return None
