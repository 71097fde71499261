"""The model: the glimpse loop, a memory, and the heads that query it."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from stawm.assembly import instantiate
from stawm.errors import InputError
from stawm.heads.base import Head, Scene
from stawm.heads.model_config import Faults, ModelConfig, SharedConfig
from stawm.heads.output import Noise, Output, Trace
from stawm.nn.glimpse_loop import GlimpseLoop, Look
from stawm.nn.locators.base import Locator
from stawm.nn.memories.base import Memory
from stawm.nn.precision import full_precision, without_autocast
from stawm.registry import Kind


class Model(nn.Module):
    """What models and baselines share: a configuration, the check of images, and the total loss.

    Attributes:
        config: The complete configuration that the model was built from.
    """

    config: SharedConfig

    def check_images(self, images: Tensor) -> None:
        """Raise an InputError unless the images are floats of the model's form."""
        form = tuple(self.config.image)
        if images.ndim != 4 or tuple(images.shape[1:]) != form or not images.is_floating_point():
            c, h, w = form
            raise InputError(
                f"{self.config.name} takes images as floats of shape (b, {c}, {h}, {w}); "
                f"got {str(images.dtype).removeprefix('torch.')} of shape {tuple(images.shape)}."
            )

    def normalise(self, pixels: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Turn pixel values in [0, 1] into what the model takes."""
        return (pixels - self._channels(self.config.mean, pixels)) / self._channels(self.config.std, pixels)

    def denormalise(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Turn what the model takes back into pixel values in [0, 1]."""
        return images * self._channels(self.config.std, images) + self._channels(self.config.mean, images)

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
        return {**parts, "total": torch.stack([part.reshape(()) for part in parts.values()]).sum()}

    def loss_parts(
        self, output: Output, pixels: Float[Tensor, "b c h w"], labels: Int[Tensor, "b"] | None
    ) -> dict[str, Tensor]:
        """Return the parts of the loss by name."""
        raise NotImplementedError

    @staticmethod
    def _channels(values: tuple[float, ...], like: Tensor) -> Tensor:
        return torch.tensor(values, device=like.device, dtype=like.dtype).view(1, -1, 1, 1)


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
        """
        super().__init__()
        self.config: ModelConfig = config
        channels, *size = config.image
        image_size = (size[0], size[1])
        square = (config.glimpse_size, config.glimpse_size)
        faults = Faults()
        make = faults.attempt
        context = make(instantiate, Kind.BACKBONE, config.context, channels=channels, size=image_size)
        backbone = make(instantiate, Kind.BACKBONE, config.backbone, channels=channels, size=square)
        locator = make(
            instantiate, Kind.LOCATOR, config.locator, glimpse_size=config.glimpse_size, image_size=image_size
        )
        memory = make(instantiate, Kind.MEMORY, config.memory, memory_size=config.memory_size)
        canvas = make(instantiate, Kind.CANVAS, config.canvas, channels=channels)
        faults.settle()
        self.loop = GlimpseLoop(
            context=context,
            backbone=backbone,
            locator=locator,
            hidden_size=config.hidden_size,
            memory_size=config.memory_size,
            dropout=config.dropout,
            where=config.where,
            inverse=config.draws,
        )
        self.memory: Memory[Any] = memory
        offered = {
            "context_features": context.features,
            "memory_size": config.memory_size,
            "dropout": config.dropout,
            "channels": channels,
            "glimpse_size": config.glimpse_size,
            "image_size": image_size,
            "backbone": config.backbone,
            "canvas": canvas,
        }
        built = {head.name: make(instantiate, Kind.HEAD, head, **offered) for head in config.heads}
        faults.settle()
        self.heads = nn.ModuleDict(built)
        if config.trainable == "readout":
            self._freeze()

    @property
    def locator(self) -> Locator:
        """How a pose takes a glimpse."""
        return self.loop.locator

    def _freeze(self) -> None:
        self.requires_grad_(False)
        self.memory.requires_grad_(True)
        for head in self.heads.values():
            head.requires_grad_(True)

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
            generator: Where random numbers that are not given come from.

        Returns:
            What the heads give, and where the model looked.

        Raises:
            InputError: The images are not of the model's form, or there are no glimpses.
        """
        self.check_images(images)
        n = self.config.glimpses if glimpses is None else glimpses
        if n < 1:
            raise InputError(f"A model takes at least 1 glimpse; got {n}.")
        context, looks, memory_input = self.loop(images, n)
        reads = {name: tuple(head.reads(n, every=glimpse_logits)) for name, head in self.heads.items()}
        answers = self._recall(context, memory_input, reads)
        given = self._noise(images, n, sample, noise, generator)
        scene = Scene(looks, self.locator, given)
        fields: dict[str, Any] = {}
        for name, head in self.heads.items():
            fields |= head(answers[name], scene)
        if not glimpse_logits:
            fields.pop("glimpse_logits", None)
        return Output(**fields, trace=self._trace(looks, memory_input))

    def _recall(
        self, context: Tensor, memory_input: Float[Tensor, "b n m"], reads: dict[str, tuple[int, ...]]
    ) -> dict[str, Float[Tensor, "b k m"]]:
        """Ask every head's query after the writes that it names, all in one pass of the memory."""
        asked = [self.head(name).query(context).unsqueeze(1).expand(-1, len(after), -1) for name, after in reads.items()]
        queries = asked[0] if len(asked) == 1 else torch.cat(asked, dim=1)
        after = [t for times in reads.values() for t in times]
        with without_autocast(memory_input):
            answers, _ = self.memory.unroll(full_precision(memory_input), queries, after)
        parts = answers.clamp(0, 6).split([len(times) for times in reads.values()], dim=1)
        return dict(zip(reads, parts, strict=True))

    def head(self, name: str) -> Head:
        """Return one of the heads by name."""
        head = self.heads[name]
        assert isinstance(head, Head)
        return head

    def _noise(
        self, images: Tensor, n: int, sample: bool | None, given: Noise | None, generator: torch.Generator | None
    ) -> Noise:
        given = given or Noise()
        if not (self.training if sample is None else sample):
            return given
        for name in self.heads:
            drawn = self.head(name).noise(len(images), n, full_precision(images), generator)
            given = Noise(*(old if old is not None else new for old, new in zip(given, drawn, strict=True)))
        return given

    @staticmethod
    def _trace(looks: Look, memory_input: Tensor) -> Trace:
        return Trace(looks.pose, looks.inverse_pose, looks.glimpse, memory_input)

    def loss_parts(
        self, output: Output, pixels: Float[Tensor, "b c h w"], labels: Int[Tensor, "b"] | None
    ) -> dict[str, Tensor]:
        """Return the parts of the loss of every head."""
        parts: dict[str, Tensor] = {}
        for name in self.heads:
            parts |= self.head(name).losses(output, pixels, labels)
        return parts
