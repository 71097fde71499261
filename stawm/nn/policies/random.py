"""A policy that looks anywhere: what a learned one is compared with."""

from dataclasses import dataclass
from typing import Annotated

from jaxtyping import Float
from torch import Tensor

from stawm.configuration import Config as BaseConfig
from stawm.configuration import Interval
from stawm.nn.locators.base import Locator
from stawm.nn.policies.base import Facing, Move, Policy

SHARE = Interval(0, 1, open_low=True)


class Random(Policy):
    """An upright glimpse at a place that is drawn anew for each, in training and in use, whatever the model emits."""

    noise = "place"
    always_draws = True
    follows = False

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Configuration of the policy that looks anywhere."""

        name: str = "random"
        reach: Annotated[float, SHARE] = 1.0
        """How far from the image's middle the middle of a glimpse may be, as a share of the way to the edges."""
        width: Annotated[float, SHARE] | None = None
        """How wide a glimpse is, as a share of the image; null is as wide as a model starts with."""

    def __init__(self, config: Config | None = None, *, locator: Locator) -> None:
        super().__init__()
        self.config = config or self.Config()
        self.facing = Facing(locator, self.config.width, self.config.name)

    def forward(
        self,
        emission: Float[Tensor, "b p"],
        hidden: Float[Tensor, "b d"],
        noise: Float[Tensor, "b k"] | None = None,
        taken: int = 0,
    ) -> Move:
        """Look where uniform random numbers say, or in the middle where nothing is random."""
        if noise is None:
            return Move(self.facing.middle(len(emission)))
        return Move(self.facing(self.config.reach * (2 * noise - 1)))
