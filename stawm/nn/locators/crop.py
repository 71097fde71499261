"""A square window of the image."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.core import crop
from stawm.nn.locators.grid import GridConfig, GridLocator


class Crop(GridLocator):
    """Three numbers (x, y, s), a position and one scale (after Mnih et al. 2014, interpolated)."""

    pose_size = 3

    @dataclass(frozen=True, kw_only=True)
    class Config(GridConfig):
        """Configuration of the crop locator."""

        name: str = "crop"

    def identity_pose(self) -> Float[Tensor, "3"]:
        """Return the pose that sees the whole image."""
        return torch.tensor([0.0, 0.0, 1.0])

    def facing(self, x: float, y: float, width: float | None = None) -> tuple[float, ...]:
        """Return the pose of a window at a place."""
        return (x, y, 0.5 ** (self.views - 1) if width is None else width)

    def grid(self, pose: Float[Tensor, "b 3"], base: Float[Tensor, "3 h w"]) -> Float[Tensor, "b h w 2"]:
        """Return where each pixel of a grid looks."""
        return crop.grid(pose, base)

    def as_affine(self, pose: Float[Tensor, "b 3"]) -> Float[Tensor, "b 6"]:
        """Return the pose as an affine one."""
        return crop.as_affine(pose)
