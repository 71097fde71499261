"""What a graph can be given: images as the model takes them, pixels, or files."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from stawm.errors import InputError
from stawm.export.file.metadata import GraphInfo
from stawm.heads.output import Noise
from stawm.training.data.folders import read_images

FilePath: TypeAlias = str | os.PathLike[str]
Images: TypeAlias = Tensor | np.ndarray | FilePath | Sequence[FilePath]


def prepare(images: Images, info: GraphInfo) -> Tensor:
    """Return images as a graph takes them.

    Args:
        images: Floats (b, c, h, w) as the model takes them; bytes (b, c, h, w), (b, h, w, c) or, in grey,
            (b, h, w) as pixels; or paths of images, which are brought to the model's size. One image by
            itself, without its b, is a batch of one.
        info: What the graph says of itself, with its preprocessing.

    Raises:
        InputError: They are of another form, or a file cannot be read.
    """
    channels, height, width = info.image
    if isinstance(images, (str, os.PathLike)):
        return prepare([images], info)
    if isinstance(images, (list, tuple)):
        if not images or not all(isinstance(path, (str, os.PathLike)) for path in images):
            raise InputError(f"A list of images holds paths of files; got {_shown(images)}.")
        paths = [Path(path) for path in images]
        return normalise(read_images(paths, channels, (height, width)), info)
    tensor = torch.from_numpy(np.require(images, requirements=["C", "W"])) if isinstance(images, np.ndarray) else images
    if not isinstance(tensor, Tensor):
        raise InputError(f"Images are a tensor, an array or paths of files; got {type(images).__name__}.")
    if tensor.dtype == torch.uint8:
        tensor = normalise(_channels_first(tensor, info), info)
    elif tuple(tensor.shape) == (channels, height, width):
        tensor = tensor[None]
    if not tensor.is_floating_point() or tuple(tensor.shape[1:]) != (channels, height, width) or len(tensor) == 0:
        raise InputError(
            f"This graph takes floats of shape (b, {channels}, {height}, {width}), pixels of that shape as uint8, or "
            f"paths of images; got {str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}."
        )
    return tensor.detach().float()


def normalise(pixels: Tensor, info: GraphInfo) -> Tensor:
    """Turn pixels from 0 to 255 into what the model takes."""
    mean, std = (torch.tensor(values, device=pixels.device).view(1, -1, 1, 1) for values in (info.mean, info.std))
    return (pixels.float() / 255 - mean) / std


def settle_noise(
    noise: Noise, shapes: Mapping[str, tuple[Any, ...]], like: Tensor, generator: torch.Generator | None
) -> dict[str, Tensor]:
    """Return the random numbers of a call by the names of the inputs, drawing what is not given.

    Args:
        noise: What is given.
        shapes: What the graph takes.
        like: The images.
        generator: Where what is drawn comes from.

    Raises:
        InputError: What is given is not what the graph takes.
    """
    given = {name: torch.as_tensor(value) for name, value in noise._asdict().items() if value is not None}
    for name, value in given.items():
        if name not in shapes:
            takes = ", ".join(shapes) or "none, since it was exported with sample=False"
            raise InputError(f"This graph takes no noise named {name!r}; it takes {takes}.")
        if tuple(value.shape) != shapes[name]:
            raise InputError(f"The {name} noise must be of shape {shapes[name]}; got {tuple(value.shape)}.")
    drawn = {name: _draw(name, shape, like, generator) for name, shape in shapes.items() if name not in given}
    return {f"noise_{name}": (given | drawn)[name].to(like) for name in shapes}


def _draw(name: str, shape: tuple[int, ...], like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw normal numbers for the latent, else uniform ones in (0, 1)."""
    if name == "latent":
        return torch.randn(shape, generator=generator, device=like.device)
    smallest = torch.finfo(torch.float32).eps
    return torch.empty(shape, device=like.device).uniform_(smallest, 1 - smallest, generator=generator)


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
