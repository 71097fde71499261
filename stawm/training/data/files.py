"""Many pictures: held in memory where they fit, else read when they are asked for.

Pictures that do not fit are `Files`, which are indexed like the tensor that they would make.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import psutil
import torch
from jaxtyping import UInt8
from torch import Tensor

from stawm.models.resizing import Resize
from stawm.pictures import check_size, do_all, measure, read_all
from stawm.training.data.pictures import read
from stawm.training.data.streamed import Index, Streamed

AHEAD = 2
"""Batches that are read while one is worked on."""


class Files(Streamed):
    """Images that stay on disk: indexed like a tensor of their pixels, and read when they are asked for."""

    def __init__(
        self,
        paths: Sequence[Path],
        size: tuple[int, int],
        channels: int,
        device: torch.device | str = "cpu",
        resize: Resize = "crop",
    ) -> None:
        self.paths, self.size, self.channels = list(paths), size, channels
        self.resize: Resize = resize
        self.device = torch.device(device)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Count, channels, height and width."""
        return len(self.paths), self.channels, *self.size

    def to(self, device: torch.device | str) -> "Files":
        """Return the images as to be read for a device."""
        return Files(self.paths, self.size, self.channels, device, self.resize)

    def select(self, index: Index) -> "Files":
        """Return some of the images, without reading them."""
        return Files(self._at(index), self.size, self.channels, self.device, self.resize)

    def stream(self, batches: Iterable[Index]) -> Iterator[UInt8[Tensor, "b c h w"]]:
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

    def _at(self, index: Index) -> list[Path]:
        if isinstance(index, slice):
            return self.paths[index]
        return [self.paths[i] for i in torch.as_tensor(index).tolist()]

    def _read(self, path: Path) -> UInt8[Tensor, "c h w"]:
        return read(path, self.channels, self.size, self.resize)

    def _stack(self, pending: list[Future[Tensor]]) -> UInt8[Tensor, "b c h w"]:
        pixels = [image.result() for image in pending]
        return (torch.stack(pixels) if pixels else torch.empty(self.shape, dtype=torch.uint8)[:0]).to(self.device)


def open_images(
    paths: Sequence[Path],
    channels: int,
    size: tuple[int, int] | None,
    memory: int | None = None,
    resize: Resize = "crop",
) -> UInt8[Tensor, "count c h w"] | Files:
    """Read images into memory where they fit; else only look at their sizes, and leave them on disk.

    Args:
        paths: The files.
        channels: 1 for grey images, 3 for colour.
        size: Height and width to bring every image to; None where all have the same already.
        memory: How many bytes the pixels may take before they stay on disk; `budget` where left out.
        resize: How images are brought to the size.

    Raises:
        InputError: One cannot be read, or is of another size than the first.
    """
    _, h, w = read(paths[0], channels, size, resize).shape
    if len(paths) * channels * h * w <= (budget() if memory is None else memory):
        return read_images(paths, channels, size, resize)
    if size is None:
        do_all(lambda path: check_size(path, measure(path), paths[0], (h, w)), paths)
    else:
        do_all(measure, paths)
    return Files(paths, (h, w), channels, resize=resize)


def read_images(
    paths: Sequence[Path], channels: int, size: tuple[int, int] | None, resize: Resize = "crop"
) -> UInt8[Tensor, "count c h w"]:
    """Read images into one tensor; the arguments are those of `open_images`.

    Raises:
        InputError: One cannot be read, or is of another size than the first.
    """
    return torch.from_numpy(read_all(paths, channels, size, resize))


def budget() -> int:
    """Return how many bytes this process may take for images: half of what is free, shared with those beside it."""
    return free_memory() // (2 * int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def free_memory() -> int:
    """Return how many bytes are free."""
    return psutil.virtual_memory().available
