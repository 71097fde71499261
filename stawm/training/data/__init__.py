"""Images to train and test on: sets by name, each held as one uint8 tensor where training runs, or read as it goes."""

from stawm.training.data.pictures import read as read_image
from stawm.training.data.sets import (
    Examples,
    ImageSet,
    Index,
    Splits,
    batches,
    hold_out_last,
    shuffled_batches,
    split,
    take_first,
)
from stawm.training.data.sources import load

__all__ = [
    "Examples",
    "ImageSet",
    "Index",
    "Splits",
    "batches",
    "hold_out_last",
    "load",
    "read_image",
    "shuffled_batches",
    "split",
    "take_first",
]
