"""How many channels pictures have by themselves, before they are read for a model."""

from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from stawm.pictures import FORMATS, has_colour
from stawm.training.data import folders

UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
"""What Pillow raises of a file that is no image; whoever reads the folder says so."""
LOOKED_AT = 1_000
"""How many files of a folder are opened, spread over all of them."""


def channels_of_folder(root: Path) -> int | None:
    """Return 3 where a picture that a folder has to train on is in colour, 1 where all are grey, None where none is.

    Up to 1,000 files are looked at, spread over all of them.

    Raises:
        InputError: The folder is not there, or has no part to train on.
    """
    pictures = folders.search(folders.find_parts(root).train).pictures
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
