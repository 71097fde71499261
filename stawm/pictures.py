"""Pictures in files, read as people see them: the one reader of training, of the commands and of the runtime.

A picture is turned as its EXIF orientation says. What is transparent is laid on white where the figure is dark, and on
black where it is light, so that no figure vanishes. What would be read for less than it holds is refused by name: more
than 8 bits a channel, more than one frame.
"""

import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from stawm.errors import InputError
from stawm.models.resizing import Resize
from stawm.storage.opening import why_unread

T = TypeVar("T")
Source: TypeAlias = str | os.PathLike[str] | io.IOBase
"""A file by its path, or an open one, such as ``io.BytesIO`` of what was sent."""

MODES = {1: "L", 3: "RGB"}
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
"""What is read. Pillow knows more, among them PostScript, which it hands to another program."""
ENDINGS = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".webp"),
    *(".ppm", ".pgm", ".pbm", ".pnm"),
)
"""How the names of pictures end, in whatever case; a file that is named by itself may be called anything."""
LARGEST = 2**28
"""Bytes of the largest file that is opened: some decoders search a file byte by byte for what they know."""
LIGHT = 127.5
"""The mean brightness from which a figure on a transparent ground is light."""
GREY = ("1", "L", "LA", "La", "I", "F")
"""The modes of pictures without colour, as Pillow names them; those of 16 bits start with I."""
TINGE = 16
"""How far red, green and blue of a grey picture may lie apart: JPEG rounds them each by itself."""
TURNED = range(5, 9)
"""The EXIF orientations that exchange height and width."""


def read(source: Source, channels: int, size: tuple[int, int] | None = None, resize: Resize = "crop") -> np.ndarray:
    """Read a picture as bytes of shape (c, h, w).

    Args:
        source: A file.
        channels: 1 for grey (as bright as it appears, ITU-R BT.601), 3 for colour.
        size: Height and width to bring it to; its own where left out.
        resize: How: "crop" cuts the largest part of that aspect out of the middle, "squeeze" scales each side by
            itself.

    Raises:
        InputError: It is no ordinary file, no picture of a known form, damaged, has more than 8 bits a channel, more
            than one frame, or nothing in it is opaque.
    """
    if channels not in MODES:
        raise InputError(f"Images in files have 1 channel (grey) or 3 (colour); {channels} were asked for.")
    with _opened(source) as image:
        flat = _on_ground(ImageOps.exif_transpose(image), _name(source)).convert(MODES[channels])
        pixels = np.array(flat if size is None else fit(flat, size, resize))
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def read_all(paths: Sequence[Path], channels: int, size: tuple[int, int] | None, resize: Resize = "crop") -> np.ndarray:
    """Read pictures into one array of bytes of shape (count, c, h, w), several at a time.

    Args:
        paths: The files.
        channels: 1 for grey images, 3 for colour.
        size: Height and width to bring every image to; None where all have the same already.
        resize: How images are brought to the size.

    Raises:
        InputError: One cannot be read, or is of another size than the first.
    """
    if not paths:
        raise InputError("There are no images to read: give one file at least.")
    first = read(paths[0], channels, size, resize)
    images = np.empty((len(paths), *first.shape), np.uint8)

    def put(index: int) -> None:
        image = read(paths[index], channels, size, resize)
        check_size(paths[index], image.shape[1:], paths[0], first.shape[1:])
        images[index] = image

    do_all(put, range(len(paths)))
    return images


def do_all(do: Callable[[T], object], items: Iterable[T]) -> None:
    """Do something with each item, several at a time; the first that fails ends it."""
    with ThreadPoolExecutor() as pool:
        try:
            for _ in pool.map(do, items):
                pass
        except InputError:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def check_size(path: Path, size: Sequence[int], first: Path, of_first: Sequence[int]) -> None:
    """Raise an InputError unless a picture has the height and width of the first."""
    if tuple(size) != tuple(of_first):
        raise InputError(
            f"{path} is {_pixels(size)}, {first} is {_pixels(of_first)}: "
            "bring all images to one size, or let them be resized (--resize)."
        )


def _pixels(size: Sequence[int]) -> str:
    return f"{size[1]}x{size[0]} pixels"


def measure(source: Source) -> tuple[int, int]:
    """Return a picture's height and width, as it is seen; its pixels are only read where it has to be turned.

    Raises:
        InputError: What `read` refuses, as far as it shows without the pixels.
    """
    with _opened(source) as image:
        oblong = image.width != image.height
        if oblong and image.getexif().get(ExifTags.Base.Orientation) in TURNED:
            image = ImageOps.exif_transpose(image)
        return image.height, image.width


def has_colour(image: Image.Image) -> bool:
    """Whether a picture is stored with colours; of a palette, whether one of those that it uses is not grey.

    What is stored with colours may show none: `is_coloured` reads the pixels.
    """
    if image.mode not in ("P", "PA"):
        return not (image.mode in GREY or image.mode.startswith("I;"))
    used = image.convert("RGB").getcolors(maxcolors=256 * 256) or []
    return any(len(set(colour)) > 1 for _, colour in used if isinstance(colour, tuple))


def is_coloured(source: Source) -> bool:
    """Whether a picture shows colours, in whatever way it is stored.

    Raises:
        InputError: What `read` refuses, as far as it is looked at.
    """
    with _opened(source) as image:
        if not has_colour(image):
            return False
    pixels = read(source, 3)
    return bool((pixels.max(axis=0) - pixels.min(axis=0) > TINGE).any())


def fit(
    image: Image.Image,
    size: tuple[int, int],
    resize: Resize,
    resampling: Image.Resampling = Image.Resampling.BILINEAR,
) -> Image.Image:
    """Bring a picture to a height and width, by the rule that the model keeps; each pixel of it counts."""
    height, width = size
    if (image.height, image.width) == (height, width):
        return image
    if resize == "crop":
        return ImageOps.fit(image, (width, height), resampling)
    return image.resize((width, height), resampling)


def check_file(path: str | os.PathLike[str]) -> None:
    """Raise an InputError unless a path leads to an ordinary file of a sensible size; nothing is opened.

    Opening a pipe would wait for whoever writes to it, and reading some devices never ends.
    """
    try:
        found = Path(path).stat()
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise _unreadable(str(path), getattr(error, "strerror", None) or str(error)) from error
    if reason := why_unread(found, LARGEST) or (None if found.st_size else "it is empty"):
        raise _unreadable(str(path), reason)


@contextmanager
def _opened(source: Source) -> Iterator[Image.Image]:
    """Open a picture, and see that it can be read for all that it holds."""
    name = _name(source)
    file: Any = source  # Pillow asks for IO[bytes], which io's own classes are not
    try:
        if isinstance(source, (str, os.PathLike)):
            check_file(source)
        with Image.open(file, formats=FORMATS) as image:
            _check(image, name)
            _scale_key(image)
            yield image
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise _unreadable(name, f"it is none of {', '.join(FORMATS)}") from error
    except Exception as error:  # the decoders raise whatever they stumble over, struct.error and KeyError among it
        raise _unreadable(name, str(error) or type(error).__name__) from error


def _check(image: Image.Image, name: str) -> None:
    if _is_deep(image):
        raise InputError(f"{name} has more than 8 bits a channel (mode {image.mode}): save it with 8.")
    # The further frames of an MPO, which phones write as .jpg, are previews and depth: what people see is the first.
    if getattr(image, "is_animated", False) and image.format != "MPO":
        raise InputError(
            f"{name} has more than one frame or page, of which only the first would count: "
            "save the one that is meant as a picture of its own."
        )


def _scale_key(image: Image.Image) -> None:
    """Scale the level that counts as transparent as the pixels of a PNG with 2 or 4 bits are; Pillow leaves it."""
    tile, key = getattr(image, "tile", None), image.info.get("transparency")
    bits = {"L;2": 2, "L;4": 4}.get(str(tile[0].args)) if tile else None
    if bits is not None and isinstance(key, int) and key < 2**bits:
        image.info["transparency"] = key * 255 // (2**bits - 1)


def _is_deep(image: Image.Image) -> bool:
    """Whether more than 8 bits a channel are stored. Of colours Pillow cuts them off without a word."""
    tile = getattr(image, "tile", None)
    how = tile[0].args if tile else ""
    if image.mode.startswith("I") or image.mode == "F":
        return True
    if image.format == "PNG":
        return ";16" in str(how)
    if image.format == "PPM":
        return isinstance(how, tuple) and isinstance(how[-1], int) and how[-1] > 255
    if image.format == "TIFF":
        tags = getattr(image, "tag_v2", {})
        signed = 2 in tags.get(ExifTags.Base.SampleFormat, ())
        return signed or max(tags.get(ExifTags.Base.BitsPerSample, (1,))) > 8
    return False


def _on_ground(image: Image.Image, name: str) -> Image.Image:
    """Lay a picture with transparency on white where its figure is dark, else on black."""
    if not image.has_transparency_data:
        return image
    figure = image.convert("RGBA")
    opacity = np.asarray(figure.getchannel("A"))
    if not opacity.any():
        raise InputError(f"{name} is transparent throughout, so there is nothing to see: replace or remove it.")
    if opacity.min() == 255:
        return figure.convert("RGB")
    light = np.average(np.asarray(figure.convert("L")), weights=opacity) > LIGHT
    ground = Image.new("RGBA", figure.size, "black" if light else "white")
    return Image.alpha_composite(ground, figure).convert("RGB")


def _name(source: Source) -> str:
    return os.fspath(source) if isinstance(source, (str, os.PathLike)) else "The picture"


def _unreadable(name: str, reason: str) -> InputError:
    return InputError(f"{name} cannot be read as an image ({reason}): replace or remove it.")
