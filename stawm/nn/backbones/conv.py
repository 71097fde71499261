"""The paper's convolution stacks."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from jaxtyping import Float
from torch import Tensor, nn

from stawm.configuration import SIZE
from stawm.configuration import Config as BaseConfig
from stawm.errors import ConfigError
from stawm.nn.backbones.base import Backbone
from stawm.nn.backbones.layers import ConvLayer, flat_features, generic_stack, parse_layers

Init: TypeAlias = Literal["xavier", "kaiming", "pytorch", "authors"]


class Conv(Backbone):
    """Strided convolutions, each followed by ReLU, with no pooling: the paper's own networks (Appendix D)."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Configuration of a convolution stack."""

        name: str = "conv"
        layers: str | None = None
        """The stack as filters@kernel/stride, such as ``64@3/2 128@3/2``; null is one that fits the image."""
        norm: Literal["batch", "none"] = "batch"
        """What stands between a convolution and its ReLU."""
        bias: bool = False
        """Whether the convolutions have biases."""
        init: Init = "xavier"
        """How the weights start, from a uniform distribution: by Xavier or Kaiming, as PyTorch starts them, or as the
        paper's CIFAR code does (``authors``), see `init_weight`."""
        hidden: Annotated[int, SIZE] | None = None
        """How many units a fully connected layer with a ReLU has after the convolutions; null is no such layer. A
        decoder that mirrors the stack leaves it out."""

        def faults(self) -> list[str]:
            """Return what is wrong with the notation of the stack."""
            try:
                parse_layers(self.layers) if self.layers is not None else ()
            except ConfigError as error:
                return [f"{self.name}: layers: {fault}" for fault in error.faults]
            return []

    def __init__(self, config: Config | None = None, *, channels: int, size: tuple[int, int]) -> None:
        """Build the stack.

        Args:
            config: The configuration; the default one where left out.
            channels: c, of the images.
            size: h and w of the images.

        Raises:
            ConfigError: The stack does not fit the images.
        """
        config = config or self.Config()
        super().__init__(config, channels=channels, size=size)
        layers = stack_of(config, size)
        flat = flat_features(layers, size)
        self.features = config.hidden or flat
        self.blocks = make_blocks(config, channels, layers)
        self.full = None if config.hidden is None else nn.Sequential(nn.Linear(flat, config.hidden), nn.ReLU())

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b f"]:
        """Return the features of each image."""
        flat = self.blocks(images).flatten(1)
        return flat if self.full is None else self.full(flat)


def stack_of(config: Conv.Config, size: tuple[int, int]) -> tuple[ConvLayer, ...]:
    """Return the layers that a configuration means for images of a size."""
    return parse_layers(generic_stack(size) if config.layers is None else config.layers)


def init_weight(conv: nn.Conv2d | nn.ConvTranspose2d, how: Init, *, last: bool = False) -> None:
    """Draw the weight of a convolution; its bias keeps PyTorch's own start.

    Args:
        conv: The convolution.
        how: ``xavier`` (Glorot and Bengio 2010), ``kaiming`` (He et al. 2015), ``pytorch``, or ``authors``: Kaiming's
            as in the paper's CIFAR code, where the last layer of a stack keeps PyTorch's start, and a transposed
            convolution counts its outputs for its inputs.
        last: Whether it is the last convolution of its stack.
    """
    transposed = isinstance(conv, nn.ConvTranspose2d)
    if how == "xavier":
        nn.init.xavier_uniform_(conv.weight)
    elif how == "kaiming" or (how == "authors" and (transposed or not last)):
        # A transposed convolution's weight has the inputs first, so what feeds a unit is counted by `fan_out`.
        mode = "fan_out" if transposed and how == "kaiming" else "fan_in"
        nn.init.kaiming_uniform_(conv.weight, mode=mode, nonlinearity="relu")


def make_blocks(config: Conv.Config, channels: int, layers: tuple[ConvLayer, ...]) -> nn.Sequential:
    """Return the layers of a stack for images of so many channels."""
    before = [channels, *(layer.filters for layer in layers[:-1])]
    lasts = [False] * (len(layers) - 1) + [True]
    return nn.Sequential(*(_block(config, *each) for each in zip(before, layers, lasts, strict=True)))


def _block(config: Conv.Config, before: int, layer: ConvLayer, last: bool) -> nn.Sequential:
    conv = nn.Conv2d(before, layer.filters, layer.kernel, layer.stride, layer.padding, bias=config.bias)
    init_weight(conv, config.init, last=last)
    parts: OrderedDict[str, nn.Module] = OrderedDict(conv=conv)
    if config.norm == "batch":
        parts["norm"] = nn.BatchNorm2d(layer.filters)
    parts["act"] = nn.ReLU()
    return nn.Sequential(parts)
