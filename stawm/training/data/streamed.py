"""Images that are not held in memory: indexed like the tensor that they would make, and read or made when asked for."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

Index: TypeAlias = Sequence[int] | Tensor | slice
"""Which images, by their numbers or by a slice."""
CHUNK = 128
"""Images that are read together where all are gone through, few as some may be large."""


class Streamed(ABC):
    """Images by their numbers, of which only those that are asked for exist.

    Attributes:
        device: Where what is asked for goes.
    """

    device: torch.device

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int, int]:
        """Count, channels, height and width: the shape that the tensor would have."""

    @abstractmethod
    def to(self, device: torch.device | str) -> "Streamed":
        """Return the images as to be read for a device."""

    @abstractmethod
    def select(self, index: Index) -> "Streamed":
        """Return some of the images, without reading them."""

    @abstractmethod
    def stream(self, batches: Iterable[Index]) -> Iterator[Tensor]:
        """Read batch after batch."""

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Index) -> Tensor:
        return next(self.stream([index]))

    def content(self) -> Iterator[Tensor]:
        """Go through all that decides the images, as tensors: their pixels, or what they are made of."""
        return self.stream(slice(start, start + CHUNK) for start in range(0, len(self), CHUNK))

    def made_of(self, index: Index) -> "Streamed":
        """Return the images that come of some originals alone; most images are their own originals."""
        return self.select(index)

    def renewed(self, seed: int, epoch: int) -> "Streamed":
        """Return the images as they are in an epoch of a run; most stay as they are."""
        return self

    def as_test(self) -> "Streamed":
        """Return the images as they are measured on; most stay as they are."""
        return self

    def renumbered(self, numbers: Sequence[int]) -> "Streamed":
        """Return the images with targets of their own, if they have any, in another numbering of the classes."""
        return self

    @property
    def originals(self) -> int:
        """How many originals the images are made of."""
        return len(self)

    @property
    def targets(self) -> Tensor | None:
        """The target of each image, where the images decide it; None where targets are kept beside them."""
        return None

    def boxes(self, index: Index) -> Tensor | None:
        """Return left, top, right and bottom of each thing in some images, in pixels; None where it is not known."""
        return None

    @property
    def masks(self) -> Any:
        """Where the figures are, indexed alike; None where it is not known."""
        return None
