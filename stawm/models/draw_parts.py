"""The two halves of DRAW: what reads, and what draws."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stawm.configuration.components import instantiate
from stawm.errors import ConfigError, Faults
from stawm.heads.drawing import DrawingHead
from stawm.models.draw_config import DrawConfig
from stawm.nn.locators.base import Locator
from stawm.nn.precision import WideLinear, full_precision, without_autocast
from stawm.nn.recurrent import LSTMCell, clip_rows
from stawm.registry import Kind


class Reader(nn.Module):
    """Where to read, what is there, and the network that sees it."""

    def __init__(self, config: DrawConfig) -> None:
        """Build it; what is read has twice the channels in a model that draws, the image's and what the canvas lacks.

        Raises:
            ConfigError: All that cannot be built at these sizes.
        """
        super().__init__()
        channels, *size = config.image
        side = tuple(size) if config.glimpse_size is None else (config.glimpse_size, config.glimpse_size)
        views = getattr(config.locator, "scales", 1)
        channels *= views * (2 if config.draws else 1)
        faults = Faults()
        self.locator = faults.attempt(make_locator, config, config.glimpse_size)
        backbone = faults.attempt(instantiate, Kind.BACKBONE, config.backbone, channels=channels, size=side)
        faults.settle()
        self.backbone: Any = backbone
        self.features: int = self.backbone.features
        self.pose = None if self.locator is None else _emitter(config, _first_pose(self.locator, config.first_width))

    def forward(
        self, whole: Float[Tensor, "b c h w"], state: Float[Tensor, "b d"], pose_clip: float | None = None
    ) -> tuple[Float[Tensor, "b p"] | None, Float[Tensor, "b vc g g2"], Float[Tensor, "b f"]]:
        """Return where the state says to read, what is there, and its features."""
        pose, glimpse = None, whole
        if self.pose is not None and self.locator is not None:
            with without_autocast(whole):
                pose = _clipped(self.pose(state), pose_clip)
                glimpse = self.locator.glimpse(whole, pose)
        return pose, glimpse, self.backbone(glimpse)


class Painter(nn.Module):
    """The latent, the RNN that draws, and how it writes on the canvas."""

    def __init__(self, config: DrawConfig) -> None:
        """Build it.

        Raises:
            ConfigError: The head does not fit this family, or the locator cannot be built.
        """
        super().__init__()
        head: DrawingHead.Config = config.head("drawing")
        if faults := _faults(config, head):
            raise ConfigError(faults)
        channels, *size = config.image
        side = head.sketch_size or config.glimpse_size
        self.sketch = (channels, *size) if side is None else (channels, side, side)
        self.locator = make_locator(config, side)
        hidden = config.hidden_size
        self.mu, self.logvar = nn.Linear(hidden, head.latent), nn.Linear(hidden, head.latent)
        self.decoder = LSTMCell(head.latent, hidden)
        self.decoder_start = nn.Parameter(torch.zeros(hidden))
        self.pose = None if self.locator is None else _emitter(config, self.locator.placing_pose())
        count = self.sketch[0] * self.sketch[1] * self.sketch[2]
        self.sketcher = nn.Linear(hidden, count)
        self.blank = nn.Parameter(torch.full((channels, *size), config.initial))

    def start(self, batch: int) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b d"]]:
        """Return the empty canvas, and what the RNN starts with."""
        blank, h = full_precision(self.blank), full_precision(self.decoder_start)
        return blank.expand(batch, -1, -1, -1), h.expand(batch, -1)

    def latent(self, h: Float[Tensor, "b d"]) -> tuple[Float[Tensor, "b k"], Float[Tensor, "b k"]]:
        """Return the mean of the latent and the logarithm of its variance."""
        return full_precision(self.mu(h)), full_precision(self.logvar(h))

    def write(
        self, canvas: Float[Tensor, "b c h w"], h: Float[Tensor, "b d"], pose_clip: float | None = None
    ) -> tuple[Float[Tensor, "b p"] | None, Float[Tensor, "b c s s2"], Float[Tensor, "b c h w"]]:
        """Return where the state says to write, what, and the canvas after it."""
        sketch = full_precision(self.sketcher(h)).unflatten(1, self.sketch)
        if self.pose is None or self.locator is None:
            return None, sketch, canvas + sketch
        with without_autocast(canvas):
            pose = _clipped(self.pose(h), pose_clip)
            return pose, sketch, canvas + self.locator.place(sketch, pose)


def make_locator(config: DrawConfig, side: int | None) -> Locator | None:
    """Return the locator for what is so many pixels wide; None without attention.

    Raises:
        ConfigError: It cannot be built.
        UnknownNameError: It is not registered.
    """
    if config.locator is None or side is None:
        return None
    return instantiate(Kind.LOCATOR, config.locator, glimpse_size=side, image_size=tuple(config.image[1:]))


def _emitter(config: DrawConfig, start: Float[Tensor, "p"]) -> WideLinear:
    """Return the layer from a state to a pose; untrained, it gives the one to start with, whatever the state."""
    layer = WideLinear(config.hidden_size, len(start))
    nn.init.zeros_(layer.weight)
    layer.bias.data.copy_(start)
    return layer


def _first_pose(locator: Locator, width: float | None) -> Float[Tensor, "p"]:
    return locator.start_pose() if width is None else torch.tensor(locator.facing(0, 0, width))


def _clipped(pose: Float[Tensor, "b p"], limit: float | None) -> Float[Tensor, "b p"]:
    return pose if limit is None else clip_rows(pose, limit)


def _faults(config: DrawConfig, head: DrawingHead.Config) -> list[str]:
    rules = {
        "a DRAW model draws by one linear layer: decoder must be null and output_padding true": head.decoder is None
        and head.output_padding,
        "without a locator the whole canvas is written: sketch_size must be null": config.locator is not None
        or head.sketch_size is None,
    }
    return [f"{config.name}: {words}." for words, holds in rules.items() if not holds]
