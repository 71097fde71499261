"""The contract that every locator keeps."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stawm.configuration import Config
from stawm.core.pyramid import Pyramid
from stawm.errors import ConfigError


class Locator(nn.Module, ABC):
    """From a pose to the glimpse that it takes of an image, and back.

    Coordinates are those of PyTorch's `grid_sample`: x to the right, y down, the image from -1 to 1. A glimpse may
    be of several concentric views of one pose, v of them, the narrowest first; their channels lie one after the other.

    Attributes:
        Config: The locator's own configuration.
        pose_size: p, how many numbers a pose has.
        glimpse_size: g, the side of a glimpse in pixels.
        image_size: h and w in pixels of the images that the model is made for, and of the canvas.
        views: v, how many views a glimpse has.
        any_size: Whether glimpses can be taken of images of any size, at the same cost.
    """

    Config: ClassVar[type[Config]]
    pose_size: int
    views: int = 1
    any_size: bool = True

    def __init__(self, config: Config | None = None, *, glimpse_size: int, image_size: tuple[int, int]) -> None:
        super().__init__()
        default: Any = self.Config
        self.config: Config = config or default()
        self.glimpse_size = glimpse_size
        self.image_size = image_size

    @abstractmethod
    def identity_pose(self) -> Float[Tensor, "p"]:
        """Return the pose whose first view sees the whole image; STAWM's sketches start there."""

    def start_pose(self) -> Float[Tensor, "p"]:
        """Return the pose whose widest view sees the whole image; where the model looks starts with it."""
        return self.identity_pose()

    def placing_pose(self) -> Float[Tensor, "p"]:
        """Return the pose that spreads a sketch over the whole canvas as it is; DRAW's sketches start there."""
        return self.identity_pose()

    def facing(self, x: float, y: float, width: float | None = None) -> tuple[float, ...]:
        """Return the pose of an upright glimpse whose middle is at a place; every number of it is linear in x and y.

        Args:
            x: How far to the right the place is, from -1 to 1.
            y: How far down.
            width: How wide the first view is, as a share of the image; as in `start_pose` where left out.

        Raises:
            ConfigError: The locator cannot be told so.
        """
        raise ConfigError([f"The locator {self.config.name!r} has no method facing: it cannot be told where to look."])

    def prepare(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"] | Pyramid:
        """Return what glimpses are taken of, made once for all glimpses of an image: the image, unless it says else."""
        return image

    @abstractmethod
    def glimpse(
        self, image: Float[Tensor, "b c h w"] | Pyramid, pose: Float[Tensor, "b p"]
    ) -> Float[Tensor, "b _vc g g"]:
        """Take a glimpse of each image, or of what `prepare` made of it."""

    @abstractmethod
    def place(self, sketch: Float[Tensor, "b c g g"], inverse_pose: Float[Tensor, "b p"]) -> Float[Tensor, "b c h w"]:
        """Put a sketch of a glimpse's size on an empty canvas of the image's size."""

    @abstractmethod
    def frame(self, pose: Float[Tensor, "b p"], size: Float[Tensor, "2"] | None = None) -> Float[Tensor, "b 4 2"]:
        """Return the corners (x, y) of a glimpse's first view in the image, clockwise from the top left.

        Args:
            pose: The pose.
            size: The image's width and height, where it may be of another size than the model is made for.
        """

    def frames(self, pose: Float[Tensor, "b p"], size: Float[Tensor, "2"] | None = None) -> Float[Tensor, "b v 4 2"]:
        """Return the corners of every view, the narrowest first: each is twice as wide as the one before.

        Args:
            pose: The pose.
            size: As for `frame`.
        """
        first = self.frame(pose) if size is None else self.frame(pose, size)
        middle = first.mean(dim=1, keepdim=True)
        return torch.stack([middle + 2**view * (first - middle) for view in range(self.views)], dim=1)

    @abstractmethod
    def placed_frame(self, inverse_pose: Float[Tensor, "b p"]) -> Float[Tensor, "b 4 2"]:
        """Return the corners (x, y) of a placed sketch on the canvas, clockwise from the top left."""
