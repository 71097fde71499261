"""The baselines: the same backbone on the whole image, with no glimpses and no memory."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from stawm.assembly import instantiate
from stawm.errors import ConfigError
from stawm.heads.classification import ClassificationHead, Classifier, classification_losses
from stawm.heads.drawing import DrawingHead, Sketcher, decoder_layers, drawing_losses
from stawm.heads.model import Model
from stawm.heads.model_config import BaselineConfig
from stawm.heads.output import Noise, Output
from stawm.nn.decoder import Decoder
from stawm.registry import Kind


class Baseline(Model):
    """A plain classifier, a β-VAE (Higgins et al. 2016), or both, on one backbone."""

    def __init__(self, config: BaselineConfig) -> None:
        """Build the backbone and what the heads need of it.

        Raises:
            ConfigError: The backbone cannot be built, or a head is none that a baseline can have.
        """
        super().__init__()
        self.config: BaselineConfig = config
        channels, *size = config.image
        image_size = (size[0], size[1])
        self.backbone = instantiate(Kind.BACKBONE, config.backbone, channels=channels, size=image_size)
        self.dropout = nn.Dropout(config.dropout)
        parts: dict[str, nn.Module] = {}
        for head in config.heads:
            if isinstance(head, ClassificationHead.Config):
                parts[head.name] = Classifier(self.backbone.features, head.classes)
            elif isinstance(head, DrawingHead.Config):
                stack = decoder_layers(config.backbone, image_size[0], head.decoder)
                decoder = Decoder(stack, channels=channels, size=image_size)
                parts[head.name] = Sketcher(self.backbone.features, head.latent, decoder)
            else:
                raise ConfigError([f"A baseline has heads 'classification' and 'drawing'; got {head.name!r}."])
        self.heads = nn.ModuleDict(parts)

    def forward(
        self,
        images: Float[Tensor, "b c h w"],
        *,
        sample: bool | None = None,
        noise: Noise | None = None,
        generator: torch.Generator | None = None,
    ) -> Output:
        """Classify or reconstruct images.

        Args:
            images: The images, normalised with the configuration's mean and std.
            sample: Whether the latent is drawn; while training only, where left out.
            noise: The random numbers for the latent, of shape (b, 1, k).
            generator: Where random numbers that are not given come from.

        Raises:
            InputError: The images are not of the model's form.
        """
        self.check_images(images)
        features = self.backbone(images)
        fields: dict[str, Any] = {}
        if "classification" in self.heads:
            fields["logits"] = self.heads["classification"](self.dropout(features))
        if "drawing" in self.heads:
            latent_noise = noise.latent if noise else None
            if latent_noise is None and (self.training if sample is None else sample):
                size = (len(images), 1, self.config.head("drawing").latent)
                latent_noise = torch.empty(size, device=images.device, dtype=images.dtype).normal_(generator=generator)
            latent, sketch = self.heads["drawing"](features.unsqueeze(1), latent_noise)
            fields |= {"canvas": sketch[:, 0].sigmoid(), "latent": latent}
        return Output(**fields)

    def loss_parts(
        self, output: Output, pixels: Float[Tensor, "b c h w"], labels: Int[Tensor, "b"] | None
    ) -> dict[str, Tensor]:
        """Return the parts of the loss of every head."""
        parts: dict[str, Tensor] = {}
        for head in self.config.heads:
            if isinstance(head, ClassificationHead.Config):
                parts |= classification_losses(head, output, labels)
            elif isinstance(head, DrawingHead.Config):
                parts |= drawing_losses(head, output, pixels)
        return parts
