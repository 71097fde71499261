"""How many channels the images of a set have by themselves, before they are read for a model."""

from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from stawm.training.data import folders
from stawm.training.data.pictures import FORMATS, has_colour

KNOWN = {"digits": 1, "mnist": 1, "fashion-mnist": 1, "cifar10": 3, "celeba": 3}
"""Of sets whose images are all of one form."""
UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
"""What Pillow raises of a file that is no image; whoever reads the folder says so."""
LOOKED_AT = 1_000
"""How many files of a folder are opened, spread over all of them."""


def channels_of(source: str) -> int | None:
    """Return the channels of a set by name: 1 for grey images, 3 for colour; None where the model's are taken.

    A folder is one of colour images where one of its files has colour, of up to 1,000 that are looked at.

    Args:
        source: The set, as `stawm.training.data.load` takes it.

    Raises:
        InputError: It is a folder that is not there, or that has no part to train on.
    """
    name, _, root = source.partition(":")
    if name != "folder" or not root:
        return KNOWN.get(name)
    pictures = folders.search(folders.find_parts(Path(root).expanduser()).train).pictures
    some = pictures[:: -(-len(pictures) // LOOKED_AT) or 1]
    modes = list(_coloured(some))
    return None if not modes else 3 if any(modes) else 1


def _coloured(paths: list[Path]) -> Iterator[bool]:
    """Say of each file that is an image whether it has colour, up to the first that has."""
    for path in paths:
        try:
            with Image.open(path, formats=FORMATS) as image:
                coloured = has_colour(image)
        except UNREADABLE:
            continue
        yield coloured
        if coloured:
            return
