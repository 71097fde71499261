"""What a session takes: pixels, or files of images."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from stawm.arrays import Array, alike, as_float32, is_array, is_floating, is_tensor, namespace, to_numpy
from stawm.configuration import SIDE
from stawm.errors import InputError
from stawm.export.file.metadata import GraphInfo
from stawm.models.unit import to_unit
from stawm.pictures import read_all

FilePath: TypeAlias = str | os.PathLike[str]
Images: TypeAlias = Array | FilePath | Sequence[FilePath] | Sequence[Array]


def prepare(images: Images, info: GraphInfo) -> Array:
    """Return images as pixel values in [0, 1], of shape (b, c, h, w): a tensor where one is given, else an array.

    Args:
        images: Pixels as bytes (uint8), or floats in [0, 1], of shape (b, c, h, w), (b, h, w, c) or, in grey,
            (b, h, w); or paths of images, which are brought to the model's size, unless it takes any: then those of
            one call keep the one size that they have. One image by itself, without its b, is a batch of one, and a
            list of arrays of one shape is a batch of them. A batch may be empty.
        info: What the graph says of itself.

    Raises:
        InputError: They are of another form, are normalised already, or a file cannot be read.
    """
    channels, height, width = info.image
    given: Any = images
    if isinstance(given, (str, os.PathLike)):
        return prepare([given], info)
    if isinstance(given, (list, tuple)):
        paths = [Path(path) for path in given if isinstance(path, (str, os.PathLike))]
        if paths and len(paths) == len(given):
            size = None if info.any_size else (height, width)
            read = to_unit(read_all(paths, channels, size, info.resize))
            check_file_size(paths[0], read.shape[2:], info)
            return read
        given = _stacked(given)
    array = _as_array(given)
    legal = array.dtype == namespace(array).uint8 or is_floating(array)
    batch = _channels_first(array, info)
    if not legal or not takes(info, batch.shape[1:]):
        raise InputError(
            f"This graph takes pixels of shape {form(info)}, as uint8 or as floats in [0, 1], or paths of images; got "
            f"{_told(given)}."
        )
    _check_finite(batch)
    return as_float32(to_unit(batch))


def takes(info: GraphInfo, form: Sequence[int]) -> bool:
    """Whether images of so many channels, of such a height and width, are taken as they are."""
    if not info.any_size or len(form) != 3:
        return tuple(form) == info.image
    return form[0] == info.image[0] and all(info.least_side <= n <= SIDE.high for n in form[1:])


def form(info: GraphInfo) -> str:
    """Return the shape of a batch of images, as people write it."""
    channels, height, width = info.image
    if not info.any_size:
        return f"(b, {channels}, {height}, {width})"
    return f"(b, {channels}, h, w) with h and w from {info.least_side} to {SIDE.high:,}"


def check_file_size(path: Path, size: Sequence[int], info: GraphInfo) -> None:
    """Raise an InputError unless a picture's height and width are taken, as it is or brought to the model's."""
    if info.any_size and not takes(info, (info.image[0], *size)):
        height, width = size
        raise InputError(f"{path} has {height}x{width} pixels; {info.preset} takes images of shape {form(info)}.")


def normalise(pixels: Array, info: GraphInfo) -> Array:
    """Turn pixel values in [0, 1] into what the graph itself takes."""
    mean, std = (np.array(values, np.float32).reshape(1, -1, 1, 1) for values in (info.mean, info.std))
    return (pixels - alike(mean, pixels)) / alike(std, pixels)


def _stacked(images: Sequence[Any]) -> Array:
    """Return images of one form, given one by one, as a batch."""
    if not images or not all(map(is_array, images)):
        kinds = ", ".join(sorted({type(image).__name__ for image in images})) or "nothing"
        raise InputError(
            f"A list of images holds paths of files, or arrays of one shape; got one of {kinds}.{_advice(images)}"
        )
    if len({(type(image), tuple(image.shape), image.dtype) for image in images}) > 1:
        raise InputError("A list of images holds arrays of one type and shape; these differ. Give them one by one.")
    return namespace(images[0]).stack(list(images))


def _as_array(images: Any) -> Array:
    """Return an array of numbers that lie in memory, in the order of bytes of this machine."""
    if isinstance(images, np.ma.MaskedArray):
        raise InputError("Images cannot be a masked array: what is masked has no value. Fill it first.")
    if isinstance(images, np.ndarray):
        if images.dtype.kind not in "biuf":
            raise InputError(f"Images are arrays of numbers, as uint8 or as floats in [0, 1]; got {images.dtype}.")
        if images.dtype.itemsize > 8:
            raise InputError(f"Images are uint8 or floats of at most 64 bits; got {images.dtype}.")
        native = images.astype(images.dtype.newbyteorder("="), copy=False)
        return np.asarray(np.require(native, requirements=["C", "W"]))  # as PyTorch wants them
    if not is_tensor(images):
        raise InputError(
            f"Images are a tensor, an array or paths of files; got {type(images).__name__}.{_advice([images])}"
        )
    if images.is_meta or images.is_quantized or images.is_nested:
        kind = "on no device" if images.is_meta else "quantized or nested"
        raise InputError(f"Images are tensors with plain numbers; got one that is {kind}.")
    images = images.detach()
    return images if images.layout == namespace(images).strided else images.to_dense()


def _advice(images: Sequence[Any]) -> str:
    if any(isinstance(image, Image.Image) for image in images):
        return " Give a picture's path, or its pixels: np.asarray(image)."
    return ""


def _told(images: Any) -> str:
    """Return the type and shape that were given."""
    return f"{str(images.dtype).removeprefix('torch.')} of shape {tuple(images.shape)}"


def _check_finite(batch: Array) -> None:
    if is_floating(batch) and math.prod(batch.shape):
        finite = namespace(batch).isfinite(batch).reshape(len(batch), -1).all(1)
        bad = np.flatnonzero(~to_numpy(finite)).tolist()
        if bad:
            raise InputError(
                f"Pixels must be numbers in [0, 1]; {len(bad)} images hold NaN or infinity, first {bad[0]}."
            )


def _channels_first(pixels: Array, info: GraphInfo) -> Array:
    shape, grey = tuple(pixels.shape), info.image[0] == 1
    if takes(info, shape) or takes(info, _moved(shape)) or (grey and len(shape) == 2 and takes(info, (1, *shape))):
        pixels = pixels[None]
    own = tuple(pixels.shape[1:])
    if not takes(info, own) and takes(info, _moved(own)):
        return namespace(pixels).moveaxis(pixels, -1, 1)
    return pixels[:, None] if grey and len(own) == 2 and takes(info, (1, *own)) else pixels


def _moved(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return an image's shape with the channels, which are last, first."""
    return (*shape[-1:], *shape[:-1])
