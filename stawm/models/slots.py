"""The family ``slots``: Slot Attention (Locatello et al. 2020), to compare with."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stawm.configuration.components import instantiate
from stawm.core import slots as core
from stawm.core.latent import reparameterise
from stawm.errors import InputError
from stawm.heads import noise as noises
from stawm.heads.base import Targets
from stawm.heads.losses import reconstruction_loss, weighed
from stawm.heads.noise import Shapes
from stawm.heads.output import Noise, Output
from stawm.models.base import Model
from stawm.models.slots_config import SlotsConfig
from stawm.nn.backbones.conv import stack_of
from stawm.nn.backbones.layers import layer_sizes
from stawm.nn.decoder import Decoder
from stawm.nn.precision import WideLinear, full_precision, of_weights, without_autocast
from stawm.nn.slot_attention import Places, SlotAttention
from stawm.registry import Kind


class Slots(Model):
    """Slots share out an image, and each draws its part of it with a mask.

    In the paper all slots start from one normal distribution. Here each has a mean of its own, so that they differ
    also where nothing is random: in use they start from their means.

    Examples:
        >>> import stawm, torch
        >>> model = stawm.build("slots-figure-ground", seed=0).eval()
        >>> model(torch.rand(2, 3, 32, 32)).masks.shape
        torch.Size([2, 3, 1, 32, 32])
    """

    def __init__(self, config: SlotsConfig) -> None:
        """Build it.

        Raises:
            ConfigError: The backbone cannot be built at this size.
        """
        super().__init__(config)
        self.config: SlotsConfig = config
        channels, *side = config.image
        size, k = (side[0], side[1]), config.head("drawing").latent
        self.backbone = instantiate(Kind.BACKBONE, config.backbone, channels=channels, size=size)
        layers = stack_of(self.backbone.config, size)
        filters, (height, width) = layers[-1].filters, layer_sizes(layers, size)[-1]
        self.places = Places(filters, (height, width))
        self.features = nn.Sequential(
            nn.LayerNorm(filters), WideLinear(filters, filters), nn.ReLU(), WideLinear(filters, filters)
        )
        self.start = nn.Parameter(torch.randn(config.slots, k) / k**0.5)
        self.logvar = nn.Parameter(torch.zeros(k))
        self.attention = SlotAttention(filters, k, config.hidden_size, config.iterations)
        self.expand = WideLinear(k, filters)
        self.canvas_places = Places(filters, (height, width))
        self.decoder = Decoder(self.backbone.config, channels=channels + 1, size=size)

    def forward(
        self,
        images: Float[Tensor, "b c h w"],
        *,
        sample: bool | None = None,
        noise: Noise | None = None,
        generator: torch.Generator | None = None,
    ) -> Output:
        """Draw images.

        Args:
            images: The images, normalised with the configuration's mean and std.
            sample: Whether it is random where slots start; while training only, where left out.
            noise: The random numbers for the starts, as ``latent`` of shape (b, n, k).
            generator: Where random numbers that are not given come from.

        Raises:
            InputError: The images or the noise are not of the model's form.
        """
        self.check_images(images)
        draw = self.training if sample is None else sample
        return self.unroll(images, None, noises.settle(noise, self.noise_shapes(1), images, generator, draw=draw))

    def unroll(
        self, images: Float[Tensor, "b c h w"], glimpses: int | None, noise: Noise, *, every: bool = False
    ) -> Output:
        """Return what a call does with the noise that is given, and nothing else random."""
        with of_weights(self.start, images):
            pictures, alphas = self.draw(self.look(images, noise)[0])
            with without_autocast(pictures):
                canvas, masks = core.blend(pictures, alphas)
        return Output(canvas=canvas, masks=masks, sketches=pictures)

    def look(
        self, images: Float[Tensor, "b c h w"], noise: Noise | None = None
    ) -> tuple[Float[Tensor, "b n k"], Float[Tensor, "b n p"]]:
        """Return the slots of images, and how each place that the backbone sees was shared out among them at last.

        Raises:
            InputError: The images are not of the model's form.
        """
        self.check_shape(images)
        seen = self.features(self.places(self.backbone.blocks(images).flatten(2).mT))
        return self.attention(seen, self.starts(len(images), None if noise is None else noise.latent))

    def starts(self, batch: int, noise: Float[Tensor, "b n k"] | None = None) -> Float[Tensor, "b n k"]:
        """Return where the slots start: at their means, unless there is noise."""
        start = full_precision(self.start).expand(batch, -1, -1)
        return start if noise is None else reparameterise(start, full_precision(self.logvar).expand_as(start), noise)

    def draw(self, slots: Float[Tensor, "b n k"]) -> tuple[Float[Tensor, "b n c h w"], Float[Tensor, "b n 1 h w"]]:
        """Return what each slot draws, and before the softmax the mask that it draws through."""
        everywhere = self.canvas_places(self.expand(slots).unsqueeze(2))
        sketches = full_precision(self.decoder(everywhere.relu().mT.flatten(2)))
        return sketches[:, :, 1:].sigmoid(), sketches[:, :, :1]

    def noise_shapes(self, glimpses: int) -> Shapes:
        """Return the shape, without the batch, of the noise that slots start with."""
        return {"latent": (self.config.slots, self.config.head("drawing").latent)}

    def loss_parts(
        self, output: Output, pixels: Float[Tensor, "b c h w"] | None, labels: Targets | None
    ) -> dict[str, Tensor]:
        """Return what the picture lacks, as the squared error summed over the batch."""
        if output.canvas is None or pixels is None:
            raise InputError("The loss of a drawing needs the canvas that a model drew, and the images.")
        return weighed({"reconstruction": reconstruction_loss(output.canvas, pixels)}, self.config.head("drawing"))
