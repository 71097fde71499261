"""The spatial transformer's glimpse."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.core import affine
from stawm.nn.locators.grid import GridConfig, GridLocator


class Affine(GridLocator):
    """Six numbers, the 2x3 matrix of an affine transform row by row (Jaderberg et al. 2015)."""

    pose_size = 6

    @dataclass(frozen=True, kw_only=True)
    class Config(GridConfig):
        """Configuration of the affine locator."""

        name: str = "affine"

    def identity_pose(self) -> Float[Tensor, "6"]:
        """Return the pose that sees the whole image."""
        return torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0])

    def facing(self, x: float, y: float, width: float | None = None) -> tuple[float, ...]:
        """Return the pose of an upright glimpse at a place."""
        scale = 0.5 ** (self.views - 1) if width is None else width
        return (scale, 0.0, x, 0.0, scale, y)

    def grid(self, pose: Float[Tensor, "b 6"], base: Float[Tensor, "3 h w"]) -> Float[Tensor, "b h w 2"]:
        """Return where each pixel of a grid looks."""
        return affine.grid(pose, base)

    def as_affine(self, pose: Float[Tensor, "b 6"]) -> Float[Tensor, "b 6"]:
        """Return the pose itself."""
        return pose
