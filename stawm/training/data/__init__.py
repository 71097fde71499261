"""Images to train and test on: sets by name, each held as one uint8 tensor where training runs, or read as it goes."""

from stawm.training.data.alignment import aligned, known_labels
from stawm.training.data.base import Request, Source
from stawm.training.data.pictures import read as read_image
from stawm.training.data.sets import (
    Examples,
    ImageSet,
    Index,
    Located,
    Splits,
    batches,
    hold_out_last,
    shuffled_batches,
    split,
    take_first,
)
from stawm.training.data.sources import channels_of, load, open_source
from stawm.training.data.torch_datasets import as_image_set, as_splits

__all__ = [
    "Examples",
    "ImageSet",
    "Index",
    "Located",
    "Request",
    "Source",
    "Splits",
    "aligned",
    "as_image_set",
    "as_splits",
    "batches",
    "channels_of",
    "hold_out_last",
    "known_labels",
    "load",
    "open_source",
    "read_image",
    "shuffled_batches",
    "split",
    "take_first",
]
