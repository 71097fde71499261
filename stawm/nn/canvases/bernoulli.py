"""The Bernoulli canvas."""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.configuration import POSITIVE, SIZE
from stawm.configuration import Config as BaseConfig
from stawm.core import canvas
from stawm.nn.canvases.base import Canvas
from stawm.nn.precision import full_precision


class Bernoulli(Canvas):
    """Each sketch replaces what its mask covers, the mask being its first channel (the paper's Eq. 4)."""

    takes_noise = True

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Configuration of the Bernoulli canvas."""

        name: str = "bernoulli"
        temperature: Annotated[float, POSITIVE] = 2.0
        """τ of the Concrete distribution that masks are sampled from: the nearer 0, the nearer to 0 or 1 they are."""
        ground: bool = False
        """Whether the first sketch is the ground, which covers all that is there: its mask is 1 everywhere."""
        flat: bool = False
        """Whether every sketch but a ground has one colour, so that what it shows must be the shape of its mask."""
        flat_by: Literal["mask", "frame"] = "mask"
        """What the one colour of a flat sketch is the mean of: of what its mask covers, or of all that was sketched, so
        that it stays as it is where the mask changes."""
        ground_size: Annotated[int, SIZE] | None = None
        """Of how many cells a side a ground is made at most, so that it cannot show what is small; null is any."""
        mask_bias: float = 0.0
        """What is added to masks before their sigmoid: below 0 they cover little in an untrained model."""
        sampled: bool = True
        """Whether masks are sampled while training; else they are always their probability."""

    config: Config

    def __init__(self, config: Config | None = None, *, channels: int) -> None:
        super().__init__(config or self.Config(), channels=channels)
        self.sketch_channels = channels + 1
        self.takes_noise = self.config.sampled

    def activate(self, sketch: Float[Tensor, "b s g g"]) -> Float[Tensor, "b s g g"]:
        """Bring mask and picture between 0 and 1, before they are placed."""
        if self.config.mask_bias:
            sketch = torch.cat([sketch[:, :1] + self.config.mask_bias, sketch[:, 1:]], dim=1)
        return sketch.sigmoid()

    def unroll(
        self, sketches: Float[Tensor, "b n s h w"], noise: Float[Tensor, "b n 1 h w"] | None = None
    ) -> tuple[Float[Tensor, "b n c h w"], Float[Tensor, "b n 1 h w"]]:
        """Draw placed sketches one after the other.

        Args:
            sketches: The sketches in the order in which they are drawn, the mask's probability first.
            noise: Uniform numbers in (0, 1) to sample the masks with; left out, a mask is its probability.

        Returns:
            The picture after each sketch, and the masks drawn with.
        """
        sketches = full_precision(sketches)
        masks, pictures = sketches[:, :, :1], sketches[:, :, 1:]
        if self.config.flat:
            kept = int(self.config.ground)
            covered = masks[:, kept:] if self.config.flat_by == "mask" else (masks[:, kept:] > 0).to(masks)
            flat = canvas.one_colour(pictures[:, kept:], covered)
            pictures = torch.cat([pictures[:, :kept], flat], dim=1)
        if self.config.ground and self.config.ground_size is not None:
            ground = canvas.coarse(pictures[:, :1], self.config.ground_size)
            pictures = torch.cat([ground, pictures[:, 1:]], dim=1)
        if noise is not None and self.takes_noise:
            masks = canvas.concrete(masks, noise.to(masks.dtype), self.config.temperature)
        if self.config.ground:
            masks = torch.cat([torch.ones_like(masks[:, :1]), masks[:, 1:]], dim=1)
        return canvas.paint(pictures, masks), masks
