"""The contract that every data set with a name keeps."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from stawm.configuration import Config
from stawm.errors import InputError
from stawm.models.resizing import Resize
from stawm.training.data import folders
from stawm.training.data.sets import ImageSet, Splits, split


class Request(NamedTuple):
    """What is asked of a data set beside its own configuration.

    Attributes:
        source: The data set as it was spelled, for messages.
        image: Channels, height and width that the images have to have; a height and width of 0 are any.
        resize: How images of another size are brought to it; None where they are not.
        download: Whether a set that is not there may be fetched.
        seed: Decides the test part of a set that has none, and all else that is drawn once.
        held_out: The share that is held out of such a set.
        memory: How many bytes images may take; None for half of what is free.
    """

    source: str
    image: tuple[int, int, int] | None
    resize: Resize | None
    download: bool
    seed: int
    held_out: float
    memory: int | None


class Source(ABC):
    """Where images to train and test on come from.

    Attributes:
        Config: The data set's own configuration; every field has a default, a folder an empty one.
        folders: The fields that may follow the name and a colon, with commas between.
        takes_folder: Whether the first of them has to be given.
    """

    Config: ClassVar[type[Config]]
    folders: ClassVar[tuple[str, ...]] = ("root",)
    takes_folder: ClassVar[bool] = True

    def __init__(self, config: Any = None) -> None:
        default: Any = self.Config
        self.config: Any = config or default()

    @abstractmethod
    def load(self, request: Request) -> Splits:
        """Return what to train on and what to test on.

        Raises:
            InputError: It is not there, or not as it has to be; the message names the cure.
        """

    def channels(self) -> int | None:
        """Return how many channels the images have by themselves; None where that follows the model."""
        return None

    @property
    def root(self) -> Path:
        """The first folder."""
        return Path(getattr(self.config, self.folders[0])).expanduser()


def hold_out(images: ImageSet, request: Request) -> Splits:
    """Hold out a share of a set without a test part.

    Raises:
        InputError: There are too few images.
    """
    if request.held_out == 1:
        return Splits(images.take(slice(0, 0)), images)
    splits = split(images, request.held_out, request.seed)
    if not len(splits.train):
        raise InputError(
            f"{request.source} holds {len(images):,} image{'s' * (len(images) != 1)}, too few to hold some out: "
            "add images, or a test folder, or hold out all of them (--held-out 1)."
        )
    return splits


def other_form(request: Request, have: Sequence[int], more: str = "", *, resizes: bool = True) -> str:
    """Say that images are not of the form that the model takes, and what to do."""
    assert request.image is not None
    given, wanted = ("x".join(map(str, form)) for form in (have, request.image))
    same = resizes and (have[0] == request.image[0] or more)
    cure = " bring the images to the model's size (--resize), or" if same else ""
    build = f"build the model with image={','.join(map(str, have))}{more}."
    return f"The images of {folders.shown(request.source)} are {given}, the model takes {wanted}:{cure} {build}"
