"""Drawing: a read after every glimpse, a latent, a sketch, a canvas (paper, Figure 4)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from einops import rearrange
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from stawm import configuration as base
from stawm.configuration import NON_NEGATIVE, SIDE, SIZE
from stawm.core import draw
from stawm.core.latent import reparameterise
from stawm.errors import ConfigError, InputError
from stawm.heads.base import Carried, Fields, Head, Query, Scene
from stawm.heads.config import HeadConfig
from stawm.heads.losses import kl_loss, reconstruction_loss
from stawm.heads.noise import Shapes
from stawm.heads.output import Latent, Output
from stawm.nn.backbones.conv import Conv
from stawm.nn.backbones.layers import parse_layers
from stawm.nn.canvases.base import Canvas
from stawm.nn.decoder import Decoder, default_layers
from stawm.nn.glimpse_loop import flatten_time
from stawm.nn.precision import WideLinear, full_precision, without_autocast


def make_decoder(config: "DrawingHead.Config", backbone: base.Config, channels: int, size: tuple[int, int]) -> Decoder:
    """Return the decoder of a head.

    Args:
        config: The head's configuration.
        backbone: The configuration of the CNN that is mirrored, where it is a conv stack.
        channels: Of what is drawn.
        size: h and w of what is drawn, where the head does not say it.

    Raises:
        ConfigError: The stack does not fit that size.
    """
    size = size if config.sketch_size is None else (config.sketch_size, config.sketch_size)
    stack = backbone if isinstance(backbone, Conv.Config) else default_layers(size)
    stack = stack if config.decoder is None else stack.replace(layers=config.decoder)
    return Decoder(
        stack, channels=channels, size=size, output_padding=config.output_padding, norm_over=config.norm_over
    )


class Sketcher(nn.Module):
    """From what was read to the latent, and from the latent to a sketch."""

    def __init__(
        self, features: int, latent: int, decoder: Decoder, start_logvar: float = 0.0, levels: int | None = None
    ) -> None:
        """Make it.

        Args:
            features: How many numbers are read.
            latent: k.
            decoder: What makes a sketch.
            start_logvar: About what the logarithm of the latent's variance starts from.
            levels: Of how many channels a sketch is, where the latent also decides a level for each; None for none.
        """
        super().__init__()
        self.mu = nn.Linear(features, latent)
        self.logvar = nn.Linear(features, latent)
        self.logvar.bias.data += start_logvar
        self.expand = nn.Linear(latent, decoder.in_features)
        self.decoder = decoder
        self.levels = None if levels is None else WideLinear(latent, levels)

    def forward(
        self, x: Float[Tensor, "b n m"], noise: Float[Tensor, "b n k"] | None
    ) -> tuple[Latent, Float[Tensor, "b n s h w"]]:
        """Return the latent and the sketches; the latent's mean is drawn where there is no noise."""
        latent = Latent(full_precision(self.mu(x)), full_precision(self.logvar(x)))
        z = latent.mu if noise is None else reparameterise(latent.mu, latent.logvar, noise)
        return latent, self.decode(z)

    def decode(self, z: Float[Tensor, "b n k"]) -> Float[Tensor, "b n s h w"]:
        """Return the sketches that are drawn from latents."""
        sketches = self.decoder(self.expand(z).relu())
        return sketches if self.levels is None else full_precision(sketches) + self.levels(z)[..., None, None]


class DrawingHead(Head):
    """Reads the memory after every glimpse, and draws a sketch of each where it was seen."""

    fields: ClassVar = {
        "mu": "b n k",
        "logvar": "b n k",
        "sketches": "b n s g g2",
        "masks": "b n 1 h w",
        "canvases": "b n c h w",
        "canvas": "b c h w",
    }

    @dataclass(frozen=True, kw_only=True)
    class Config(HeadConfig):
        """What the head alone decides."""

        name: str = "drawing"
        latent: Annotated[int, SIZE] = 4
        """k, how many numbers a sketch is drawn from."""
        beta: Annotated[float, NON_NEGATIVE] = 4.0
        """β, the weight of the divergence (Eq. 5)."""
        start_logvar: float = 0.0
        """About what the logarithm of the latent's variance is in an untrained model: far below 0 little noise hides
        what was seen while the model begins to learn."""
        levels: bool = False
        """Whether the latent also decides, by one linear layer, what is added to every pixel of each channel of a
        sketch, so that its mean colour need not go through the decoder."""
        first_apart: bool = False
        """Whether the first sketch of an image, such as a ground, has a latent layer and a decoder of its own."""
        decoder: str | None = None
        """The conv stack that the decoder mirrors; the glimpse CNN's where null."""
        sketch_size: Annotated[int, SIDE] | None = None
        """The side of a sketch in pixels; the glimpse's where null."""
        output_padding: bool = True
        """Whether a sketch has its full size also where strides drop pixels; CelebA's is one smaller."""
        norm_over: Literal["glimpse", "all"] = "glimpse"
        """What a decoder with batch normalisation takes together while training: the sketches of one glimpse, as the
        paper's authors do, or of all glimpses."""
        early: Annotated[float, NON_NEGATIVE] = 0.0
        """The weight of what the canvases before the last one lack, on average, so that each shows as much of the image
        by itself as it can. By the absolute error: a ground then shows what most pixels around a place are, and leaves
        thin figures out. 0 learns from the finished picture alone, as the paper does."""
        early_alone: bool = False
        """Whether that is all that the sketches before the last one learn from: the finished picture takes them as they
        are, so that the last sketch cannot bend a ground to what it draws over it."""
        measure: Literal["squared-error", "nats"] = "squared-error"
        """How the picture is compared with the image: by the squared error, summed over the batch as the paper's
        authors do; or by the surprise in nats of pixels that are 0 or 1, averaged over it. With β of 1 the losses then
        sum up to a bound on the negative log-likelihood of an image."""

        @property
        def summed_losses(self) -> tuple[str, ...]:
            """The losses that are summed over the batch and not averaged."""
            return () if self.measure == "nats" else ("reconstruction", "early_reconstruction")

        def faults(self) -> list[str]:
            """Return what is wrong with the label, and with the notation of the stack."""
            found = super().faults()
            if self.early and self.measure == "nats":
                found.append(f"{self.name}: early is of the measure 'squared-error', and this one is 'nats'.")
            if self.early_alone and not self.early:
                found.append(f"{self.name}: early_alone leaves early sketches nothing to learn from where early is 0.")
            try:
                parse_layers(self.decoder) if self.decoder is not None else ()
            except ConfigError as error:
                found += [f"{self.name}: decoder: {fault}" for fault in error.faults]
            return found

    def __init__(
        self,
        config: Config | None = None,
        *,
        context_features: int,
        memory_size: int,
        glimpse_size: int,
        image_size: tuple[int, int],
        backbone: base.Config,
        canvas: Canvas,
    ) -> None:
        super().__init__()
        self.config = config or self.Config()
        self.image_size = image_size
        self.query = Query(context_features, memory_size)
        self.canvas = canvas
        levels = canvas.sketch_channels if self.config.levels else None

        def sketcher() -> Sketcher:
            decoder = make_decoder(self.config, backbone, canvas.sketch_channels, (glimpse_size, glimpse_size))
            return Sketcher(memory_size, self.config.latent, decoder, self.config.start_logvar, levels)

        self.sketcher = sketcher()
        self.first = sketcher() if self.config.first_apart else None

    def reads(self, glimpses: int, *, every: bool = False) -> Sequence[int]:
        """Read after every glimpse."""
        return range(1, glimpses + 1)

    def observe(self, answers: Float[Tensor, "b k m"], scene: Scene) -> tuple[Fields, Carried]:
        """Return the latent and the sketch of each glimpse, and keep the sketch where it is placed."""
        latent, sketches = self.sketch(answers, scene.noise.latent)
        active, placed = self.place(sketches, scene)
        noise = {} if scene.noise.mask is None else {"mask_noise": scene.noise.mask}
        return {"latent": latent, "sketches": active}, {"sketches": placed, **noise}

    def sketch(
        self, answers: Float[Tensor, "b n m"], noise: Float[Tensor, "b n k"] | None
    ) -> tuple[Latent, Float[Tensor, "b n s g g2"]]:
        """Return the latent and the sketch of each glimpse; the latent's mean is drawn where there is no noise."""
        if self.first is None:
            return self.sketcher(answers, noise)
        ends = None if noise is None else noise[:, :1], None if noise is None else noise[:, 1:]
        latent, sketch = self.first(answers[:, :1], ends[0])
        if answers.shape[1] == 1:
            return latent, sketch
        others, sketches = self.sketcher(answers[:, 1:], ends[1])
        together = (torch.cat(pair, dim=1) for pair in zip(latent, others, strict=True))
        return Latent(*together), torch.cat([sketch, sketches], dim=1)

    def decode(self, z: Float[Tensor, "b n k"]) -> Float[Tensor, "b n s g g2"]:
        """Return the sketches that are drawn from latents, the first by its own decoder where it has one."""
        if self.first is None:
            return self.sketcher.decode(z)
        parts = [self.first.decode(z[:, :1]), *([self.sketcher.decode(z[:, 1:])] if z.shape[1] > 1 else [])]
        return torch.cat(parts, dim=1)

    def place(
        self, sketches: Float[Tensor, "b n s g g2"], scene: Scene
    ) -> tuple[Float[Tensor, "b n s g g2"], Float[Tensor, "b n s h w"]]:
        """Return sketches as the canvas takes them, as they are and each at its place on an empty canvas.

        Raises:
            InputError: The scene does not know the glimpses.
        """
        if scene.looks is None or scene.looks.inverse_pose is None:
            raise InputError("A head that draws needs the glimpses, to place what it sketches of them.")
        with without_autocast(sketches):
            active = self.canvas.activate(full_precision(flatten_time(sketches)))
            placed = scene.locator.place(active, flatten_time(scene.looks.inverse_pose))
        active, placed = (rearrange(x, "(b n) ... -> b n ...", n=sketches.shape[1]) for x in (active, placed))
        return active, placed

    def conclude(self, carried: Carried) -> Fields:
        """Return the picture, and how it came about."""
        sketches, noise = carried["sketches"], carried.get("mask_noise")
        with without_autocast(sketches):
            canvases, masks = self.canvas.unroll(sketches, noise)
            picture = canvases[:, -1]
            if self.config.early_alone and self.training:
                last = torch.cat([sketches[:, :-1].detach(), sketches[:, -1:]], dim=1)
                picture = self.canvas.unroll(last, noise)[0][:, -1]
        return {"canvas": picture, "canvases": canvases, "masks": masks}

    def carries(self, noise: Collection[str]) -> Shapes:
        """Return the shape of a placed sketch, and of a mask's noise where that is given."""
        placed = {"sketches": (self.canvas.sketch_channels, *self.image_size)}
        return placed | ({"mask_noise": (1, *self.image_size)} if "mask" in noise else {})

    def losses(
        self, output: Output, images: Float[Tensor, "b c h w"] | None, targets: Shaped[Tensor, "b *k"] | None
    ) -> dict[str, Tensor]:
        """Return what the picture lacks, in the configuration's measure, β times the divergence, and the early loss."""
        return drawing_losses(self.config, output, images) | early_losses(self.config, output, images)

    def noise_shapes(self, glimpses: int) -> Shapes:
        """Return the shapes of the latent's noise, and of the masks' for a canvas that is sampled."""
        latent = {"latent": (glimpses, self.config.latent)}
        return latent | {"mask": (glimpses, 1, *self.image_size)} if self.canvas.takes_noise else latent


def drawing_losses(
    config: DrawingHead.Config, output: Output, images: Float[Tensor, "b c h w"] | None
) -> dict[str, Tensor]:
    """Return what the picture lacks, in the head's measure, and β times the divergence, by name.

    Raises:
        InputError: Nothing was drawn.
    """
    if output.canvas is None or output.latent is None or images is None:
        raise InputError("The loss of a drawing needs the canvas that a model drew, and the images.")
    if config.measure == "squared-error":
        return {"reconstruction": reconstruction_loss(output.canvas, images), "kl": kl_loss(output.latent, config.beta)}
    surprise = draw.surprise(before_sigmoid(output), images).mean()
    return {"reconstruction": surprise, "kl": config.beta * draw.divergence(*output.latent).mean()}


def early_losses(
    config: DrawingHead.Config, output: Output, images: Float[Tensor, "b c h w"] | None
) -> dict[str, Tensor]:
    """Return the absolute error, summed over pixels and batch, of the canvases before the last one, on average.

    Where they are not learned from there is nothing.
    """
    if images is None or not config.early or output.canvases is None or output.canvases.shape[1] < 2:
        return {}
    earlier = output.canvases[:, :-1]
    lacking = (earlier - images[:, None]).abs().sum() / earlier.shape[1]
    return {"early_reconstruction": config.early * lacking}


def before_sigmoid(output: Output) -> Float[Tensor, "b c h w"]:
    """Return the finished picture before its sigmoid: as the model gives it, or made of the picture.

    Raises:
        InputError: Nothing was drawn.
    """
    if output.canvas is None:
        raise InputError("There is no picture: the model does not draw.")
    given = output.extra.get("canvas_logits")
    epsilon = torch.finfo(output.canvas.dtype).eps
    return output.canvas.clamp(epsilon, 1 - epsilon).logit() if given is None else given
