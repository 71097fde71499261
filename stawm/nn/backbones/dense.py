"""Fully connected layers on pixels."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from jaxtyping import Float
from torch import Tensor, nn

from stawm.configuration import SIZE
from stawm.configuration import Config as BaseConfig
from stawm.nn.backbones.base import Backbone


class Dense(Backbone):
    """Fully connected layers, each followed by ReLU; without any, the pixels themselves, as DRAW's RNN sees them."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Configuration of fully connected layers."""

        name: str = "dense"
        layers: tuple[Annotated[int, SIZE], ...] = ()
        """How many units each layer has; none is the pixels themselves."""

    config: Config

    def __init__(self, config: Config | None = None, *, channels: int, size: tuple[int, int]) -> None:
        """Build the layers.

        Args:
            config: The configuration; the default one where left out.
            channels: c, of the images.
            size: h and w of the images.
        """
        super().__init__(config or self.Config(), channels=channels, size=size)
        widths = [channels * size[0] * size[1], *self.config.layers]
        self.features = widths[-1]
        self.layers = nn.Sequential(*(nn.Sequential(nn.Linear(a, b), nn.ReLU()) for a, b in pairwise(widths)))

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b f"]:
        """Return the features of each image."""
        return self.layers(images.flatten(1))
