"""The pyramid of an image that is never loaded whole.

It is the one of `stawm.core.pyramid`, except that of each level only the part is read that a view looks at. Both give
the same glimpses, up to the rounding of their arithmetic.
"""

import math
from typing import TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64
from torch import Tensor

from stawm.core import affine
from stawm.core.pyramid import Pyramid
from stawm.large.means import overlaps
from stawm.large.source import Source, check_source, read_part, reduced
from stawm.models.model import Stawm

FINE = 2**22
"""How many pixels an image has at most at the resolution that its thumbnail is made of."""
STRIP = 256
"""How many rows of that resolution are held at a time."""
Span: TypeAlias = tuple[int, int]
"""The first row or column of a part of a level, and the first one after it."""


class SourcePyramid(Pyramid):
    """The pyramid of a source, as a model sees it.

    Attributes:
        size: Width and height of the image, as numbers to compute with.
        sides: Its height and width.
        pixels: How many pixels were read so far, of whatever level.
        mean: The model's, of each channel.
        std: Its standard deviation, likewise.
    """

    source: Source
    sides: tuple[int, int]
    pixels: int
    channels: int
    outside: float
    mean: Float64[Tensor, "#c 1 1"]
    std: Float64[Tensor, "#c 1 1"]

    def __new__(cls, source: Source, model: Stawm) -> "SourcePyramid":
        """Make the pyramid; nothing is read yet.

        Raises:
            InputError: It is no source.
        """
        height, width = check_source(source)
        like = model.loop.what.weight
        size = torch.tensor([width, height], dtype=torch.promote_types(like.dtype, torch.float32), device=like.device)
        self = super().__new__(cls, (), (), size)
        self.source, self.sides, self.pixels = source, (height, width), 0
        self.channels = model.config.image[0]
        self.mean, self.std = (
            torch.tensor(numbers, dtype=torch.float64)[:, None, None]
            for numbers in (model.config.mean, model.config.std)
        )
        self.outside = getattr(model.locator.config, "outside", 0.0)
        return self

    def thumbnail(self, side: int) -> Float64[Tensor, "c {side} {side}"]:
        """Return the mean of what each pixel of a square thumbnail covers, as pixel values in [0, 1].

        Of an image of more than `FINE` pixels it is that of a level with fewer. That is the same, except where the
        edge of a thumbnail's pixel cuts through a pixel of that level, which counts as even.
        """
        number = next(n for n in range(64) if math.prod(self.level(n)) <= FINE)
        rows, columns = self.level(number)
        down, across = (
            torch.from_numpy(overlaps(np.minimum(np.arange(cells + 1) * 2.0**number, whole), side))
            for cells, whole in zip((rows, columns), self.sides, strict=True)
        )
        found = torch.zeros(self.channels, side, columns, dtype=torch.float64)
        for start in range(0, rows, STRIP):
            stop = min(start + STRIP, rows)
            found += down[:, start:stop] @ self.read(number, (start, stop), (0, columns))
        return found @ across.T

    def preview(self, side: int) -> Float64[Tensor, "c h w"]:
        """Return the finest level whose sides are no longer than so much, as pixel values in [0, 1]."""
        number = next(n for n in range(64) if max(self.level(n)) <= side)
        height, width = self.level(number)
        return self.read(number, (0, height), (0, width))

    def level(self, number: int) -> tuple[int, int]:
        """Return the height and width of a level."""
        return reduced(self.sides, 2**number)

    def read(self, number: int, rows: Span, columns: Span) -> Float64[Tensor, "c h w"]:
        """Return a part of a level as pixel values in [0, 1]; at an edge, the mean of what is inside the image."""
        factor, (height, width) = 2**number, self.sides
        size = (rows[1] - rows[0], columns[1] - columns[0])
        self.pixels += math.prod(size)
        bottom, right = min(rows[1] * factor, height), min(columns[1] * factor, width)
        return read_part(self.source, (rows[0] * factor, columns[0] * factor, bottom, right), size, self.channels)

    def sample(
        self, grid: Float[Tensor, "1 vg g 2"], level: Float[Tensor, "1 v"], *, padding: affine.Padding = "zeros"
    ) -> Float[Tensor, "1 c vg g"]:
        """Read views as `stawm.core.pyramid.sample` does."""
        points = affine.inside(grid, padding)[0].double().cpu()
        views = zip(points.chunk(level.shape[1]), level[0].tolist(), strict=True)
        return torch.cat([self._view(part, own, padding) for part, own in views], dim=1)[None].to(grid)

    def _view(
        self, points: Float64[Tensor, "g w 2"], level: float, padding: affine.Padding
    ) -> Float64[Tensor, "c g w"]:
        shares = {number: 1 - abs(level - number) for number in (math.floor(level), math.floor(level) + 1)}
        seen = [share * self._look(number, points, padding) for number, share in shares.items() if share > 0]
        return torch.stack(seen).sum(dim=0)

    def _look(self, number: int, points: Float64[Tensor, "g w 2"], padding: affine.Padding) -> Float64[Tensor, "c g w"]:
        """Interpolate one level, of which only the rows and columns around the points are read."""
        places, spans = [], []
        for axis, (side, cells) in enumerate(zip(self.sides[::-1], self.level(number)[::-1], strict=True)):
            along = ((points[..., axis] + 1) * (side / 2**number) - 1) / 2
            first, last = (bound.clamp(-1, cells).nan_to_num(0.0) for bound in along.aminmax())
            spans.append((max(math.floor(first), 0), min(math.floor(last) + 2, cells)))
            places.append((2 * (along - spans[-1][0]) + 1) / max(spans[-1][1] - spans[-1][0], 1) - 1)
        columns, rows = spans
        if rows[0] >= rows[1] or columns[0] >= columns[1]:  # all of it lies outside
            return points.new_zeros(self.channels, *points.shape[:2])
        part = self._inner(number, rows, columns) if padding == "zeros" else self._continued(number, rows, columns)
        return affine.sample(part[None], torch.stack(places, dim=-1)[None], padding=padding)[0]

    def _inner(self, number: int, rows: Span, columns: Span) -> Float64[Tensor, "c h w"]:
        """Return a part of a level, of which what lies outside the image counts as zero."""
        part = self._normalised(number, rows, columns)
        for axis, (span, side) in enumerate(zip((rows, columns), self.sides, strict=True), 1):
            left = side / 2**number - (span[1] - 1)  # of the last row or column
            part.narrow(axis, -1, 1).mul_(min(left, 1.0))
        return part

    def _continued(self, number: int, rows: Span, columns: Span) -> Float64[Tensor, "c h w"]:
        """Return a part of a level, for which the last row and column of each finer one were repeated where odd."""
        low, right = (span[1] * 2**number > side for span, side in zip((rows, columns), self.sides, strict=True))
        if low and rows[1] - rows[0] > 1:
            spans = [(rows[0], rows[1] - 1), (rows[1] - 1, rows[1])]
            return torch.cat([self._continued(number, span, columns) for span in spans], dim=1)
        if right and columns[1] - columns[0] > 1:
            spans = [(columns[0], columns[1] - 1), (columns[1] - 1, columns[1])]
            return torch.cat([self._continued(number, rows, span) for span in spans], dim=2)
        if not (low or right):
            return self._normalised(number, rows, columns)
        (tall, wide), finer = self.level(number - 1), []
        for span, side in ((rows, tall), (columns, wide)):
            finer.append((2 * span[0], min(2 * span[1], side)))
        part = self._continued(number - 1, *finer)
        odd = [2 * (span[1] - span[0]) - side for span, side in zip((rows, columns), part.shape[1:], strict=True)]
        return F.avg_pool2d(F.pad(part, (0, odd[1], 0, odd[0]), mode="replicate"), 2)

    def _normalised(self, number: int, rows: Span, columns: Span) -> Float64[Tensor, "c h w"]:
        return (self.read(number, rows, columns) - self.mean) / self.std - self.outside
