"""What an image is wherever pixels are taken: bytes from 0 to 255, or floats in [0, 1]; needs no PyTorch."""

import math

from stawm.arrays import Array, as_float32, extremes, is_floating, namespace
from stawm.errors import InputError

SLACK = 4
"""How many units in the last place of 1 a float may lie outside [0, 1]: rounding, of a resize say."""


def to_unit(pixels: Array) -> Array:
    """Return pixel values in [0, 1], of the same shape.

    Args:
        pixels: A tensor or an array: bytes, which are divided by 255 in single precision, or floats in [0, 1], which
            are returned as they are. They may be of any shape, and empty.

    Raises:
        InputError: They are of another type, or floats outside [0, 1], such as images that are normalised already.
    """
    numbers = namespace(pixels)
    if pixels.dtype == numbers.uint8:
        return as_float32(pixels) / 255
    if not is_floating(pixels):
        given = str(pixels.dtype).removeprefix("torch.")
        raise InputError(f"Pixels are bytes (uint8) from 0 to 255 or floats in [0, 1]; got {given}.")
    if math.prod(pixels.shape):
        low, high = extremes(pixels)
        slack = SLACK * float(numbers.finfo(pixels.dtype).eps)
        if not (low >= -slack and high <= 1 + slack):  # so that what is not a number is refused too
            raise InputError(
                f"Pixels given as floats must be in [0, 1]; got values from {low:.4g} to {high:.4g}. "
                "This call takes pixel values in [0, 1] and normalises them itself."
            )
    return pixels
