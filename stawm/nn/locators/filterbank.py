"""DRAW's attention."""

from dataclasses import dataclass
from math import log, log2
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.configuration import Config as BaseConfig
from stawm.core import affine, filterbank, pyramid
from stawm.core.pyramid import Pyramid
from stawm.nn.locators.base import Locator
from stawm.nn.locators.grid import SCALES, BaseGrid, side_by_side
from stawm.nn.precision import full_precision, without_autocast


class FilterBank(Locator):
    """Five numbers that move, space, widen and scale a grid of Gaussian filters (Gregor et al. 2015)."""

    pose_size = 5

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Configuration of the filter bank."""

        name: str = "filterbank"
        scales: Annotated[int, SCALES] = 1
        """How many concentric views a glimpse has, each twice as wide as the one before."""
        antialias: bool = False
        """Whether filters read means of what is around them, at a cost that does not grow with the image; otherwise
        every pixel of it."""

    config: Config

    def __init__(self, config: Config | None = None, *, glimpse_size: int, image_size: tuple[int, int]) -> None:
        super().__init__(config, glimpse_size=glimpse_size, image_size=image_size)
        self.views, self.any_size = self.config.scales, self.config.antialias
        if self.any_size:
            self.window = BaseGrid(2 * glimpse_size, 2 * glimpse_size, align_corners=False, views=self.views)

    def identity_pose(self) -> Float[Tensor, "5"]:
        """Return the pose that sees the whole image.

        The filters reach from its first to its last pixel along the longer side, γ is 1, and σ is half
        of the distance between filters, but at least half a pixel.
        """
        return torch.tensor(self._narrowed(0))

    def start_pose(self) -> Float[Tensor, "5"]:
        """Return the pose whose widest view sees the whole image."""
        return torch.tensor(self._narrowed(self.views - 1))

    def placing_pose(self) -> Float[Tensor, "5"]:
        """Return the pose that spreads a sketch over the whole canvas: γ is such that ones are drawn as ones.

        Each row of a filter sums to 1, so filters that lie d pixels apart sum to 1/d² at every pixel between them.
        """
        return torch.tensor([*self._narrowed(0)[:4], -2 * log(self._distance)])

    def facing(self, x: float, y: float, width: float | None = None) -> tuple[float, ...]:
        """Return the pose whose filters have their middle at a place."""
        height, across = self.image_size
        pose = self._narrowed(self.views - 1 if width is None else -log2(width))
        return (x * across / (across + 1), y * height / (height + 1), *pose[2:])

    def _narrowed(self, halvings: float) -> tuple[float, ...]:
        distance = self._distance / 2**halvings
        return (0.0, 0.0, 2 * log(max(distance, 1) / 2), -halvings * log(2) if halvings else 0.0, 0.0)

    @property
    def _distance(self) -> float:
        still = torch.zeros(1, 5, device="cpu")  # also where a model is only outlined, on no memory
        return filterbank.spacing(still, self.glimpse_size, *self.image_size).item()

    def prepare(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"] | Pyramid:
        """Return the image, or its pyramid where filters read means; outside it goes on as at its border."""
        if not self.config.antialias:
            return image
        with without_autocast(image):
            return pyramid.build(full_precision(image), "border")

    def glimpse(
        self, image: Float[Tensor, "b c h w"] | Pyramid, pose: Float[Tensor, "b 5"]
    ) -> Float[Tensor, "b _vc g g"]:
        """Take a glimpse of each image, or of what `prepare` made of it."""
        with without_autocast(pose):
            pose, side = full_precision(pose), self.glimpse_size
            whole = self.prepare(image) if isinstance(image, Tensor) else image
            if isinstance(whole, Pyramid):
                seen = filterbank.average(whole, pose, self.window(), side, self.image_size, views=self.views)
                return side_by_side(seen, self.views)
            whole = full_precision(whole).to(pose.dtype)
            views = [filterbank.read(whole, filterbank.widened(pose, view), side) for view in range(1, self.views)]
            first = filterbank.read(whole, pose, side)
            return torch.cat([first, *views], dim=1) if views else first

    def place(self, sketch: Float[Tensor, "b c g g"], inverse_pose: Float[Tensor, "b 5"]) -> Float[Tensor, "b c h w"]:
        """Put a sketch on an empty canvas, where the filters of the inverse pose are."""
        with without_autocast(sketch):
            pose = full_precision(inverse_pose)
            return filterbank.place(full_precision(sketch).to(pose.dtype), pose, *self.image_size)

    def frame(self, pose: Float[Tensor, "b 5"], size: Float[Tensor, "2"] | None = None) -> Float[Tensor, "b 4 2"]:
        """Return the corners (x, y) of the glimpse's first view in the image, clockwise from the top left.

        Each filter counts as a square as wide as the distance between filters.
        """
        height, width = self.image_size
        x, y = filterbank.centre(pose, height, width)
        half = filterbank.spacing(pose, self.glimpse_size, height, width) * (self.glimpse_size / 2)
        middle = torch.cat([(2 * x - 1) / width - 1, (2 * y - 1) / height - 1], dim=1)
        if size is None:
            reach = torch.cat([half * 2 / width, half * 2 / height], dim=1)
        else:
            reach = half * (2 / max(height, width)) * (size.amax(dim=0) / size)
        return middle[:, None] + reach[:, None] * affine.corners(pose)

    def placed_frame(self, inverse_pose: Float[Tensor, "b 5"]) -> Float[Tensor, "b 4 2"]:
        """Return the corners (x, y) of a placed sketch on the canvas, clockwise from the top left."""
        return self.frame(inverse_pose)
