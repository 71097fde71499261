"""The model: the glimpse loop, a memory, and the heads that query it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from stawm.configuration import GLIMPSES
from stawm.configuration.components import instantiate
from stawm.errors import Faults, InputError
from stawm.heads import noise as noises
from stawm.heads import together
from stawm.heads.base import Fields, Head, Scene, Targets
from stawm.heads.noise import Shapes
from stawm.heads.output import Noise, Output, Trace
from stawm.models.config import ModelConfig, SharedConfig
from stawm.models.pixels import notice_pixels, to_unit
from stawm.nn.glimpse_loop import GlimpseLoop, Look
from stawm.nn.gradients import reach
from stawm.nn.locators.base import Locator
from stawm.nn.memories.base import Memory
from stawm.nn.precision import HALVES, autocasts, of_weights
from stawm.registry import Kind

ALL_USED = 3
"""With as many glimpses every weight has a say: the aggregator's recurrent ones only count from its second step on."""


class Model(nn.Module, ABC):
    """What models and baselines share: a configuration, the check of images, and the total loss.

    Attributes:
        config: The complete configuration that the model was built from.
        mean: The configuration's mean, one number or one a channel, as a buffer.
        std: Its standard deviation, likewise.
    """

    config: SharedConfig
    mean: Float[Tensor, "1 c 1 1"]
    std: Float[Tensor, "1 c 1 1"]

    def __init__(self, config: SharedConfig) -> None:
        """Keep the configuration, and its preprocessing as buffers, which no state dict holds."""
        super().__init__()
        self.config = config
        for name in ("mean", "std"):
            self.register_buffer(name, self._exact(name, torch.float64), persistent=False)

    def _exact(self, name: str, dtype: torch.dtype, device: torch.device | None = None) -> Tensor:
        return torch.tensor(getattr(self.config, name), dtype=dtype, device=device).view(1, -1, 1, 1)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Model":
        """Move with the model, except that halves would round the preprocessing: it stays in float32."""
        super()._apply(fn, recurse)
        for name in ("mean", "std"):
            buffer = getattr(self, name)
            if buffer.dtype in HALVES:
                setattr(self, name, self._exact(name, torch.float32, buffer.device))
        return self

    def check_images(self, images: Tensor) -> None:
        """Raise an InputError unless the images are of the model's form and type."""
        dtype = next(self.parameters()).dtype
        self.check_shape(images)
        if images.dtype != dtype and not (images.is_floating_point() and autocasts(images)):
            raise InputError(self._refusal(images))
        if not torch.compiler.is_compiling():
            notice_pixels(self, images, self.mean, self.std)

    def check_shape(self, images: Tensor) -> None:
        """Raise an InputError unless the images are of the model's form."""
        if not isinstance(images, Tensor) or images.ndim != 4 or tuple(images.shape[1:]) != tuple(self.config.image):
            raise InputError(self._refusal(images))

    def _refusal(self, images: Any) -> str:
        dtype = _name(next(self.parameters()).dtype)
        is_tensor = isinstance(images, Tensor)
        given = f"{_name(images.dtype)} of shape {tuple(images.shape)}" if is_tensor else type(images).__name__
        form = ", ".join(map(str, self.config.image))
        bytes_too = is_tensor and images.dtype == torch.uint8
        hint = " Pixels go to predict(pixels), which normalises them." if bytes_too else ""
        return f"{self.config.name} takes {dtype} images of shape (b, {form}); got {given}.{hint}"

    def predict(self, pixels: Shaped[Tensor, "b c h w"], **options: Any) -> Output:
        """Answer for pixels as they come: in evaluation mode, without gradients and without any randomness.

        Args:
            pixels: Bytes (uint8) from 0 to 255, or floats in [0, 1], on any device; they are normalised here.
            **options: What a call of the model takes beside images, such as ``glimpses`` or ``glimpse_logits``.

        Raises:
            InputError: The pixels are not of the model's form, or floats outside [0, 1].

        Examples:
            >>> import stawm, torch
            >>> model = stawm.build("stawm-digits", seed=0)
            >>> pixels = torch.randint(0, 256, (2, 1, 16, 16), dtype=torch.uint8)
            >>> model.predict(pixels).logits.exp().sum(dim=1)
            tensor([1.0000, 1.0000])
        """
        self.check_shape(pixels)
        like = next(self.parameters())
        units = to_unit(pixels.to(like.device)).to(torch.promote_types(like.dtype, torch.float32))
        with evaluating(self):
            return self(self.normalise(units).to(like.dtype), **options)

    def normalise(self, pixels: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Turn pixel values in [0, 1] into what the model takes."""
        return (pixels - self.mean.to(pixels)) / self.std.to(pixels)

    def denormalise(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Turn what the model takes back into pixel values in [0, 1]."""
        return images * self.std.to(images) + self.mean.to(images)

    def loss(
        self, output: Output, images: Float[Tensor, "b c h w"], labels: Targets | None = None
    ) -> dict[str, Tensor]:
        """Return the parts of the loss by name, and their sum as ``total``.

        Args:
            output: What the model gave for these images.
            images: The images as the model took them.
            labels: What is to be learned: the classes, where the model classifies; the targets of its heads, where
                they learn others; a mapping by the heads' names, where they learn different kinds.

        Raises:
            InputError: A head needs targets and there are none, or they are of another form.
        """
        parts = self.loss_parts(output, self.denormalise(images), labels)
        return {**parts, "total": torch.stack([*parts.values()]).sum()}

    @abstractmethod
    def loss_parts(
        self, output: Output, pixels: Float[Tensor, "b c h w"] | None, labels: Targets | None
    ) -> dict[str, Tensor]:
        """Return the parts of the loss by name, for images as pixel values in [0, 1], where they are known."""

    @abstractmethod
    def noise_shapes(self, glimpses: int) -> Shapes:
        """Return the shapes, without the batch, of the random numbers that the model takes."""


class Seen(NamedTuple):
    """What looking gave: all that memory and heads work on.

    Attributes:
        context: The features of the whole image, which queries are made of.
        looks: All glimpses; None where only what the memory is given of them was kept.
        memory_input: e, what the memory is given at each glimpse.
    """

    context: Float[Tensor, "b f"]
    looks: Look | None
    memory_input: Float[Tensor, "b n m"]


class Stawm(Model):
    """The Short Term Attentive Working Memory model (Harris et al. 2019).

    A forward pass has three stages, each of which may be called by itself: `look` at the images, `recall` what
    the memory holds of it, `answer`.

    Attributes:
        config: The complete configuration.
        loop: Where the model looks, and what the memory is given.
        memory: The memory; its state is local to a forward pass.
        heads: What is asked of the memory, by name.

    Examples:
        >>> import stawm, torch
        >>> model = stawm.build("stawm-digits", seed=0).eval()
        >>> images = model.normalise(torch.rand(2, 1, 16, 16))
        >>> seen = model.look(images, 3)
        >>> recalled = model.recall(seen, model.reads(3))
        >>> torch.equal(model.answer(seen, recalled).logits, model(images, glimpses=3).logits)
        True
    """

    def __init__(self, config: ModelConfig) -> None:
        """Build the components that the configuration names.

        Raises:
            ConfigError: All components that cannot be built at these sizes, and why.
            UnknownNameError: The one fault is a component that is not registered.
        """
        super().__init__(config)
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

    @property
    def named_heads(self) -> dict[str, Head]:
        """The heads by name, typed."""
        return cast(dict[str, Head], dict(self.heads.items()))

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
        pose_clip: float | None = None,
    ) -> Output:
        """Look at images, remember, and return what the heads answer and where the model looked.

        Args:
            images: The images, normalised with the configuration's mean and std, in the type of the weights. Of a model
                in half precision the output is float32, as it is under autocast.
            glimpses: How many glimpses to take; the configuration's number where left out.
            glimpse_logits: Whether to classify after every glimpse too.
            sample: Whether what is random is drawn; while training only, where left out.
            noise: The random numbers; whatever of them is given is used, sampling or not.
            generator: Where random numbers that are not given come from. Dropout, while training,
                draws from PyTorch's own generator in any case.
            pose_clip: The largest norm that the gradient of a pose may have, image by image; any where left out.

        Raises:
            InputError: The images or the noise are not of the model's form, or there are no glimpses.
        """
        self.check_images(images)
        n = checked_count(self.config.glimpses if glimpses is None else glimpses)
        draw = self.training if sample is None else sample
        drawn = noises.settle(noise, self.noise_shapes(n), images, generator, draw=draw)
        seen = self.look(images, n, pose_clip=pose_clip)
        output = self.answer(seen, self.recall(seen, self.reads(n, every=glimpse_logits)), drawn)
        return output if glimpse_logits else replace(output, glimpse_logits=None)

    def look(self, images: Float[Tensor, "b c h w"], glimpses: int, *, pose_clip: float | None = None) -> Seen:
        """Look at images: where, what is there, and what the memory is given of it.

        Args:
            images: The images, normalised with the configuration's mean and std.
            glimpses: n, how many glimpses to take.
            pose_clip: The largest norm that the gradient of a pose may have, image by image; any where left out.

        Raises:
            InputError: The images are not of the model's form, or there are no glimpses.
        """
        self.check_shape(images)
        return Seen(*self.loop(images, checked_count(glimpses), pose_clip))

    def reads(self, glimpses: int, *, every: bool = False) -> dict[str, tuple[int, ...]]:
        """Return after which writes each head reads, by the heads' names.

        Args:
            glimpses: n, how many writes there are.
            every: Whether heads that read once read after every glimpse.
        """
        return {name: tuple(head.reads(glimpses, every=every)) for name, head in self.named_heads.items()}

    def recall(self, seen: Seen, reads: Mapping[str, Sequence[int]]) -> dict[str, Float[Tensor, "b k m"]]:
        """Write what was seen, all in one pass, and return what each head reads, after ReLU6.

        Args:
            seen: What `look` gave.
            reads: For each head the numbers of writes, from 0 to n, after which it reads.
        """
        heads = self.named_heads
        with of_weights(self.loop.what.weight, seen.context):
            asked = [heads[name].query(seen.context).unsqueeze(1).expand(-1, len(t), -1) for name, t in reads.items()]
        queries = asked[0] if len(asked) == 1 else torch.cat(asked, dim=1)
        answers, _ = self.memory.unroll(seen.memory_input, queries, [t for times in reads.values() for t in times])
        if seen.memory_input.shape[1] < ALL_USED:
            answers = reach(answers, self.parameters())
        parts = activate(answers).split([len(times) for times in reads.values()], dim=1)
        return dict(zip(reads, parts, strict=True))

    def answer(self, seen: Seen, recalled: Mapping[str, Float[Tensor, "b k m"]], noise: Noise | None = None) -> Output:
        """Turn what was recalled into the heads' answers.

        Args:
            seen: What `look` gave.
            recalled: What `recall` gave, by the heads' names.
            noise: The random numbers of this pass; nothing is random where left out.
        """
        scene = Scene(seen.looks, self.locator, noise or Noise())
        fields: Fields = {}
        with of_weights(self.loop.what.weight, seen.context):
            for name, answers in recalled.items():
                together.add(fields, self.named_heads[name](answers, scene), name, self.named_heads)
        looks = seen.looks
        trace = None if looks is None else Trace(looks.pose, looks.inverse_pose, looks.glimpse, seen.memory_input)
        return Output.of({**fields, "trace": trace})

    def loss_parts(
        self, output: Output, pixels: Float[Tensor, "b c h w"] | None, labels: Targets | None
    ) -> dict[str, Tensor]:
        """Return the parts of the loss of every head."""
        found: dict[str, Tensor] = {}
        for name, own in together.share_out(self.named_heads, labels).items():
            together.add(found, self.named_heads[name].losses(output, pixels, own), name, self.named_heads)
        return found

    def measures(self, output: Output, labels: Targets) -> dict[str, dict[str, Tensor]]:
        """Return what each head that learns targets says of how good its answers are, summed over the batch."""
        heads = self.named_heads
        shared = {name: own for name, own in together.share_out(heads, labels).items() if own is not None}
        return {name: heads[name].measure(output, own) for name, own in shared.items() if heads[name].targets}

    def noise_shapes(self, glimpses: int) -> Shapes:
        """Return the shapes, without the batch, of the random numbers that the heads take."""
        heads = self.named_heads.values()
        return {name: shape for head in heads for name, shape in head.noise_shapes(glimpses).items()}


def checked_count(glimpses: Any) -> int:
    """Return a number of glimpses.

    Raises:
        InputError: It is no whole number, or not legal.
    """
    if not isinstance(glimpses, int) or glimpses < 1:
        raise InputError(f"A model takes at least 1 glimpse; got {glimpses!r}.")
    if glimpses not in GLIMPSES:
        raise InputError(f"A model takes at most {GLIMPSES.high:,} glimpses; got {glimpses:,}.")
    return glimpses


def activate(answers: Float[Tensor, "*b m"]) -> Float[Tensor, "*b m"]:
    """Return what the heads are given of a read: ReLU6, as the memory itself has no activation (section 3.3)."""
    return answers.clamp(0, 6)


@contextmanager
def evaluating(model: Model) -> Iterator[None]:
    """Put a model into evaluation mode, without gradients, and leave it in the mode that it was in."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)


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
    faults.add(*together.clashes(found))
    faults.settle()
    return found


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
