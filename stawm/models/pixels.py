"""What public calls take as images: pixels, as bytes or as floats."""

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.errors import InputError


def to_unit(pixels: Tensor) -> Float[Tensor, "b c h w"]:
    """Return pixel values in [0, 1].

    Args:
        pixels: Bytes from 0 to 255, or floats in [0, 1].

    Raises:
        InputError: They are of another type.
    """
    if pixels.dtype == torch.uint8:
        return pixels.float() / 255
    if not pixels.is_floating_point():
        raise InputError(f"Pixels are bytes, or floats in [0, 1]; got {pixels.dtype}.")
    return pixels
