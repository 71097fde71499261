"""Sets of images with their classes, and the ways to go through them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

import torch
from jaxtyping import Bool, Float, Shaped, UInt8
from torch import Tensor

from stawm.errors import InputError
from stawm.training.data.folders import Files

Index: TypeAlias = Tensor | slice
"""Which images of a set."""


@runtime_checkable
class Examples(Protocol):
    """What training and measuring go through: inputs of some kind, with their classes."""

    @property
    def labels(self) -> Shaped[Tensor, "count *k"]:
        """The class of each."""
        ...

    def __len__(self) -> int: ...

    def read(self, batches: Sequence[Index]) -> Iterator[tuple[Tensor, Tensor]]:
        """Go through some of them batch by batch, with their classes."""
        ...


@dataclass(frozen=True)
class ImageSet:
    """Images with their classes.

    Attributes:
        images: Pixel values, bytes from 0 to 255 or floats in [0, 1]; `Files`, which are indexed alike, where they do
            not fit into memory.
        labels: The class of each image.
        class_names: The name of each class.
        masks: Where the figure is, in a set that knows it.
    """

    images: UInt8[Tensor, "count c h w"] | Float[Tensor, "count c h w"] | Files
    labels: Shaped[Tensor, "count *k"]
    class_names: tuple[str, ...]
    masks: Bool[Tensor, "count 1 h w"] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of each image."""
        c, h, w = self.images.shape[1:]
        return c, h, w

    def to(self, device: torch.device | str) -> "ImageSet":
        """Return the set on a device."""
        masks = None if self.masks is None else self.masks.to(device)
        return replace(self, images=self.images.to(device), labels=self.labels.to(device), masks=masks)

    def take(self, index: Sequence[int] | Tensor | slice) -> "ImageSet":
        """Return some of the images."""
        chosen = index if isinstance(index, slice) else torch.as_tensor(index, dtype=torch.long)
        images = self.images.select(chosen) if isinstance(self.images, Files) else self.images[chosen]
        masks = None if self.masks is None else self.masks[chosen]
        return replace(self, images=images, labels=self.labels[chosen], masks=masks)

    def read(self, batches: Sequence[Index]) -> Iterator[tuple[Tensor, Tensor]]:
        """Go through some of the images batch by batch, with their classes."""
        held = self.images
        pixels: Iterable[Tensor] = held.stream(batches) if isinstance(held, Files) else (held[i] for i in batches)
        return zip(pixels, (self.labels[index] for index in batches), strict=True)


class Splits(NamedTuple):
    """What to train on and what to test on."""

    train: ImageSet
    test: ImageSet


def split(images: ImageSet, share: float, seed: int) -> Splits:
    """Hold out a share of a set, drawn by a seed."""
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    held = int(len(images) * share + 0.9999)
    return Splits(images.take(order[held:]), images.take(order[:held]))


def hold_out_last(images: ImageSet, count: int) -> Splits:
    """Hold out the last images of a set, as a validation part to tune on.

    Raises:
        InputError: There are not so many, or none would be left.
    """
    if not 0 < count < len(images):
        raise InputError(
            f"Of {len(images):,} images, 1 to {len(images) - 1:,} can be held out; {count:,} were asked for."
        )
    return Splits(images.take(slice(0, len(images) - count)), images.take(slice(len(images) - count, None)))


def take_first(images: ImageSet, count: int) -> ImageSet:
    """Return the first images of a set.

    Raises:
        InputError: There are not so many.
    """
    if not 0 < count <= len(images):
        raise InputError(f"There are {len(images):,} images to take from; {count:,} were asked for.")
    return images.take(slice(0, count))


def batches(images: Examples, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Go through a set once, in order."""
    return images.read([slice(start, start + size) for start in range(0, len(images), size)])


def shuffled_batches(
    images: Examples, size: int, *, seed: int, epoch: int, first: int = 0, rank: int = 0, world: int = 1
) -> Iterator[tuple[Tensor, Tensor]]:
    """Go through a set once, in an order that the seed and the epoch decide.

    Args:
        images: The set.
        size: Images in a batch, over all processes together.
        seed: The run's seed.
        epoch: Which pass through the set.
        first: The batch to begin with, to go on where a run was broken off.
        rank: Which process this is; each takes its part of every batch.
        world: How many processes there are.
    """
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order = torch.randperm(len(images), generator=generator).to(images.labels.device)
    return images.read([batch[rank::world] for batch in order.split(size)[first:]])
