"""What a session takes: pixels, or files of images."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from stawm.errors import InputError
from stawm.export.file.metadata import GraphInfo
from stawm.models.pixels import to_unit
from stawm.training.data.files import read_images

FilePath: TypeAlias = str | os.PathLike[str]
Images: TypeAlias = Tensor | np.ndarray | FilePath | Sequence[FilePath]


def prepare(images: Images, info: GraphInfo) -> Tensor:
    """Return images as pixel values in [0, 1], of shape (b, c, h, w).

    Args:
        images: Pixels as bytes (uint8), or floats in [0, 1], of shape (b, c, h, w), (b, h, w, c) or, in grey,
            (b, h, w); or paths of images, which are brought to the model's size. One image by itself, without
            its b, is a batch of one.
        info: What the graph says of itself.

    Raises:
        InputError: They are of another form, are normalised already, or a file cannot be read.
    """
    channels, height, width = info.image
    if isinstance(images, (str, os.PathLike)):
        return prepare([images], info)
    if isinstance(images, (list, tuple)):
        if not images or not all(isinstance(path, (str, os.PathLike)) for path in images):
            raise InputError(f"A list of images holds paths of files; got {_shown(images)}.")
        return to_unit(read_images([Path(path) for path in images], channels, (height, width), info.resize))
    tensor = torch.from_numpy(np.require(images, requirements=["C", "W"])) if isinstance(images, np.ndarray) else images
    if not isinstance(tensor, Tensor):
        raise InputError(f"Images are a tensor, an array or paths of files; got {type(images).__name__}.")
    legal = tensor.dtype == torch.uint8 or tensor.is_floating_point()
    batch = _channels_first(tensor, info)
    if not legal or tuple(batch.shape[1:]) != (channels, height, width) or len(batch) == 0:
        raise InputError(
            f"This graph takes pixels of shape (b, {channels}, {height}, {width}), as uint8 or as floats in [0, 1], or "
            f"paths of images; got {str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}."
        )
    return to_unit(batch.detach()).float()


def normalise(pixels: Tensor, info: GraphInfo) -> Tensor:
    """Turn pixel values in [0, 1] into what the graph itself takes."""
    mean, std = (torch.tensor(values, device=pixels.device).view(1, -1, 1, 1) for values in (info.mean, info.std))
    return (pixels - mean) / std


def _channels_first(pixels: Tensor, info: GraphInfo) -> Tensor:
    channels, height, width = info.image
    first, last = (channels, height, width), (height, width, channels)
    flat = {(height, width)} if channels == 1 else set()
    if tuple(pixels.shape) in {first, last} | flat:
        pixels = pixels[None]
    form = tuple(pixels.shape[1:])
    if form == last and form != first:
        return pixels.permute(0, 3, 1, 2)
    return pixels[:, None] if form in flat else pixels


def _shown(images: Sequence[Any]) -> str:
    return f"one of {type(images[0]).__name__}" if images else "an empty one"
