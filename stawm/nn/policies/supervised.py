"""EDRAM's policy: it looks where the model says, and is told in training where things are."""

from dataclasses import dataclass
from typing import Annotated

from jaxtyping import Float
from torch import Tensor

from stawm.configuration import NON_NEGATIVE, Interval
from stawm.core import policy as core
from stawm.nn.policies.deterministic import Deterministic


class Supervised(Deterministic):
    """The emission is the pose; it learns by the gradient through what is seen, and from the boxes of things.

    After Ablavatski et al. (2017). In use no boxes are needed.
    """

    learns_places = True

    @dataclass(frozen=True, kw_only=True)
    class Config(Deterministic.Config):
        """Configuration of the policy that is told where things are."""

        name: str = "supervised"
        margin: Annotated[float, Interval(0.1, 10.0)] = 1.4
        """How many times as wide as the longer side of its box what shall be seen of a thing is: a digit of MNIST is 20
        pixels high in its picture of 28."""
        weight: Annotated[float, NON_NEGATIVE] = 1.0
        """What the loss on places is multiplied by."""

    config: Config

    def place_losses(
        self, frames: Float[Tensor, "b n 4 2"], boxes: Float[Tensor, "b d 4"], size: Float[Tensor, "2"]
    ) -> dict[str, Tensor]:
        """Return ``places``, how far the corners of glimpses are from those of a square around a thing."""
        wanted = core.around(boxes, size, self.config.margin)
        return {"places": self.config.weight * core.places_error(frames, wanted)}
