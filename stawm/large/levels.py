"""An image at one or at several resolutions, each an array of which parts can be read."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from stawm.errors import InputError
from stawm.large.means import averaged
from stawm.large.source import Box, reduced

OVERVIEW = 2**22
"""How many pixels the finest resolution has that is made of an image without a pyramid, and kept in memory."""


class Plane:
    """One resolution, as an array of shape (height, width, channels) in which light is high."""

    def __init__(self, array: Any, axes: str, *, negative: bool = False) -> None:
        """Wrap an array.

        Args:
            array: What has a shape, a type and slices.
            axes: Y and X, with another letter before or after them where there are channels.
            negative: Whether light is low.
        """
        self.array, self.axes, self.negative = array, axes, negative
        sides = dict(zip(axes, array.shape, strict=True))
        self.shape = (int(sides.pop("Y")), int(sides.pop("X")), *(map(int, sides.values() or [1])))

    def __getitem__(self, index: tuple[slice, slice]) -> np.ndarray:
        """Read a part; beyond its last row or column these are repeated."""
        asked = dict(zip("YX", index, strict=True))
        found = np.asarray(self.array[tuple(asked.get(axis, slice(None)) for axis in self.axes)])
        found = found[:, :, None] if len(self.axes) == 2 else np.moveaxis(found, self.axes.index("Y"), 0)
        found = np.moveaxis(found, 2, 1) if self.axes.endswith("YX") and len(self.axes) == 3 else found
        lacking = [(0, part.stop - part.start - side) for part, side in zip(index, found.shape, strict=False)]
        found = np.pad(found, [*lacking, (0, 0)], mode="edge") if any(map(any, lacking)) else found
        return 255 - found if self.negative else found


class LeveledSource:
    """An image whose resolutions are arrays; a coarse one that it lacks is made at the first need, and kept.

    Attributes:
        size: Height and width of the image in pixels.
        levels: The arrays by how many pixels of the image each of their pixels stands for along each side: 1, 2, 4, ...
    """

    def __init__(self, planes: Sequence[Plane]) -> None:
        """Find out how far each array is reduced; those whose size comes of no halving are left out.

        Args:
            planes: The whole image first.
        """
        height, width = self.size = planes[0].shape[:2]
        self._white = 255 if planes[0].array.dtype == np.uint8 else 1
        self.levels: dict[int, Plane] = {}
        for plane in planes:
            factor = 2 ** max(0, round(float(np.log2(max(height, width) / max(plane.shape[:2])))))
            if plane.shape[:2] in (reduced(self.size, factor), (height // factor, width // factor)):
                self.levels.setdefault(factor, plane)

    def read(self, box: Box, size: tuple[int, int]) -> np.ndarray:
        """Return a part of the image, averaged down to a size; see `stawm.large.source.Source`.

        Raises:
            InputError: The part is not inside the image, or the size is no halving of it.
        """
        factor = self._factor(box, size)
        nearest, kept = max(f for f in self.levels if f <= factor), self._kept
        if nearest < kept <= factor:
            return self._averaged(self._overview, kept, factor, box)
        if nearest == factor:
            return self.levels[nearest][_rows(box, factor)]
        return self._averaged(self.levels[nearest], nearest, factor, box)

    def _averaged(self, array: Any, factor: int, wanted: int, box: Box) -> np.ndarray:
        return averaged(array, *_rows(box, factor), wanted // factor, self._last(box, factor)) / self._white

    def _last(self, box: Box, factor: int) -> tuple[float, float]:
        """Return what share of a square those at the bottom and at the right edge of a part have of the image."""
        height, width = (
            side % factor / factor if end == side and side % factor else 1.0
            for end, side in zip(box[2:], self.size, strict=True)
        )
        return height, width

    def _factor(self, box: Box, size: tuple[int, int]) -> int:
        top, left, bottom, right = box
        if not (0 <= top < bottom <= self.size[0] and 0 <= left < right <= self.size[1] and min(size) > 0):
            raise InputError(f"The part {box} is not inside an image of {self.size[0]}x{self.size[1]}, or empty.")
        factor = 1
        while factor * size[0] < bottom - top or factor * size[1] < right - left:
            factor *= 2
        if top % factor or left % factor or reduced((bottom - top, right - left), factor) != tuple(size):
            raise InputError(f"The part {box} is not {size} times 1, 2, 4, ... from a multiple of it on.")
        return factor

    @cached_property
    def _kept(self) -> int:
        factor = 1
        while np.prod(reduced(self.size, factor)) > OVERVIEW:
            factor *= 2
        return factor

    @cached_property
    def _overview(self) -> np.ndarray:
        """The whole image in its own units: single precision holds a mean of up to 2^16 bytes exactly."""
        nearest, whole = max(f for f in self.levels if f <= self._kept), (0, 0, *self.size)
        rows, columns = _rows(whole, nearest)
        last = self._last(whole, nearest)
        return averaged(self.levels[nearest], rows, columns, self._kept // nearest, last, np.float32)


class ArraySource(LeveledSource):
    """An array of pixels, such as a `numpy.memmap` of a file that is larger than memory."""

    def __init__(self, array: Any) -> None:
        """Wrap an array; none of its pixels is read yet.

        Args:
            array: Bytes (uint8) or floats in [0, 1], of shape (height, width) or (height, width, channels) with 1 or 3
                channels: a NumPy array, or what is sliced as one is, such as an array of zarr or h5py.

        Raises:
            InputError: It is of another form.
        """
        shape, dtype = tuple(getattr(array, "shape", ())), np.dtype(getattr(array, "dtype", object))
        if len(shape) not in (2, 3) or shape[2:] not in ((), (1,), (3,)) or min(shape) < 1:
            raise InputError(
                f"An array to explore has the shape (height, width), or (height, width, channels) with 1 or 3 "
                f"channels; got {shape}."
            )
        if dtype != np.uint8 and dtype.kind != "f":
            raise InputError(f"An array to explore holds bytes (uint8) or floats in [0, 1]; got {dtype}.")
        super().__init__([Plane(array, "YX" if len(shape) == 2 else "YXS")])


def _rows(box: Box, factor: int) -> tuple[slice, slice]:
    top, left, bottom, right = box
    return slice(top // factor, -(-bottom // factor)), slice(left // factor, -(-right // factor))
