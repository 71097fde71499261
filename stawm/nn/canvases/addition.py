"""The addition canvas."""

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from stawm.configuration import Config as BaseConfig
from stawm.core import canvas
from stawm.nn.canvases.base import Canvas
from stawm.nn.precision import full_precision


class Addition(Canvas):
    """Sketches add up, and a sigmoid makes the sum a picture (the paper's Eq. 3)."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Configuration of the addition canvas."""

        name: str = "addition"
        initial: float = -6.0
        """C₀, the empty canvas before the sigmoid: -6 is black, 0 is grey."""
        activation: Literal["sigmoid", "none"] = "sigmoid"
        """What makes the sum a picture."""

    config: Config

    def __init__(self, config: Config | None = None, *, channels: int) -> None:
        super().__init__(config or self.Config(), channels=channels)
        self.sketch_channels = channels

    def activate(self, sketch: Float[Tensor, "b s g g"]) -> Float[Tensor, "b s g g"]:
        """Return the sketch as it is: it may also take away from the canvas."""
        return sketch

    def unroll(
        self, sketches: Float[Tensor, "b n s h w"], noise: Float[Tensor, "b n 1 h w"] | None = None
    ) -> tuple[Float[Tensor, "b n s h w"], None]:
        """Draw placed sketches one after the other; noise changes nothing here."""
        total = canvas.add(full_precision(sketches), self.config.initial)
        return total.sigmoid() if self.config.activation == "sigmoid" else total, None
