"""The contract that every policy keeps."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal, NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from stawm.configuration import Config
from stawm.errors import ConfigError
from stawm.nn.locators.base import Locator
from stawm.nn.precision import Exact


class Move(NamedTuple):
    """Where a policy looks next.

    Attributes:
        pose: The pose.
        log_prob: The logarithm of its density, where it was drawn and the policy learns by it; else None.
        baseline: What reward the policy expects, with a gradient to what it expects it by alone; else None.
    """

    pose: Float[Tensor, "b p"]
    log_prob: Float[Tensor, "b 1"] | None = None
    baseline: Float[Tensor, "b 1"] | None = None


class Policy(nn.Module, ABC):
    """From what the model emits to the pose of the next glimpse.

    Attributes:
        Config: The policy's own configuration.
        noise: The random numbers of a pose, a field of `stawm.heads.output.Noise`: ``pose`` is as many standard normal
            numbers as a pose has, ``place`` two uniform ones; None where nothing is random.
        always_draws: Whether they are drawn in use too; otherwise in training only, and in use the mean is taken.
        follows: Whether what the model emits has a say in the pose.
        counts: Whether it matters which glimpse it is; a step graph cannot tell.
        rewarded: Whether the policy learns from a reward, by `losses`.
        learns_places: Whether it learns from where things are in images, by `place_losses`.
    """

    Config: ClassVar[type[Config]]
    config: Config
    noise: ClassVar[Literal["pose", "place"] | None] = None
    always_draws: ClassVar[bool] = False
    follows: ClassVar[bool] = True
    counts: bool = False
    rewarded: ClassVar[bool] = False
    learns_places: ClassVar[bool] = False

    @abstractmethod
    def forward(
        self,
        emission: Float[Tensor, "b p"],
        hidden: Float[Tensor, "b d"],
        noise: Float[Tensor, "b k"] | None = None,
        taken: int = 0,
    ) -> Move:
        """Choose where to look.

        Args:
            emission: The pose that the model emits.
            hidden: The recurrent state that it was emitted from.
            noise: The random numbers of this glimpse; the mean is taken where left out.
            taken: How many glimpses of the image were taken before.
        """

    def losses(
        self, log_prob: Float[Tensor, "b n"], baseline: Float[Tensor, "b n"] | None, reward: Float[Tensor, "b"]
    ) -> dict[str, Tensor]:
        """Return the named parts of the loss by which a policy learns from a reward; none unless it says so.

        Args:
            log_prob: That of each pose of each scan path.
            baseline: What reward was expected at each.
            reward: What each scan path was worth, from 0 to 1.
        """
        return {}

    def place_losses(
        self, frames: Float[Tensor, "b n 4 2"], boxes: Float[Tensor, "b d 4"], size: Float[Tensor, "2"]
    ) -> dict[str, Tensor]:
        """Return the named parts of the loss by which a policy learns where things are; none unless it says so.

        Args:
            frames: The corners (x, y) of each glimpse in the image.
            boxes: Left, top, right and bottom of each thing in pixels, the last two beyond it.
            size: The image's width and height in pixels.
        """
        return {}


class Facing(nn.Module):
    """From a place in the image to the upright glimpse there, for a locator of any kind."""

    def __init__(self, locator: Locator, width: float | None, policy: str) -> None:
        """Learn the locator's way; a pose is linear in its place.

        Args:
            locator: How a pose takes a glimpse.
            width: How wide a glimpse is, as a share of the image; as wide as a model starts with where left out.
            policy: Who asks, for messages.

        Raises:
            ConfigError: The locator cannot be told where to look, or how wide.
        """
        super().__init__()
        try:
            still, right, down = (locator.facing(x, y, width) for x, y in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)))
        except ConfigError as error:
            faults = [f"The policy {policy!r} says where to look. {fault}" for fault in error.faults]
            raise ConfigError(faults) from None
        self.still = Exact(still)
        self.right = Exact([a - b for a, b in zip(right, still, strict=True)])
        self.down = Exact([a - b for a, b in zip(down, still, strict=True)])

    def middle(self, batch: int) -> Float[Tensor, "b p"]:
        """Return the pose of the middle, for so many images."""
        return self.still().expand(batch, -1)

    def forward(self, place: Float[Tensor, "b 2"]) -> Float[Tensor, "b p"]:
        """Return the pose of each place (x, y), from -1 to 1."""
        return self.still() + place[:, :1] * self.right() + place[:, 1:] * self.down()
