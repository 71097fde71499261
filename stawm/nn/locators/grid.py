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
from stawm.core import affine
from stawm.nn.locators.base import Locator
from stawm.nn.precision import full_precision


class BaseGrid(nn.Module):
    """Pixel coordinates as a buffer that is no part of a checkpoint and is exact in every precision."""

    points: Tensor

    def __init__(self, height: int, width: int, *, align_corners: bool) -> None:
        super().__init__()
        self.form = (height, width, align_corners)
        self.register_buffer("points", self._exact(torch.get_default_dtype(), None), persistent=False)

    def forward(self) -> Float[Tensor, "3 h w"]:
        """Return (x', y', 1) for each pixel."""
        return self.points

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "BaseGrid":
        """Move with the model, computing the coordinates anew: converted ones would keep the old rounding."""
        super()._apply(fn, recurse)
        self.points = self._exact(self.points.dtype, self.points.device)
        return self

    def _exact(self, dtype: torch.dtype, device: torch.device | None) -> Tensor:
        height, width, align_corners = self.form
        at_least = torch.promote_types(dtype, torch.float32)
        return affine.base_grid(height, width, align_corners=align_corners, dtype=at_least, device=device)


@dataclass(frozen=True, kw_only=True)
class GridConfig(BaseConfig):
    """What every locator that samples by a grid can be told."""

    align_corners: bool = False
    """Whether -1 and 1 are the centres of the outermost pixels, not their outer edges."""
    padding: Literal["zeros", "border", "reflection"] = "zeros"
    """What a glimpse sees outside the image; a canvas is empty outside a sketch in any case."""
    outside: Annotated[float, Interval(-1000, 1000)] = 0.0
    """What stands for the zeros of the padding, in normalised numbers: 0 is the mean; -mean / std is black."""


class GridLocator(Locator):
    """A locator whose pose moves a constant grid, and which interpolates the image there bilinearly."""

    config: GridConfig

    def __init__(self, config: GridConfig | None = None, *, glimpse_size: int, image_size: tuple[int, int]) -> None:
        super().__init__(config, glimpse_size=glimpse_size, image_size=image_size)
        self.glimpse_grid = BaseGrid(glimpse_size, glimpse_size, align_corners=self.config.align_corners)
        self.canvas_grid = BaseGrid(*image_size, align_corners=self.config.align_corners)

    @abstractmethod
    def grid(self, pose: Float[Tensor, "b p"], base: Float[Tensor, "3 h w"]) -> Float[Tensor, "b h w 2"]:
        """Return where each pixel of a grid looks."""

    @abstractmethod
    def as_affine(self, pose: Float[Tensor, "b p"]) -> Float[Tensor, "b 6"]:
        """Return the pose as an affine one."""

    def glimpse(self, image: Float[Tensor, "b c h w"], pose: Float[Tensor, "b p"]) -> Float[Tensor, "b c g g"]:
        """Take a glimpse of each image."""
        grid, outside = self.grid(full_precision(pose), self.glimpse_grid()), self.config.outside
        if not outside:
            return self._sample(image, grid, self.config.padding)
        return self._sample(image - outside, grid, self.config.padding) + outside

    def place(self, sketch: Float[Tensor, "b c g g"], inverse_pose: Float[Tensor, "b p"]) -> Float[Tensor, "b c h w"]:
        """Put a sketch on an empty canvas: each pixel of the canvas looks where the inverse pose says."""
        grid = self.grid(full_precision(inverse_pose), self.canvas_grid())
        return self._sample(sketch, grid, "zeros")

    def frame(self, pose: Float[Tensor, "b p"]) -> Float[Tensor, "b 4 2"]:
        """Return the corners (x, y) of the glimpse in the image, clockwise from the top left."""
        return affine.transform(self.as_affine(pose), corners(pose))

    def placed_frame(self, inverse_pose: Float[Tensor, "b p"]) -> Float[Tensor, "b 4 2"]:
        """Return the corners (x, y) of a placed sketch on the canvas, clockwise from the top left.

        They are not finite where the inverse pose flattens the plane: the sketch is then a line.
        """
        return affine.transform(affine.invert(self.as_affine(inverse_pose)), corners(inverse_pose))

    def _sample(self, image: Tensor, grid: Tensor, padding: affine.Padding) -> Tensor:
        seen = full_precision(image).to(grid.dtype)
        return affine.sample(seen, grid, align_corners=self.config.align_corners, padding=padding)


def corners(like: Tensor) -> Float[Tensor, "4 2"]:
    """Return the corners (x, y) of a whole image, clockwise from the top left."""
    return like.new_tensor([[-1, -1], [1, -1], [1, 1], [-1, 1]])
