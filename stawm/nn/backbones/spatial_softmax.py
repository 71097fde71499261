"""Convolutions that end in points: where each of their maps is active."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from stawm.core import spatial_softmax
from stawm.nn.backbones.base import Backbone
from stawm.nn.backbones.conv import Conv, make_blocks, stack_of
from stawm.nn.precision import full_precision, without_autocast

START = 0.5413248546129181
"""What softplus turns into 1."""


class SpatialSoftmax(Backbone):
    """A stack of convolutions, and of each of its maps the point where it is active and its value there.

    After Levine et al. (2016). Where something is in an image is one of three numbers of a map, instead of spread over
    all of its cells, so a few images show a model where to look.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(Conv.Config):
        """Configuration of a stack with points: that of `conv`, whose last layer has one filter for each point."""

        name: str = "spatial-softmax"

        def faults(self) -> list[str]:
            """Return what is wrong with the notation of the stack, and with what points do not have."""
            hidden = [] if self.hidden is None else [f"{self.name}: its features are points: hidden must be null."]
            return super().faults() + hidden

    def __init__(self, config: Config | None = None, *, channels: int, size: tuple[int, int]) -> None:
        """Build the stack.

        Args:
            config: The configuration; the default one where left out.
            channels: c, of the images.
            size: h and w of the images.

        Raises:
            ConfigError: The stack does not fit the images.
        """
        config = config or self.Config()
        super().__init__(config, channels=channels, size=size)
        layers = stack_of(config, size)
        self.features = 3 * layers[-1].filters
        self.blocks = make_blocks(config, channels, layers)
        self.raw_temperature = nn.Parameter(torch.tensor(START))

    @property
    def temperature(self) -> Float[Tensor, ""]:
        """τ, above zero."""
        return F.softplus(self.raw_temperature)

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b f"]:
        """Return x, y and value of each point."""
        maps = self.blocks(images)
        with without_autocast(maps):
            return torch.cat(spatial_softmax.points(full_precision(maps), full_precision(self.temperature)), dim=1)
