"""Images in folders: held in memory where they fit, else read when they are asked for.

A folder that does not fit is a `Files`, which is indexed like the tensor that the images would make.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import psutil
import torch
from jaxtyping import Int, UInt8
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from stawm.errors import InputError

MODES = {1: "L", 3: "RGB"}
AHEAD = 2
"""Batches that are read while one is worked on."""
HELD_OUT = ("test", "val", "valid")
"""What the folder of images to test on may be called; the first that is there counts."""
T = TypeVar("T")

UNREADABLE = (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError)


class Files:
    """Images that stay on disk: indexed like a tensor of their pixels, and read when they are asked for.

    Attributes:
        shape: What the tensor's shape would be.
        device: Where what is read goes.
    """

    def __init__(
        self, paths: Sequence[Path], size: tuple[int, int], channels: int, device: torch.device | str = "cpu"
    ) -> None:
        self.paths, self.size, self.channels = list(paths), size, channels
        self.device = torch.device(device)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Count, channels, height and width."""
        return len(self.paths), self.channels, *self.size

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Sequence[int] | Tensor | slice) -> UInt8[Tensor, "b c h w"]:
        return next(self.stream([index]))

    def to(self, device: torch.device | str) -> "Files":
        """Return the images as to be read for a device."""
        return Files(self.paths, self.size, self.channels, device)

    def select(self, index: Sequence[int] | Tensor | slice) -> "Files":
        """Return some of the images, without reading them."""
        return Files(self._at(index), self.size, self.channels, self.device)

    def stream(self, batches: Iterable[Sequence[int] | Tensor | slice]) -> Iterator[UInt8[Tensor, "b c h w"]]:
        """Read batch after batch, some ahead of the one that is worked on."""
        pool, waiting = ThreadPoolExecutor(), deque[list[Future[Tensor]]]()
        try:
            for index in batches:
                waiting.append([pool.submit(self._read, path) for path in self._at(index)])
                if len(waiting) > AHEAD:
                    yield self._stack(waiting.popleft())
            while waiting:
                yield self._stack(waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _at(self, index: Sequence[int] | Tensor | slice) -> list[Path]:
        if isinstance(index, slice):
            return self.paths[index]
        return [self.paths[i] for i in torch.as_tensor(index).tolist()]

    def _read(self, path: Path) -> UInt8[Tensor, "c h w"]:
        return read(path, self.channels, self.size)

    def _stack(self, pending: list[Future[Tensor]]) -> UInt8[Tensor, "b c h w"]:
        pixels = [image.result() for image in pending]
        return (torch.stack(pixels) if pixels else torch.empty(self.shape, dtype=torch.uint8)[:0]).to(self.device)


def find_parts(root: Path) -> tuple[Path, Path | None]:
    """Return the folder to train on, and the one to test on where there is one.

    Raises:
        InputError: There is no such folder, or it lacks the part to train on.
    """
    if root.is_file():
        raise InputError(f"{root} is a file: unpack it, and give the folder.")
    if not root.is_dir():
        raise InputError(f"{root} is not a directory. Give a folder with a folder of images for each class.")
    held_out = next((root / name for name in HELD_OUT if (root / name).is_dir()), None)
    if (root / "train").is_dir():
        return root / "train", held_out
    if held_out is not None:
        raise InputError(f"{root} holds {held_out.name} but no train: name the folder to train on train.")
    return root, None


def read_classes(
    root: Path, channels: int, size: tuple[int, int] | None, memory: int | None = None
) -> tuple[UInt8[Tensor, "count c h w"] | Files, Int[Tensor, "count"], tuple[str, ...]]:
    """Read a folder of classes; the classes take turns, so that any stretch holds all of them.

    Args:
        root: A folder with one folder of images for each class.
        channels: 1 for grey images, 3 for colour.
        size: Height and width to bring every image to; None where all have the same already.
        memory: How many bytes the pixels may take before they stay on disk.

    Returns:
        The images, their classes, and the classes' names.

    Raises:
        InputError: A folder is empty or has no classes, or an image cannot be read or is of another size.
    """
    from torchvision.datasets import ImageFolder

    try:
        found = ImageFolder(str(root))
    except OSError as error:
        raise InputError(
            f"{root} does not hold a folder of images for each class: {error} "
            "Put the images of each class into a folder of its own, and remove empty ones."
        ) from error
    labels = np.array(found.targets)
    counts = np.bincount(labels)
    order = np.lexsort((labels, np.concatenate([np.arange(count) / count for count in counts])))
    paths = [Path(found.samples[i][0]) for i in order]
    return open_images(paths, channels, size, memory), torch.from_numpy(labels[order]), tuple(found.classes)


def read_celeba(
    root: Path, part: str, size: tuple[int, int], download: bool, memory: int | None = None
) -> UInt8[Tensor, "count 3 h w"] | Files:
    """Read a part of CelebA through torchvision's own class, cut to the square around the face."""
    from torchvision.datasets import CelebA

    try:
        found = CelebA(str(root), split=part, download=download)
    except (RuntimeError, OSError) as error:
        raise InputError(
            f"CelebA cannot be read under {root}: {error} "
            "Give the folder that holds celeba/, or download it (--download)."
        ) from error
    paths = [root / found.base_folder / "img_align_celeba" / str(name) for name in found.filename]
    return open_images(paths, 3, size, memory)


def damaged_idx(folder: Path) -> Path | None:
    """Return the first of a folder's idx files that cannot be read, if there is one."""
    from torchvision.datasets.mnist import read_sn3_pascalvincent_tensor

    for path in sorted(folder.glob("*-ubyte")):
        try:
            read_sn3_pascalvincent_tensor(str(path))
        except (AssertionError, LookupError, ValueError, RuntimeError, OSError):
            return path
    return None


def open_images(
    paths: list[Path], channels: int, size: tuple[int, int] | None, memory: int | None = None
) -> UInt8[Tensor, "count c h w"] | Files:
    """Read images into memory where they fit; else only look at their sizes, and leave them on disk.

    Args:
        paths: The files.
        channels: 1 for grey images, 3 for colour.
        size: Height and width to bring every image to; None where all have the same already.
        memory: How many bytes the pixels may take before they stay on disk; `budget` where left out.

    Raises:
        InputError: One cannot be read, or is of another size than the first.
    """
    _, h, w = read(paths[0], channels, size).shape
    if len(paths) * channels * h * w <= (budget() if memory is None else memory):
        return read_images(paths, channels, size)
    if size is None:
        _all(lambda path: _check_size(path, measure(path), paths[0], (h, w)), paths)
    else:
        _all(measure, paths)
    return Files(paths, (h, w), channels)


def read_images(paths: list[Path], channels: int, size: tuple[int, int] | None) -> UInt8[Tensor, "count c h w"]:
    """Read images into one tensor.

    Raises:
        InputError: One cannot be read, or is of another size than the first.
    """
    first = read(paths[0], channels, size)
    images = torch.empty(len(paths), *first.shape, dtype=torch.uint8)

    def put(index: int) -> None:
        image = read(paths[index], channels, size)
        _check_size(paths[index], image.shape[1:], paths[0], first.shape[1:])
        images[index] = image

    _all(put, range(len(paths)))
    return images


def read(path: Path, channels: int, size: tuple[int, int] | None) -> UInt8[Tensor, "c h w"]:
    """Read an image, brought to a size where one is given.

    Raises:
        InputError: It cannot be read, or has more than 8 bits a channel.
    """
    if channels not in MODES:
        raise InputError(f"Images in files have 1 channel (grey) or 3 (colour); {channels} were asked for.")
    try:
        with Image.open(path) as file:
            mode, image = file.mode, file.convert(MODES[channels])
    except UNREADABLE as error:
        raise _unreadable(path, error) from error
    _check_bits(path, mode)
    if size is not None and (image.height, image.width) != size:
        image = ImageOps.fit(image, (size[1], size[0]), Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(image))
    return pixels[None] if channels == 1 else pixels.permute(2, 0, 1)


def measure(path: Path) -> tuple[int, int]:
    """Return an image's height and width; its pixels are not read.

    Raises:
        InputError: It is no image, or has more than 8 bits a channel.
    """
    try:
        with Image.open(path) as file:
            mode, size = file.mode, (file.height, file.width)
    except UNREADABLE as error:
        raise _unreadable(path, error) from error
    _check_bits(path, mode)
    return size


def budget() -> int:
    """Return how many bytes this process may take for images: half of what is free, shared with those beside it."""
    return free_memory() // (2 * int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def free_memory() -> int:
    """Return how many bytes are free."""
    return psutil.virtual_memory().available


def _all(do: Callable[[T], object], items: Iterable[T]) -> None:
    """Do something with each item, several at a time; the first that fails ends it."""
    with ThreadPoolExecutor() as pool:
        try:
            for _ in pool.map(do, items):
                pass
        except InputError:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _check_size(path: Path, size: Sequence[int], first: Path, of_first: Sequence[int]) -> None:
    if tuple(size) != tuple(of_first):
        raise InputError(
            f"{path} is {_pixels(size)}, {first} is {_pixels(of_first)}: "
            "bring all images to one size, or let them be resized (--resize)."
        )


def _check_bits(path: Path, mode: str) -> None:
    if mode.startswith("I") or mode == "F":
        raise InputError(f"{path} has more than 8 bits a channel (mode {mode}): save it with 8.")


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"{path} cannot be read as an image ({error}): replace or remove it.")


def _pixels(size: Sequence[int]) -> str:
    return f"{size[1]}x{size[0]} pixels"
