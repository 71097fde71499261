"""How many channels pictures have by themselves, before they are read for a model."""

from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from stawm.training.data import folders
from stawm.training.data.pictures import FORMATS

GREY = ("1", "L", "LA", "La", "I", "F")
"""The modes of pictures without colour, as Pillow names them; those of 16 bits start with I."""
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


def has_colour(image: Image.Image) -> bool:
    """Whether an image is stored with colours; of a palette, whether one of those that it uses is not grey."""
    if image.mode not in ("P", "PA"):
        return not (image.mode in GREY or image.mode.startswith("I;"))
    used = image.convert("RGB").getcolors(maxcolors=256 * 256) or []
    return any(len(set(colour)) > 1 for _, colour in used if isinstance(colour, tuple))
