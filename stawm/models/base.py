"""What models and baselines share."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from stawm.errors import InputError
from stawm.heads.base import Head, Targets
from stawm.heads.noise import Shapes
from stawm.heads.output import Output
from stawm.models.config import SharedConfig
from stawm.models.pixels import notice_pixels, to_unit
from stawm.models.stopping import Stopping
from stawm.nn.glimpse_loop import GlimpseLoop
from stawm.nn.memories.base import Memory
from stawm.nn.precision import HALVES, autocasts


class Model(nn.Module, ABC):
    """What models and baselines share: a configuration, the check of images, and the total loss.

    Attributes:
        config: The complete configuration that the model was built from.
        mean: The configuration's mean, one number or one a channel, as a buffer.
        std: Its standard deviation, likewise.
        loaded: Where its weights came from (see `stawm.storage.fitting.Loaded`); None where they are random.
        stopping: When it has looked enough (see `stawm.training.tune_stop`); None where that was not tuned. It is saved
            and exported with the model.
    """

    always_draws: bool = False
    """Whether something is random in use too, for a seed to decide."""
    learns_places: bool = False
    """Whether it learns from the boxes of things, which then are targets beside those of the heads."""
    config: SharedConfig
    loaded: Any = None
    stopping: Stopping | None = None
    mean: Float[Tensor, "1 c 1 1"]
    std: Float[Tensor, "1 c 1 1"]

    if TYPE_CHECKING:  # what `build` returns has them, unless it is a baseline
        memory: Memory[Any]
        loop: GlimpseLoop

        def __getattr__(self, name: str) -> Any:
            """Return what only a kind of model has, such as `watch`; PyTorch says that it is a tensor or a module."""

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
        if not isinstance(images, Tensor) or images.ndim != 4 or not self.config.takes(images.shape[1:]):
            raise InputError(self._refusal(images))

    def _refusal(self, images: Any) -> str:
        dtype = _name(next(self.parameters()).dtype)
        is_tensor = isinstance(images, Tensor)
        given = f"{_name(images.dtype)} of shape {tuple(images.shape)}" if is_tensor else type(images).__name__
        bytes_too = is_tensor and images.dtype == torch.uint8 and self.config.takes(images.shape[1:])
        hint = " Pixels go to predict(pixels), which normalises them." if bytes_too else ""
        if getattr(self.config, "context_size", None) and not self.config.any_size:
            height, width = self.config.image[1:]
            hint += f" Without its head 'drawing', which draws on a canvas of {height}x{width}, it would take any size."
        return f"{self.config.name} takes {dtype} images of shape {self.config.form}; got {given}.{hint}"

    def predict(self, pixels: Shaped[Tensor, "b c h w"], **options: Any) -> Output:
        """Answer for pixels as they come: in evaluation mode, without gradients and without any randomness.

        Only a policy that looks anywhere does so here too, from PyTorch's own generator or from a ``generator``.

        Args:
            pixels: Bytes (uint8) from 0 to 255, or floats in [0, 1], on any device; they are normalised here.
            **options: What a call of the model takes beside images, such as ``glimpses`` or ``glimpse_logits``.

        Raises:
            InputError: The pixels are not of the model's form, or floats outside [0, 1].

        Examples:
            >>> import stawm, torch
            >>> model = stawm.build("stawm-digits", seed=0)
            >>> pixels = torch.randint(0, 256, (2, 1, 16, 16), dtype=torch.uint8)
            >>> model.predict(pixels).logits.exp().sum(dim=1).allclose(torch.ones(2))
            True
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

    @property
    def named_heads(self) -> dict[str, Head]:
        """The heads that read what a model remembers, by name; none in a model without such heads."""
        return {}

    def measures(self, output: Output, labels: Targets) -> dict[str, dict[str, Tensor]]:
        """Return what heads say of how good their answers are, summed over the batch; nothing unless they say so."""
        return {}

    @abstractmethod
    def noise_shapes(self, glimpses: int) -> Shapes:
        """Return the shapes, without the batch, of the random numbers that the model takes."""


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


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
