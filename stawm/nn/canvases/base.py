"""The contract that every canvas keeps."""

from abc import ABC, abstractmethod
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from stawm.configuration import Config


class Canvas(nn.Module, ABC):
    """How sketches become a picture.

    Attributes:
        Config: The canvas's own configuration.
        channels: c, of the picture.
        sketch_channels: s, how many channels the decoder has to give.
        takes_noise: Whether the canvas can be sampled, and so takes noise.
    """

    Config: ClassVar[type[Config]]
    sketch_channels: int
    takes_noise: bool = False

    def __init__(self, config: Config, *, channels: int) -> None:
        super().__init__()
        self.config = config
        self.channels = channels

    @abstractmethod
    def activate(self, sketch: Float[Tensor, "b s g g"]) -> Float[Tensor, "b s g g"]:
        """Turn what the decoder gives into a sketch, before it is placed."""

    @abstractmethod
    def unroll(
        self, sketches: Float[Tensor, "b n s h w"], noise: Float[Tensor, "b n 1 h w"] | None = None
    ) -> tuple[Float[Tensor, "b n c h w"], Float[Tensor, "b n 1 h w"] | None]:
        """Draw placed sketches one after the other.

        Args:
            sketches: The sketches in the order in which they are drawn.
            noise: Uniform numbers in (0, 1) to sample with; deterministic where left out.

        Returns:
            The picture after each sketch, and the masks drawn with, where the canvas has masks.
        """
