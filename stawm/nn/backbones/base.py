"""The contract that every backbone keeps."""

from abc import ABC, abstractmethod
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from stawm.configuration import Config


class Backbone(nn.Module, ABC):
    """A network from an image to flat features, used alike for the context and for the glimpses.

    Attributes:
        Config: The backbone's own configuration.
        channels: c, of the images that it takes.
        size: h and w of the images that it takes.
        features: The width of what it gives.
    """

    Config: ClassVar[type[Config]]
    features: int

    def __init__(self, config: Config, *, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.config = config
        self.channels = channels
        self.size = size

    @abstractmethod
    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b f"]:
        """Return the features of each image."""
