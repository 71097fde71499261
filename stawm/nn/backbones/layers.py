"""The notation of convolution stacks, and the arithmetic of their sizes.

A stack is written as the paper's tables read: ``64@3/2 128@3/2`` is 64 filters of 3×3 with stride 2,
then 128 of the same. ``32@4/2p1`` adds a padding of 1.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from stawm.errors import ConfigError, shown

FORM = "filters@kernel/stride with an optional p and padding, such as '64@3/2' or '32@4/2p1'"
_LAYER = re.compile(r"(\d{1,6})@(\d{1,6})/(\d{1,6})(?:p(\d{1,6}))?", re.ASCII)
MOST_LAYERS = 500


class ConvLayer(NamedTuple):
    """One convolution of a stack; kernel, stride and padding are the same along both axes."""

    filters: int
    kernel: int
    stride: int
    padding: int = 0

    def __str__(self) -> str:
        """Write the layer in the notation that it is read from."""
        return f"{self.filters}@{self.kernel}/{self.stride}" + (f"p{self.padding}" if self.padding else "")


def parse_layers(text: str) -> tuple[ConvLayer, ...]:
    """Read a stack such as ``"64@3/2 128@3/2"``.

    Raises:
        ConfigError: Every layer that is not of the form, or cannot be built.
    """
    words = text.split()
    if len(words) > MOST_LAYERS:
        raise ConfigError([f"A stack has at most {MOST_LAYERS} layers; got {len(words):,}."])
    faults = [fault for word in words for fault in _faults(word)]
    if not words:
        faults = [f"A stack has at least one layer, each written as {FORM}; got {shown(text)}."]
    if faults:
        raise ConfigError(faults)
    return tuple(_read(word) for word in words)


def _read(word: str) -> ConvLayer:
    match = _LAYER.fullmatch(word)
    assert match is not None
    return ConvLayer(*(int(number or 0) for number in match.groups()))


def _faults(word: str) -> list[str]:
    if not _LAYER.fullmatch(word):
        return [f"A layer is written as {FORM}; got {shown(word)}."]
    layer = _read(word)
    if min(layer.filters, layer.kernel, layer.stride) < 1:
        return [f"Filters, kernel and stride of a layer are at least 1; got {shown(word)}."]
    if layer.padding >= layer.kernel:
        return [f"The padding of a layer is smaller than its kernel; got {shown(word)}."]
    return []


def layer_sizes(layers: Sequence[ConvLayer], size: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the height and width before the first layer and after each.

    Raises:
        ConfigError: A layer's kernel is larger than what it is given.
    """
    sizes = [size]
    for number, layer in enumerate(layers, 1):
        grown = [side + 2 * layer.padding - layer.kernel for side in sizes[-1]]
        if min(grown) < 0:
            raise ConfigError([_too_small(layers, number, sizes[-1], size)])
        sizes.append((grown[0] // layer.stride + 1, grown[1] // layer.stride + 1))
    return sizes


def _too_small(layers: Sequence[ConvLayer], number: int, given: tuple[int, int], size: tuple[int, int]) -> str:
    stack = " ".join(map(str, layers))
    return (
        f"The stack {stack!r} does not fit images of {size[0]}x{size[1]}: layer {number}, {str(layers[number - 1])!r}, "
        f"is given {given[0]}x{given[1]}. Use smaller kernels or strides, padding, or a larger image."
    )


def output_size(layers: Sequence[ConvLayer], size: tuple[int, int]) -> tuple[int, int]:
    """Return the height and width after the last layer.

    Raises:
        ConfigError: A layer's kernel is larger than what it is given.
    """
    return layer_sizes(layers, size)[-1]


def flat_features(layers: Sequence[ConvLayer], size: tuple[int, int]) -> int:
    """Return the width of the stack's flattened output.

    Raises:
        ConfigError: A layer's kernel is larger than what it is given.
    """
    height, width = output_size(layers, size)
    return layers[-1].filters * height * width


def generic_stack(size: tuple[int, int]) -> str:
    """Write a stack that fits any image: one layer at full size, then halvings down to 4 or less."""
    words, (height, width) = ["32@3/1p1"], size
    while max(height, width) > 4 and min(height, width) >= 2:
        words.append("64@4/2p1")
        height, width = height // 2, width // 2
    return " ".join(words)
