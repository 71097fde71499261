"""The contract that every locator keeps."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from stawm.configuration import Config


class Locator(nn.Module, ABC):
    """From a pose to the glimpse that it takes of an image, and back.

    Coordinates are those of PyTorch's `grid_sample`: x to the right, y down, the image from -1 to 1.

    Attributes:
        Config: The locator's own configuration.
        pose_size: p, how many numbers a pose has.
        glimpse_size: g, the side of a glimpse in pixels.
        image_size: h and w of the image in pixels.
    """

    Config: ClassVar[type[Config]]
    pose_size: int

    def __init__(self, config: Config | None = None, *, glimpse_size: int, image_size: tuple[int, int]) -> None:
        super().__init__()
        default: Any = self.Config
        self.config: Config = config or default()
        self.glimpse_size = glimpse_size
        self.image_size = image_size

    @abstractmethod
    def identity_pose(self) -> Float[Tensor, "p"]:
        """Return the pose that sees the whole image; the emitters' last bias starts with it."""

    @abstractmethod
    def glimpse(self, image: Float[Tensor, "b c h w"], pose: Float[Tensor, "b p"]) -> Float[Tensor, "b c g g"]:
        """Take a glimpse of each image."""

    @abstractmethod
    def place(self, sketch: Float[Tensor, "b c g g"], inverse_pose: Float[Tensor, "b p"]) -> Float[Tensor, "b c h w"]:
        """Put a sketch of a glimpse's size on an empty canvas of the image's size."""

    @abstractmethod
    def frame(self, pose: Float[Tensor, "b p"]) -> Float[Tensor, "b 4 2"]:
        """Return the corners (x, y) of the glimpse in the image, clockwise from the top left."""

    @abstractmethod
    def placed_frame(self, inverse_pose: Float[Tensor, "b p"]) -> Float[Tensor, "b 4 2"]:
        """Return the corners (x, y) of a placed sketch on the canvas, clockwise from the top left."""
