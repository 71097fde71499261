"""The constant grid that poses move, and what the locators that use it have in common."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stawm.configuration import Config as BaseConfig
from stawm.configuration import Interval
from stawm.core import affine, pyramid
from stawm.core.constants import vector
from stawm.core.pyramid import Pyramid
from stawm.core.sizes import extent
from stawm.nn.locators.base import Locator
from stawm.nn.precision import full_precision, without_autocast


class BaseGrid(nn.Module):
    """Pixel coordinates as a buffer that is no part of a checkpoint and is exact in every precision."""

    points: Tensor

    def __init__(self, height: int, width: int, *, align_corners: bool, views: int = 1) -> None:
        super().__init__()
        self.form, self.views = (height, width, align_corners), views
        self.register_buffer("points", self._exact(torch.get_default_dtype(), None), persistent=False)

    def forward(self) -> Float[Tensor, "3 vh w"]:
        """Return (x', y', 1) for each pixel, of several views one below the other."""
        return self.points

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "BaseGrid":
        """Move with the model, computing the coordinates anew: converted ones would keep the old rounding."""
        super()._apply(fn, recurse)
        self.points = self._exact(self.points.dtype, self.points.device)
        return self

    def _exact(self, dtype: torch.dtype, device: torch.device | None) -> Tensor:
        height, width, align_corners = self.form
        at_least = torch.promote_types(dtype, torch.float32)
        base = affine.base_grid(height, width, align_corners=align_corners, dtype=at_least, device=device)
        return base if self.views == 1 else affine.concentric(base, self.views)


SCALES = Interval(1, 8)
"""How many views a glimpse may have: the eighth is 128 times as wide as the first."""


@dataclass(frozen=True, kw_only=True)
class GridConfig(BaseConfig):
    """What every locator that samples by a grid can be told."""

    align_corners: bool = False
    """Whether -1 and 1 are the centres of the outermost pixels, not their outer edges."""
    padding: Literal["zeros", "border", "reflection"] = "zeros"
    """What a glimpse sees outside the image; a canvas is empty outside a sketch in any case."""
    outside: Annotated[float, Interval(-1000, 1000)] = 0.0
    """What stands for the zeros of the padding, in normalised numbers: 0 is the mean; -mean / std is black."""
    scales: Annotated[int, SCALES] = 1
    """How many concentric views a glimpse has, each twice as wide as the one before."""
    antialias: bool = False
    """Whether what a pixel of a glimpse covers is averaged, by a pyramid of means; otherwise it is a point."""
    square: bool = False
    """Whether a glimpse is as high as wide in pixels, also in an image that is not; otherwise in fractions of it."""

    def faults(self) -> list[str]:
        """Return what is wrong between the fields."""
        asked = [name for name in ("antialias", "square") if getattr(self, name)]
        if asked and self.align_corners:
            return [f"{self.name}: {asked[0]} goes by the areas of pixels, so align_corners must be false."]
        return []


class GridLocator(Locator):
    """A locator whose pose moves a constant grid, and which interpolates the image there bilinearly."""

    config: GridConfig

    def __init__(self, config: GridConfig | None = None, *, glimpse_size: int, image_size: tuple[int, int]) -> None:
        super().__init__(config, glimpse_size=glimpse_size, image_size=image_size)
        self.views = self.config.scales
        corners = {"align_corners": self.config.align_corners}
        self.glimpse_grid = BaseGrid(glimpse_size, glimpse_size, **corners, views=self.views)
        self.canvas_grid = BaseGrid(*image_size, align_corners=self.config.align_corners)

    @abstractmethod
    def grid(self, pose: Float[Tensor, "b p"], base: Float[Tensor, "3 h w"]) -> Float[Tensor, "b h w 2"]:
        """Return where each pixel of a grid looks."""

    @abstractmethod
    def as_affine(self, pose: Float[Tensor, "b p"]) -> Float[Tensor, "b 6"]:
        """Return the pose as an affine one."""

    def start_pose(self) -> Float[Tensor, "p"]:
        """Return the pose whose widest view sees the whole image."""
        return self.identity_pose() / 2 ** (self.views - 1)  # its centre is 0

    def prepare(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"] | Pyramid:
        """Return the image, or its pyramid where glimpses are antialiased."""
        if not self.config.antialias:
            return image
        with without_autocast(image):
            seen, outside = full_precision(image), self.config.outside
            return pyramid.build(seen - outside if outside else seen, self.config.padding)

    def glimpse(
        self, image: Float[Tensor, "b c h w"] | Pyramid, pose: Float[Tensor, "b p"]
    ) -> Float[Tensor, "b _vc g g"]:
        """Take a glimpse of each image, or of what `prepare` made of it."""
        whole, pose = self.prepare(image) if isinstance(image, Tensor) else image, full_precision(pose)
        seen = self._averages(whole, pose) if isinstance(whole, Pyramid) else self._points(whole, pose)
        return side_by_side(seen, self.views)

    def _points(self, image: Float[Tensor, "b c h w"], pose: Float[Tensor, "b p"]) -> Float[Tensor, "b c vg g"]:
        outside = self.config.outside
        if self.config.square:
            grid = affine.grid(affine.squared(self.as_affine(pose), extent(full_precision(image))), self.glimpse_grid())
        else:
            grid = self.grid(pose, self.glimpse_grid())
        if not outside:
            return self._sample(image, grid, self.config.padding)
        return self._sample(image - outside, grid, self.config.padding) + outside

    def _averages(self, whole: Pyramid, pose: Float[Tensor, "b p"]) -> Float[Tensor, "b c vg g"]:
        matrix, padding = self.as_affine(pose), self.config.padding
        matrix = affine.squared(matrix, whole.size) if self.config.square else matrix
        seen = pyramid.read(whole, matrix, self.glimpse_grid(), views=self.views, padding=padding)
        return seen + self.config.outside if self.config.outside else seen

    def place(self, sketch: Float[Tensor, "b c g g"], inverse_pose: Float[Tensor, "b p"]) -> Float[Tensor, "b c h w"]:
        """Put a sketch on an empty canvas: each pixel of the canvas looks where the inverse pose says."""
        base = self.canvas_grid()
        base = base / self._shorter(base)[:, None, None] if self.config.square else base
        grid = self.grid(full_precision(inverse_pose), base)
        return self._sample(sketch, grid, "zeros")

    def frame(self, pose: Float[Tensor, "b p"], size: Float[Tensor, "2"] | None = None) -> Float[Tensor, "b 4 2"]:
        """Return the corners (x, y) of the glimpse's first view in the image, clockwise from the top left."""
        matrix = self.as_affine(pose)
        if self.config.square:
            matrix = affine.squared(matrix, vector(self.image_size[::-1], pose) if size is None else size)
        return affine.transform(matrix, affine.corners(pose))

    def placed_frame(self, inverse_pose: Float[Tensor, "b p"]) -> Float[Tensor, "b 4 2"]:
        """Return the corners (x, y) of a placed sketch on the canvas, clockwise from the top left.

        They are not finite where the inverse pose flattens the plane: the sketch is then a line.
        """
        frame = affine.transform(affine.invert(self.as_affine(inverse_pose)), affine.corners(inverse_pose))
        return frame * self._shorter(frame)[:2] if self.config.square else frame

    def _shorter(self, like: Tensor) -> Float[Tensor, "3"]:
        """Return by what a square on the canvas, in fractions of its sides, is shorter along x and y."""
        height, width = self.image_size
        longer = max(height, width)
        return vector((longer / width, longer / height, 1.0), like)

    def _sample(self, image: Tensor, grid: Tensor, padding: affine.Padding) -> Tensor:
        seen = full_precision(image).to(grid.dtype)
        return affine.sample(seen, grid, align_corners=self.config.align_corners, padding=padding)


def side_by_side(seen: Float[Tensor, "b c vg g"], views: int) -> Float[Tensor, "b _vc g g"]:
    """Make views that lie one below the other channels."""
    if views == 1:
        return seen
    return seen.unflatten(2, (views, -1)).transpose(1, 2).flatten(1, 2)
