"""The model: the glimpse loop, a memory, and the heads that query it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from stawm.configuration.components import instantiate
from stawm.errors import Faults, InputError
from stawm.heads import noise as noises
from stawm.heads.base import Head, Scene
from stawm.heads.output import Noise, Output, Trace
from stawm.models.config import ModelConfig, SharedConfig
from stawm.nn.glimpse_loop import GlimpseLoop
from stawm.nn.locators.base import Locator
from stawm.nn.memories.base import Memory
from stawm.nn.precision import autocasts, without_autocast
from stawm.registry import Kind


class Model(nn.Module, ABC):
    """What models and baselines share: a configuration, the check of images, and the total loss.

    Attributes:
        config: The complete configuration that the model was built from.
    """

    config: SharedConfig

    def check_images(self, images: Tensor) -> None:
        """Raise an InputError unless the images are of the model's form and type."""
        c, h, w = self.config.image
        dtype = next(self.parameters()).dtype
        if not isinstance(images, Tensor):
            given = type(images).__name__
        elif images.ndim != 4 or tuple(images.shape[1:]) != (c, h, w) or not _takes(dtype, images):
            given = f"{_name(images.dtype)} of shape {tuple(images.shape)}"
        else:
            return
        raise InputError(f"{self.config.name} takes {_name(dtype)} images of shape (b, {c}, {h}, {w}); got {given}.")

    def normalise(self, pixels: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Turn pixel values in [0, 1] into what the model takes."""
        return (pixels - _channels(self.config.mean, pixels)) / _channels(self.config.std, pixels)

    def denormalise(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Turn what the model takes back into pixel values in [0, 1]."""
        return images * _channels(self.config.std, images) + _channels(self.config.mean, images)

    @abstractmethod
    def noise_shapes(self, glimpses: int) -> noises.Shapes:
        """Return the shapes, without the batch, of the random numbers that a pass of so many glimpses uses."""

    def loss(
        self, output: Output, images: Float[Tensor, "b c h w"], labels: Int[Tensor, "b"] | None = None
    ) -> dict[str, Tensor]:
        """Return the parts of the loss by name, and their sum as ``total``.

        Args:
            output: What the model gave for these images.
            images: The images as the model took them.
            labels: The classes, where the model classifies.

        Raises:
            InputError: The model classifies and there are no labels.
        """
        parts = self.loss_parts(output, self.denormalise(images), labels)
        return {**parts, "total": torch.stack([*parts.values()]).sum()}

    @abstractmethod
    def loss_parts(
        self, output: Output, pixels: Float[Tensor, "b c h w"], labels: Int[Tensor, "b"] | None
    ) -> dict[str, Tensor]:
        """Return the parts of the loss by name, for images as pixel values in [0, 1]."""


class Stawm(Model):
    """The Short Term Attentive Working Memory model (Harris et al. 2019).

    Attributes:
        config: The complete configuration.
        loop: Where the model looks, and what the memory is given.
        memory: The memory; its state is local to a forward pass.
        heads: What is asked of the memory, by name.
    """

    def __init__(self, config: ModelConfig) -> None:
        """Build the components that the configuration names.

        Raises:
            ConfigError: All components that cannot be built at these sizes, and why.
            UnknownNameError: The one fault is a component that is not registered.
        """
        super().__init__()
        self.config: ModelConfig = config
        parts = _parts(config)
        self.loop = GlimpseLoop(
            context=parts["context"],
            backbone=parts["backbone"],
            locator=parts["locator"],
            hidden_size=config.hidden_size,
            memory_size=config.memory_size,
            dropout=config.dropout,
            where=config.where,
            inverse=config.draws,
            pose_limit=config.pose_limit,
        )
        self.memory: Memory[Any] = parts["memory"]
        self.heads = nn.ModuleDict(_heads(config, parts))
        if config.trainable == "readout":
            self.loop.requires_grad_(False)

    @property
    def locator(self) -> Locator:
        """How a pose takes a glimpse."""
        return self.loop.locator

    def train(self, mode: bool = True) -> "Stawm":
        """Set training mode; a frozen glimpse loop stays in evaluation mode."""
        super().train(mode)
        if self.config.trainable == "readout":
            self.loop.eval()
        return self

    def forward(
        self,
        images: Float[Tensor, "b c h w"],
        *,
        glimpses: int | None = None,
        glimpse_logits: bool = False,
        sample: bool | None = None,
        noise: Noise | None = None,
        generator: torch.Generator | None = None,
    ) -> Output:
        """Look at images, remember, and answer.

        Args:
            images: The images, normalised with the configuration's mean and std.
            glimpses: How many glimpses to take; the configuration's number where left out.
            glimpse_logits: Whether to classify after every glimpse too.
            sample: Whether what is random is drawn; while training only, where left out.
            noise: The random numbers; whatever of them is given is used, sampling or not.
            generator: Where random numbers that are not given come from. Dropout, while training,
                draws from PyTorch's own generator in any case.

        Returns:
            What the heads give, and where the model looked.

        Raises:
            InputError: The images or the noise are not of the model's form, or there are no glimpses.
        """
        self.check_images(images)
        n = self.config.glimpses if glimpses is None else glimpses
        if not isinstance(n, int) or n < 1:
            raise InputError(f"A model takes at least 1 glimpse; got {n!r}.")
        heads = self._heads()
        draw = self.training if sample is None else sample
        settled = noises.settle(noise, self.noise_shapes(n), images, generator, draw=draw)
        context, looks, memory_input = self.loop(images, n)
        reads = {name: tuple(head.reads(n, every=glimpse_logits)) for name, head in heads.items()}
        answers = self._recall(context, memory_input, reads)
        scene = Scene(looks, self.locator, settled)
        fields: dict[str, Any] = {}
        for name, head in heads.items():
            fields |= head(answers[name], scene)
        if not glimpse_logits:
            fields.pop("glimpse_logits", None)
        trace = Trace(looks.pose, looks.inverse_pose, looks.glimpse, memory_input)
        return Output(**fields, trace=trace)

    def _recall(
        self, context: Tensor, memory_input: Float[Tensor, "b n m"], reads: Mapping[str, tuple[int, ...]]
    ) -> dict[str, Float[Tensor, "b k m"]]:
        """Ask every head's query after the writes that it names, all in one pass of the memory."""
        heads = self._heads()
        asked = [heads[name].query(context).unsqueeze(1).expand(-1, len(after), -1) for name, after in reads.items()]
        queries = asked[0] if len(asked) == 1 else torch.cat(asked, dim=1)
        after = [t for times in reads.values() for t in times]
        with without_autocast(memory_input):
            answers, _ = self.memory.unroll(memory_input, queries, after)
        parts = answers.clamp(0, 6).split([len(times) for times in reads.values()], dim=1)
        return dict(zip(reads, parts, strict=True))

    def noise_shapes(self, glimpses: int) -> noises.Shapes:
        """Return the shapes of what the heads use."""
        return {name: shape for head in self._heads().values() for name, shape in head.noise_shapes(glimpses).items()}

    def _heads(self) -> dict[str, Head]:
        return cast(dict[str, Head], dict(self.heads.items()))

    def loss_parts(
        self, output: Output, pixels: Float[Tensor, "b c h w"], labels: Int[Tensor, "b"] | None
    ) -> dict[str, Tensor]:
        """Return the parts of the loss of every head."""
        found: dict[str, Tensor] = {}
        for head in self._heads().values():
            found |= head.losses(output, pixels, labels)
        return found


def _parts(config: ModelConfig) -> dict[str, Any]:
    channels, *image_size = config.image
    image, glimpse = tuple(image_size), (config.glimpse_size, config.glimpse_size)
    faults = Faults()
    make = faults.attempt
    found = {
        "context": make(instantiate, Kind.BACKBONE, config.context, channels=channels, size=image),
        "backbone": make(instantiate, Kind.BACKBONE, config.backbone, channels=channels, size=glimpse),
        "locator": make(instantiate, Kind.LOCATOR, config.locator, glimpse_size=config.glimpse_size, image_size=image),
        "memory": make(instantiate, Kind.MEMORY, config.memory, memory_size=config.memory_size),
        "canvas": make(instantiate, Kind.CANVAS, config.canvas, channels=channels),
    }
    faults.settle()
    return found


def _heads(config: ModelConfig, parts: Mapping[str, Any]) -> dict[str, Head]:
    offered = {
        "context_features": parts["context"].features,
        "memory_size": config.memory_size,
        "dropout": config.dropout,
        "channels": config.image[0],
        "glimpse_size": config.glimpse_size,
        "image_size": tuple(config.image[1:]),
        "backbone": config.backbone,
        "canvas": parts["canvas"],
    }
    faults = Faults()
    found = {head.name: faults.attempt(instantiate, Kind.HEAD, head, **offered) for head in config.heads}
    faults.settle()
    return found


def _channels(values: tuple[float, ...], like: Tensor) -> Tensor:
    return torch.tensor(values, device=like.device, dtype=like.dtype).view(1, -1, 1, 1)


def _takes(dtype: torch.dtype, images: Tensor) -> bool:
    return images.dtype == dtype or (images.is_floating_point() and autocasts(images))


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
