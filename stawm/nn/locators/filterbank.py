"""DRAW's attention."""

from dataclasses import dataclass
from math import log

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.configuration import Config as BaseConfig
from stawm.core import filterbank
from stawm.nn.locators.base import Locator
from stawm.nn.locators.grid import corners
from stawm.nn.precision import full_precision, without_autocast


class FilterBank(Locator):
    """Five numbers that move, space, widen and scale a grid of Gaussian filters (Gregor et al. 2015)."""

    pose_size = 5
    any_size = False

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Configuration of the filter bank."""

        name: str = "filterbank"

    def identity_pose(self) -> Float[Tensor, "5"]:
        """Return the pose that sees the whole image.

        The filters reach from its first to its last pixel along the longer side, γ is 1, and σ is half
        of the distance between filters, but at least half a pixel.
        """
        still = torch.zeros(1, 5, device="cpu")  # also where a model is only outlined, on no memory
        distance = filterbank.spacing(still, self.glimpse_size, *self.image_size).item()
        return torch.tensor([0.0, 0.0, 2 * log(max(distance, 1) / 2), 0.0, 0.0])

    def glimpse(self, image: Float[Tensor, "b c h w"], pose: Float[Tensor, "b 5"]) -> Float[Tensor, "b c g g"]:
        """Take a glimpse of each image."""
        with without_autocast(image):
            pose = full_precision(pose)
            return filterbank.read(full_precision(image).to(pose.dtype), pose, self.glimpse_size)

    def place(self, sketch: Float[Tensor, "b c g g"], inverse_pose: Float[Tensor, "b 5"]) -> Float[Tensor, "b c h w"]:
        """Put a sketch on an empty canvas, where the filters of the inverse pose are."""
        with without_autocast(sketch):
            pose = full_precision(inverse_pose)
            return filterbank.place(full_precision(sketch).to(pose.dtype), pose, *self.image_size)

    def frame(self, pose: Float[Tensor, "b 5"]) -> Float[Tensor, "b 4 2"]:
        """Return the corners (x, y) of the glimpse in the image, clockwise from the top left.

        Each filter counts as a square as wide as the distance between filters.
        """
        height, width = self.image_size
        x, y = filterbank.centre(pose, height, width)
        half = filterbank.spacing(pose, self.glimpse_size, height, width) * (self.glimpse_size / 2)
        middle = torch.cat([(2 * x - 1) / width - 1, (2 * y - 1) / height - 1], dim=1)
        reach = torch.cat([half * 2 / width, half * 2 / height], dim=1)
        return middle[:, None] + reach[:, None] * corners(pose)

    def placed_frame(self, inverse_pose: Float[Tensor, "b 5"]) -> Float[Tensor, "b 4 2"]:
        """Return the corners (x, y) of a placed sketch on the canvas, clockwise from the top left."""
        return self.frame(inverse_pose)
