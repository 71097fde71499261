"""The baselines: the same backbone on the whole image, with no glimpses and no memory."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stawm.configuration import Config
from stawm.configuration.components import instantiate
from stawm.errors import ConfigError, Faults
from stawm.heads import noise as noises
from stawm.heads.base import Targets
from stawm.heads.classification import ClassificationHead, Classifier, classification_losses
from stawm.heads.config import label_of
from stawm.heads.drawing import DrawingHead, Sketcher, drawing_losses, make_decoder
from stawm.heads.losses import weighed
from stawm.heads.noise import Shapes
from stawm.heads.output import Noise, Output
from stawm.models.config import BaselineConfig
from stawm.models.model import Model
from stawm.nn.precision import WideLinear, full_precision, of_weights
from stawm.registry import Kind


class Baseline(Model):
    """A plain classifier, a β-VAE (Higgins et al. 2016), or both, on one backbone."""

    def __init__(self, config: BaselineConfig) -> None:
        """Build the backbone and what the heads need of it.

        Raises:
            ConfigError: The backbone cannot be built, or a head is none that a baseline can have.
        """
        super().__init__(config)
        self.config: BaselineConfig = config
        channels, *size = config.image
        self.backbone = instantiate(Kind.BACKBONE, config.backbone, channels=channels, size=tuple(size))
        self.dropout = nn.Dropout(config.dropout)
        self.mu = None if config.latent is None else WideLinear(self.backbone.features, config.latent)
        faults = Faults()
        parts = {head.name: faults.attempt(self._part, head) for head in config.heads}
        faults.settle()
        self.heads = nn.ModuleDict(parts)
        if config.is_readout:
            self.requires_grad_(False)
            self.heads.requires_grad_(True)

    def train(self, mode: bool = True) -> "Baseline":
        """Set training mode; frozen features stay in evaluation mode."""
        super().train(mode)
        if self.config.is_readout:
            self.backbone.eval()
        return self

    def _part(self, head: Config) -> nn.Module:
        channels, height, width = self.config.image
        if label_of(head):
            raise ConfigError([f"A baseline asks no queries, and has each head once; got one with a label, {head}."])
        if isinstance(head, ClassificationHead.Config):
            return Classifier(self.config.latent or self.backbone.features, head.classes)
        if not isinstance(head, DrawingHead.Config):
            raise ConfigError([f"A baseline has heads 'classification' and 'drawing'; got {head.name!r}."])
        if self.mu is not None:
            raise ConfigError(["A baseline that draws has a latent by that: its own latent must be null."])
        if head.sketch_size is not None or not head.output_padding:
            raise ConfigError(["A baseline draws the whole image: sketch_size is null and output_padding true."])
        decoder = make_decoder(head, self.config.backbone, channels, (height, width))
        return Sketcher(
            self.backbone.features, head.latent, decoder, head.start_logvar, channels if head.levels else None
        )

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
            InputError: The images or the noise are not of the model's form.
        """
        self.check_images(images)
        draw = self.training if sample is None else sample
        drawn = noises.settle(noise, self.noise_shapes(1), images, generator, draw=draw)
        return self.unroll(images, None, drawn)

    def unroll(
        self, images: Float[Tensor, "b c h w"], glimpses: int | None, noise: Noise, *, every: bool = False
    ) -> Output:
        """Return what a call does with the noise that is given, and nothing else random."""
        return self.answer(self.look(images), noise)

    def look(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b f"]:
        """Return what the heads see of whole images: the backbone's features, or the latent that is made of them.

        Raises:
            InputError: The images are not of the model's form.
        """
        self.check_shape(images)
        features = self.backbone(images)
        return features if self.mu is None else full_precision(self.mu(features))

    def answer(self, features: Float[Tensor, "b f"], noise: Noise | None = None) -> Output:
        """Turn features into the heads' answers.

        Args:
            features: What `look` gave.
            noise: The random numbers of this pass; nothing is random where left out.
        """
        with of_weights(next(self.heads.parameters()), features):
            return Output(**self._answers(features, noise))

    def _answers(self, features: Float[Tensor, "b f"], noise: Noise | None) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        if self.config.classifies:
            fields["logits"] = self.heads["classification"](self.dropout(features))
        if self.config.draws:
            latent, sketch = self.heads["drawing"](features.unsqueeze(1), None if noise is None else noise.latent)
            fields |= {"canvas": full_precision(sketch[:, 0]).sigmoid(), "latent": latent}
        return fields

    def noise_shapes(self, glimpses: int) -> Shapes:
        """Return the shape, without the batch, of the latent's noise; a baseline draws once."""
        return {"latent": (1, self.config.head("drawing").latent)} if self.config.draws else {}

    def loss_parts(
        self, output: Output, pixels: Float[Tensor, "b c h w"] | None, labels: Targets | None
    ) -> dict[str, Tensor]:
        """Return the parts of the loss of every head, each by its weight."""
        labels = labels.get("classification") if isinstance(labels, Mapping) else labels
        parts: dict[str, Tensor] = {}
        for head in self.config.heads:
            if isinstance(head, ClassificationHead.Config):
                parts |= weighed(classification_losses(head, output, labels), head)
            elif isinstance(head, DrawingHead.Config):
                parts |= weighed(drawing_losses(head, output, pixels), head)
        return parts
