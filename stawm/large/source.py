"""What an image is that is never loaded whole: a size, and a way to read parts of it, coarse or fine."""

from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from stawm.errors import InputError
from stawm.models.pixels import to_unit

Box: TypeAlias = tuple[int, int, int, int]
"""Top, left, bottom and right of a part of an image, in its own pixels; bottom and right are the first ones outside."""
GREY = (0.299, 0.587, 0.114)
"""How bright red, green and blue appear (ITU-R BT.601), as pictures in files are turned grey."""
CHANNELS = (1, 3)


def reduced(size: tuple[int, int], factor: int) -> tuple[int, int]:
    """Return the height and width of an image of which each pixel stands for a square of so many a side."""
    return -(-size[0] // factor), -(-size[1] // factor)


@runtime_checkable
class Source(Protocol):
    """An image that can be read in parts; whatever has these two is one.

    Attributes:
        size: Height and width of the whole image in pixels.

    Examples:
        >>> import numpy as np
        >>> class Checkers:
        ...     size = (2**20, 2**20)
        ...
        ...     def read(self, box, size):
        ...         top, left, bottom, right = box
        ...         rows, columns = np.ogrid[top:bottom, left:right]
        ...         fine = (rows // 64 + columns // 64) % 2
        ...         step = (bottom - top) // size[0]
        ...         return fine.reshape(size[0], step, size[1], step).mean(axis=(1, 3))
        >>> isinstance(Checkers(), Source)
        True
    """

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the whole image in pixels."""
        ...

    def read(self, box: Box, size: tuple[int, int]) -> np.ndarray:
        """Return a part of the image, averaged down to a size.

        Args:
            box: Which part; it lies inside the image.
            size: Height and width of what is returned. The box is that times 1, 2, 4, ..., the same for both, and
                begins at a multiple of it; where the image ends, it may end earlier. Each pixel is the mean of what
                it covers of the image.

        Returns:
            Bytes (uint8), or floats in [0, 1], of shape (height, width), or (height, width, channels) with 1 or 3
            channels.
        """
        ...


def read_part(source: Source, box: Box, size: tuple[int, int], channels: int) -> Float64[Tensor, "c h w"]:
    """Read a part of an image as pixel values in [0, 1], in the channels that are asked for.

    Args:
        source: The image.
        box: Which part.
        size: Height and width to bring it to.
        channels: 1 for grey, 3 for colour; a grey image is shown in colour as it is, a coloured one made grey.

    Raises:
        InputError: What the source gives is of another size or form than was asked for.
    """
    found: Any = source.read(box, size)
    if not isinstance(found, np.ndarray) or found.shape[:2] != size or found.shape[2:] not in ((), (1,), (3,)):
        given = f"an array of shape {found.shape}" if isinstance(found, np.ndarray) else type(found).__name__
        raise InputError(
            f"{_name(source)}.read({box}, {size}) must give an array of shape {size}, or with 1 or 3 channels after "
            f"these; it gave {given}."
        )
    if found.dtype != np.uint8 and found.dtype.kind != "f":
        raise InputError(f"{_name(source)}.read must give bytes (uint8) or floats in [0, 1]; it gave {found.dtype}.")
    whole = found[:, :, None] if found.ndim == 2 else found
    pixels = torch.from_numpy(np.ascontiguousarray(np.moveaxis(whole, 2, 0)))
    pixels = pixels.double() / 255 if pixels.dtype == torch.uint8 else to_unit(pixels.double())
    if len(pixels) == channels:
        return pixels
    if channels == 1:
        return torch.einsum("chw,c->hw", pixels, pixels.new_tensor(GREY))[None]
    return pixels.expand(channels, -1, -1)


def check_source(source: Any) -> tuple[int, int]:
    """Return a source's height and width.

    Raises:
        InputError: It is no source, or its size is none.
    """
    if not isinstance(source, Source):
        raise InputError(
            f"An image to explore is the path of a TIFF, an array, or has `size` and `read(box, size)`; got "
            f"{type(source).__name__}."
        )
    size: Any = source.size
    legal = isinstance(size, tuple) and len(size) == 2 and all(isinstance(side, (int, np.integer)) for side in size)
    if not legal or min(size) < 1:
        raise InputError(f"{_name(source)}.size must be height and width, each at least 1; it is {size!r}.")
    return int(size[0]), int(size[1])


def _name(source: Any) -> str:
    return type(source).__name__
