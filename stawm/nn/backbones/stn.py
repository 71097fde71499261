"""A spatial transformer: one network says where to look, another one sees what is there."""

from dataclasses import dataclass
from typing import Annotated

from jaxtyping import Float
from torch import Tensor, nn

from stawm.configuration import SIDE, SIZE
from stawm.configuration import Config as BaseConfig
from stawm.errors import ConfigError
from stawm.nn.backbones.base import Backbone
from stawm.nn.backbones.conv import Conv
from stawm.nn.backbones.layers import parse_layers
from stawm.nn.locators.affine import Affine
from stawm.nn.precision import WideLinear, full_precision, without_autocast


class Stn(Backbone):
    """A network on one affine view of the image that a localisation network chooses (Jaderberg et al. 2015)."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Configuration of a spatial transformer in front of a convolution stack."""

        name: str = "stn"
        localisation: str | None = None
        """The stack that sees the whole image and says where to look; null is one that fits the image."""
        localisation_hidden: Annotated[int, SIZE] = 32
        """How many units stand between that stack and the pose."""
        view: Annotated[int, SIDE] | None = None
        """The side of the view in pixels; null is half of the image's shorter side."""
        layers: str | None = None
        """The stack that sees the view; null is one that fits it."""
        hidden: Annotated[int, SIZE] | None = None
        """How many units a fully connected layer after that stack has; null is no such layer."""

        def faults(self) -> list[str]:
            """Return what is wrong with the notation of the stacks."""
            found = []
            for key in ("localisation", "layers"):
                try:
                    parse_layers(text) if (text := getattr(self, key)) is not None else ()
                except ConfigError as error:
                    found += [f"{self.name}: {key}: {fault}" for fault in error.faults]
            return found

    config: Config

    def __init__(self, config: Config | None = None, *, channels: int, size: tuple[int, int]) -> None:
        """Build both networks; untrained, the view is the whole image.

        Args:
            config: The configuration; the default one where left out.
            channels: c, of the images.
            size: h and w of the images.

        Raises:
            ConfigError: A stack does not fit what it is given.
        """
        super().__init__(config or self.Config(), channels=channels, size=size)
        config = self.config
        side = config.view or max(1, min(size) // 2)
        where = Conv.Config(layers=config.localisation, hidden=config.localisation_hidden)
        self.localisation = Conv(where, channels=channels, size=size)
        self.locator = Affine(glimpse_size=side, image_size=size)
        start = self.locator.start_pose()
        self.pose = WideLinear(self.localisation.features, len(start))
        nn.init.zeros_(self.pose.weight)
        self.pose.bias.data.copy_(start)
        what = Conv.Config(layers=config.layers, hidden=config.hidden)
        self.network = Conv(what, channels=channels, size=(side, side))
        self.features = self.network.features

    def look(self, images: Float[Tensor, "b c h w"]) -> tuple[Float[Tensor, "b 6"], Float[Tensor, "b c g g"]]:
        """Return the pose of each image's view, and the view."""
        features = self.localisation(images)
        with without_autocast(images):
            pose = self.pose(features)
            return pose, self.locator.glimpse(full_precision(images), pose).to(images.dtype)

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b f"]:
        """Return the features of each image's view."""
        return self.network(self.look(images)[1])
