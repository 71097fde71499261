"""RAM's retina: views of sizes of their own, of which only the position is chosen."""

from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.configuration import Interval
from stawm.core import crop
from stawm.errors import ConfigError
from stawm.nn.locators.grid import GridConfig, GridLocator


class Retina(GridLocator):
    """Two numbers (x, y), a position; how wide each view is does not change (Mnih et al. 2014)."""

    pose_size = 2

    @dataclass(frozen=True, kw_only=True)
    class Config(GridConfig):
        """Configuration of the retina."""

        name: str = "retina"
        width: Annotated[float, Interval(0, 1, open_low=True)] | None = None
        """How wide the first view is, as a share of the image; null is such that the last one sees the whole image."""

    config: Config

    @property
    def width(self) -> float:
        """How wide the first view is, as a share of the image."""
        return self.config.width or 0.5 ** (self.views - 1)

    def identity_pose(self) -> Float[Tensor, "2"]:
        """Return the middle."""
        return torch.zeros(2)

    def start_pose(self) -> Float[Tensor, "2"]:
        """Return the middle."""
        return self.identity_pose()

    def facing(self, x: float, y: float, width: float | None = None) -> tuple[float, ...]:
        """Return the place itself."""
        if width is not None:
            raise ConfigError(["A retina has a width of its own, locator.width: leave out any other."])
        return (x, y)

    def grid(self, pose: Float[Tensor, "b 2"], base: Float[Tensor, "3 h w"]) -> Float[Tensor, "b h w 2"]:
        """Return where each pixel of a grid looks."""
        return crop.grid(self._with_width(pose), base)

    def as_affine(self, pose: Float[Tensor, "b 2"]) -> Float[Tensor, "b 6"]:
        """Return the pose as an affine one."""
        return crop.as_affine(self._with_width(pose))

    def _with_width(self, pose: Float[Tensor, "b 2"]) -> Float[Tensor, "b 3"]:
        return torch.cat([pose, torch.full_like(pose[:, :1], self.width)], dim=1)
