"""A policy that looks at places that are given: in the middle, along a raster, or from a list."""

from dataclasses import dataclass
from typing import Annotated, Literal

from jaxtyping import Float
from torch import Tensor, nn

from stawm.configuration import Config as BaseConfig
from stawm.configuration import Interval
from stawm.core import policy as core
from stawm.errors import ConfigError
from stawm.nn.locators.base import Locator
from stawm.nn.policies.base import Facing, Move, Policy
from stawm.nn.policies.random import SHARE
from stawm.nn.precision import Exact

NUMBER = Interval(-1000, 1000)


class Fixed(Policy):
    """The same poses in every image, one after the other and then from the first again, whatever the model emits."""

    follows = False

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Configuration of the policy whose poses are given."""

        name: str = "fixed"
        path: Literal["centre", "raster"] = "centre"
        """``centre``: every glimpse in the middle; ``raster``: row by row over a square grid, a cell for each glimpse
        that the model takes."""
        poses: tuple[tuple[Annotated[float, NUMBER], ...], ...] = ()
        """Poses in place of the path: each of two numbers, a place (x, y) from -1 to 1, or of all that a pose has."""
        width: Annotated[float, SHARE] | None = None
        """How wide a glimpse at a place is, as a share of the image; null is as wide as a model starts with."""

    def __init__(self, config: Config | None = None, *, locator: Locator, glimpses: int) -> None:
        """Prepare the poses.

        Raises:
            ConfigError: A pose has too many numbers or too few, or the locator cannot be told where to look.
        """
        super().__init__()
        self.config = config or self.Config()
        name, given = self.config.name, self.config.poses
        wrong = [pose for pose in given if len(pose) not in (2, locator.pose_size)]
        if wrong:
            size = locator.pose_size
            raise ConfigError(
                [f"{name}: poses have 2 numbers, a place, or {size}, a whole pose; got {list(wrong[0])}."]
            )
        count = glimpses if self.config.path == "raster" else 1
        listed = core.raster(count).tolist() if self.config.path == "raster" else [[0.0, 0.0]]
        self.poses = nn.ModuleList(Exact(pose) for pose in given or listed)
        places = any(len(pose) == 2 for pose in given or listed)
        self.facing = Facing(locator, self.config.width, name) if places else None
        self.counts = len(self.poses) > 1

    def forward(
        self,
        emission: Float[Tensor, "b p"],
        hidden: Float[Tensor, "b d"],
        noise: Float[Tensor, "b k"] | None = None,
        taken: int = 0,
    ) -> Move:
        """Return the pose whose turn it is."""
        pose = self.poses[taken % len(self.poses)]().expand(len(emission), -1)
        return Move(pose if self.facing is None or pose.shape[1] != 2 else self.facing(pose))
