"""Tiled TIFF files, with or without a pyramid, read tile by tile through tifffile and zarr."""

import logging
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from stawm.errors import InputError
from stawm.large.levels import LeveledSource, Plane
from stawm.large.source import CHANNELS, Box
from stawm.lazy import explained
from stawm.storage.opening import as_path, open_regular

LARGEST_TILE = 2**24
"""How many pixels a tile may have, as tiles are held in memory whole."""
FORMS = ("YX", "YXS", "SYX", "CYX")
"""How the axes of a file's picture may lie: rows, columns, and samples or channels."""
ORIENTATION = 274
"""The tag that says how a picture is to be turned; 1 is as it is."""
CURE = '`tifffile.imwrite(path, image, tile=(256, 256))` or "vips tiffsave IN OUT --tile --pyramid" make tiles'


class TiffSource(LeveledSource):
    """A TIFF whose pixels lie in tiles; its pyramid is used where it has one.

    Of a file with several series of pictures the first counts: slides keep their label and an overview beside it.

    Attributes:
        path: The file.
        size: Height and width of the image.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open a file; none of its pixels is read yet.

        Raises:
            InputError: It cannot be read, is no TIFF, is truncated, has no tiles, more than 8 bits a channel, several
                pages, or pixels that are neither grey nor colour.
            MissingPackageError: tifffile or zarr is not installed.
        """
        self.path = as_path(path, "A TIFF")
        with _readable(self.path):
            file = _open(self.path)
            self.close = weakref.finalize(self, file.close)
            try:
                super().__init__(_planes(file, self.path))
            except BaseException:
                self.close()
                raise

    def __enter__(self) -> "TiffSource":
        """Return the source."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file, as happens to a source that nobody holds any more."""
        self.close()

    def read(self, box: Box, size: tuple[int, int]) -> np.ndarray:
        """Return a part of the image, averaged down to a size; see `stawm.large.source.Source`."""
        with _readable(self.path):
            return super().read(box, size)


def _open(path: Path) -> Any:
    try:
        import tifffile
    except ModuleNotFoundError as error:
        raise explained(error) from error
    with open_regular(path):
        return tifffile.TiffFile(path)


def _planes(file: Any, path: Path) -> list[Plane]:
    """Return the resolutions of a file's first series of pictures, the whole one first."""
    try:
        import zarr
    except ModuleNotFoundError as error:
        raise explained(error) from error
    if not file.series:
        raise InputError(f"{path} holds no picture.")
    series, planes = file.series[0], []
    for number, level in enumerate(series.levels):
        _check(level, path, file.filehandle.size)
        array = zarr.open_array(series.aszarr(level=number), mode="r")
        planes.append(Plane(array, level.axes, negative=level.keyframe.photometric.name == "MINISWHITE"))
    return planes


def _check(level: Any, path: Path, size: int) -> None:
    """Raise an InputError unless a level can be read in parts, and for all that it holds."""
    page = level.keyframe
    if level.axes not in FORMS:
        raise InputError(f"{path} holds several pictures ({level.axes} of {level.shape}): save the one that is meant.")
    if not page.is_tiled:
        raise InputError(f"{path} is stored without tiles, so that no part can be read without the rest; {CURE}.")
    if level.dtype != np.uint8:
        raise InputError(f"{path} has pixels of {level.dtype}, and 8 bits a channel are read: save it with 8.")
    channels = np.prod(
        [side for axis, side in zip(level.axes, level.shape, strict=True) if axis not in "YX"], dtype=int
    )
    name = getattr(page.photometric, "name", str(page.photometric))
    if ORIENTATION in page.tags and page.tags[ORIENTATION].value != 1:
        raise InputError(f"{path} is to be shown turned or mirrored, and is read as it is stored: store it upright.")
    if channels not in CHANNELS or name not in ("MINISBLACK", "MINISWHITE", "RGB", "YCBCR"):
        raise InputError(f"{path} has {channels} channels ({name}), and pictures in grey or RGB are read: convert it.")
    if page.tilelength * page.tilewidth > LARGEST_TILE:
        raise InputError(
            f"{path} has tiles of {page.tilelength}x{page.tilewidth} pixels, too large to be held: {CURE}."
        )
    ends = [max(map(sum, zip(p.dataoffsets, p.databytecounts, strict=True)), default=0) for p in level.pages if p]
    if max(ends) > size:
        raise InputError(f"{path} is truncated: its tiles reach to byte {max(ends):,}, and it has {size:,} bytes.")


class _Complaints(logging.Handler):
    """Keeps what tifffile says of a file that it finds damaged; it goes on with what is left."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn whatever happens while a file is read into one sentence."""
    log, complaints = logging.getLogger("tifffile"), _Complaints()
    propagates, log.propagate = log.propagate, False
    log.addHandler(complaints)
    try:
        yield
        if complaints.said:
            raise InputError(f"{path} is damaged or truncated ({complaints.said[0]}): replace it.")
    except (InputError, ModuleNotFoundError, MemoryError):
        raise
    except Exception as error:  # tifffile, zarr and the codecs raise whatever they stumble over
        because = complaints.said[0] if complaints.said else " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path} cannot be read as a TIFF ({because}): replace it.") from error
    finally:
        log.removeHandler(complaints)
        log.propagate = propagates
