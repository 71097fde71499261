"""A folder of pictures as a data set: its parts, what is held out of it, and what is said of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from stawm.configuration import Config as BaseConfig
from stawm.errors import InputError
from stawm.pictures import is_coloured, measure
from stawm.training.data import folders, notices
from stawm.training.data.base import Request, Source, hold_out, other_form
from stawm.training.data.channels import channels_of_folder
from stawm.training.data.files import open_images
from stawm.training.data.sets import ImageSet, Splits

LOOKED_AT = 20
"""How many pictures of a folder are looked at to see whether they are in colour; the classes take turns."""


class Folder(Source):
    """A folder of classes, or of parts that are; without a part to test on, some of it is held out."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Configuration of a folder."""

        name: str = "folder"
        root: str = ""
        """The folder, which holds a folder for each class, inside folders called like train and test or not."""

    def load(self, request: Request) -> Splits:
        """Read the pictures, or look at them where they do not fit into memory."""
        parts = folders.find_parts(self.root)
        listed = folders.list_classes(parts.train)
        tested = None if parts.test is None else folders.list_classes(parts.test)
        if tested is not None and tested.names != listed.names:
            differing = ", ".join(sorted(set(tested.names) ^ set(listed.names)))
            one = f"{parts.train} and {parts.test} hold different classes: {differing} is in one of them only."
            raise InputError(one)
        self._check_form(request, listed)
        train = _read_listing(listed, request)
        splits = hold_out(train, request) if tested is None else Splits(train, _read_listing(tested, request))
        self._say(request, parts, [listed, *([] if tested is None else [tested])], splits)
        return splits

    def channels(self) -> int | None:
        """Return 3 where a picture to train on has colour, 1 where all are grey; None where there is none."""
        return channels_of_folder(self.root)

    def _check_form(self, request: Request, listed: folders.Listing) -> None:
        """Where pictures have to be of a form and are not, say so of their files, not of what was read."""
        wanted = request.image
        if wanted is None or wanted[0] != 1 or not any(map(is_coloured, listed.paths[:LOOKED_AT])):
            return
        height, width = measure(listed.paths[0])
        if wanted[1:] not in ((0, 0), (height, width)) and not request.resize:
            raise InputError(other_form(request, (3, height, width), f", or with image=1,{height},{width}, in grey"))
        notices.warn(
            f"The images under {self.root} are in colour; the model takes 1 channel, so they are read in grey."
        )

    def _say(self, request: Request, parts: folders.Parts, listings: Sequence[folders.Listing], splits: Splits) -> None:
        """Say what was taken of a folder, what is held out of it, and what was left out."""
        source = folders.shown(request.source)
        train, test = (f"{len(part):,}" for part in splits)
        counts = " and ".join(folders.describe_counts(listed.counts) for listed in listings)
        notices.tell(f"{source}: {train} images to train on, {test} to test on; {counts}.")
        if parts.test is None:
            what = "all of it" if request.held_out == 1 else f"a random {request.held_out:.0%}"
            notices.warn(
                f"{source} has no test part: {what} ({test} of {len(listings[0].paths):,} images, drawn by seed "
                f"{request.seed}) is held out to test on. Add a folder test, or choose the share (--held-out; 1 is "
                "all)."
            )
        left = folders.describe_left([*parts.left, *(path for listed in listings for path in listed.left)], self.root)
        if left:
            notices.warn(f"Left out of {source}: {left}.")
        inside = [path for listed in listings for path in listed.inside]
        if inside:
            notices.warn(f"In {source}, {folders.describe_inside(inside, self.root)}.")


def _read_listing(listed: folders.Listing, request: Request) -> ImageSet:
    channels = request.image[0] if request.image else 3
    size = request.image[1:] if request.image and request.resize else None
    images = open_images(listed.paths, channels, size, request.memory, request.resize or "crop")
    return ImageSet(images, listed.labels, listed.names)
