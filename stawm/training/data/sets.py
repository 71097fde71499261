"""Sets of images with their classes, and the ways to go through them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import torch
from jaxtyping import Bool, Float, Shaped, UInt8
from torch import Tensor

from stawm.errors import InputError
from stawm.heads.base import PLACES, Targets
from stawm.training.data.checks import check_form
from stawm.training.data.fingerprints import fingerprint
from stawm.training.data.streamed import Streamed

Index: TypeAlias = Tensor | slice
"""Which images of a set."""


@runtime_checkable
class Examples(Protocol):
    """What training and measuring go through: inputs of some kind, with their targets."""

    @property
    def labels(self) -> Shaped[Tensor, "count *k"]:
        """The target of each."""
        ...

    def __len__(self) -> int: ...

    def read(self, batches: Sequence[Index]) -> Iterator[tuple[Tensor, Any]]:
        """Go through some of them batch by batch, with their targets."""
        ...


@dataclass(frozen=True)
class ImageSet:
    """Images with what is to be learned of them, for most heads their classes.

    Attributes:
        images: Pixel values, bytes from 0 to 255 or floats in [0, 1]; `Streamed`, which are indexed alike, where they
            do not fit into memory, or are made afresh in every epoch.
        labels: The class of each image, by its number. For heads that learn other targets, k numbers an image: floats
            where values are learned, 0 or 1 where flags are.
        class_names: The name of each class; empty where the classes have none.
        masks: Where the figure is, in a set that knows it.
        source: Which of the sets that `stawm.training.data.load` knows the images are of; empty for one's own.

    Raises:
        InputError: A part is of another type or shape, there are not as many labels as images, or two classes have one
            name. What the numbers are, such as labels out of range, is checked when a set is used, as that
            depends on the model.
    """

    images: UInt8[Tensor, "count c h w"] | Float[Tensor, "count c h w"] | Streamed
    labels: Shaped[Tensor, "count *k"]
    class_names: tuple[str, ...] = ()
    masks: Bool[Tensor, "count 1 h w"] | Streamed | None = None
    source: str = ""

    def __post_init__(self) -> None:
        """Check that the parts belong together."""
        if isinstance(self.class_names, list):
            object.__setattr__(self, "class_names", tuple(self.class_names))
        check_form(self.images, self.labels, self.class_names, self.masks)

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

    def take(self, index: Sequence[int] | Sequence[bool] | Tensor | slice) -> "ImageSet":
        """Return some of the images: by their numbers, by a slice, or by a boolean for each."""
        chosen = index if isinstance(index, slice) else torch.as_tensor(index)
        if isinstance(chosen, Tensor):
            chosen = chosen.nonzero().flatten() if chosen.dtype == torch.bool else chosen.long()
        images, masks = (_taken(held, chosen) for held in (self.images, self.masks))
        return replace(self, images=images, labels=self.labels[chosen], masks=masks)

    @property
    def originals(self) -> int:
        """How many originals the images are made of; most images are their own originals."""
        return self.images.originals if isinstance(self.images, Streamed) else len(self)

    def made_of(self, index: Tensor | slice) -> "ImageSet":
        """Return what comes of some of the originals alone: of most sets the images of these numbers.

        Of scenes it is a set of scenes that hold nothing of any other original.
        """
        held = self.images
        if isinstance(held, Streamed) and held.targets is not None:
            return self._of(held.made_of(index))
        return self.take(index)

    def renewed(self, seed: int, epoch: int) -> "ImageSet":
        """Return the set as it is in an epoch of a run: scenes are made afresh, other images stay as they are."""
        return self._of(self.images.renewed(seed, epoch)) if isinstance(self.images, Streamed) else self

    def as_test(self) -> "ImageSet":
        """Return the set as it is measured on: of scenes one for each thing, of other images all."""
        return self._of(self.images.as_test()) if isinstance(self.images, Streamed) else self

    def _of(self, images: Streamed) -> "ImageSet":
        """Return the set with other images, which bring their targets and masks."""
        if images is self.images:
            return self
        return replace(self, images=images, labels=images.targets, masks=images.masks)

    def read(self, batches: Sequence[Index]) -> Iterator[tuple[Tensor, Tensor]]:
        """Go through some of the images batch by batch, with their targets."""
        held = self.images
        pixels: Iterable[Tensor] = held.stream(batches) if isinstance(held, Streamed) else (held[i] for i in batches)
        return zip(pixels, (self.labels[index] for index in batches), strict=True)

    @property
    def knows_places(self) -> bool:
        """Whether it is known where things are in the images."""
        return isinstance(self.images, Streamed) and self.images.boxes(slice(0, 0)) is not None

    def fingerprint(self) -> str:
        """Return a hash of everything in the set that decides a run.

        It covers count, shape and type of the images, every pixel, the labels, the names of the classes and the masks,
        all in their order; not where the images are held, or where they came from. So it is the same on every machine
        that reads the images alike, and whether they fit into memory or stay on disk.

        It costs a pass through the images: about two seconds for each gigabyte in memory; images on disk are read once,
        as in an epoch.

        Examples:
            >>> from stawm.training import data
            >>> train, test = data.load("digits")
            >>> train.fingerprint() == train.take(range(len(train))).fingerprint() != test.fingerprint()
            True
        """
        return fingerprint(self.images, self.labels, self.class_names, self.masks)


@dataclass(frozen=True)
class Located:
    """Images whose targets say where things are too.

    Attributes:
        images: Images of which it is known.
        heads: The names of the heads that learn the labels.
    """

    images: ImageSet
    heads: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def labels(self) -> Shaped[Tensor, "count *k"]:
        """The label of each image."""
        return self.images.labels

    def renewed(self, seed: int, epoch: int) -> "Located":
        """Return the images as they are in an epoch of a run."""
        return replace(self, images=self.images.renewed(seed, epoch))

    def read(self, batches: Sequence[Index]) -> Iterator[tuple[Tensor, Targets]]:
        """Go through some of the images batch by batch, with labels and boxes by name."""
        held: Any = self.images.images
        for (pixels, labels), index in zip(self.images.read(batches), batches, strict=True):
            yield pixels, {**dict.fromkeys(self.heads, labels), PLACES: held.boxes(index)}


def _taken(held: Tensor | Streamed | None, chosen: Tensor | slice) -> Any:
    return held.select(chosen) if isinstance(held, Streamed) else None if held is None else held[chosen]


class Splits(NamedTuple):
    """What to train on and what to test on."""

    train: ImageSet
    test: ImageSet


def split(images: ImageSet, share: float, seed: int) -> Splits:
    """Hold out a share of a set, drawn by a seed."""
    order = torch.randperm(images.originals, generator=torch.Generator().manual_seed(seed))
    held = int(images.originals * share + 0.9999)
    return Splits(images.made_of(order[held:]), images.made_of(order[:held]).as_test())


def hold_out_last(images: ImageSet, count: int) -> Splits:
    """Hold out the last images of a set, as a validation part to tune on.

    Raises:
        InputError: There are not so many, or none would be left.
    """
    whole = images.originals
    if not 0 < count < whole:
        raise InputError(f"Of {whole:,} images, 1 to {whole - 1:,} can be held out; {count:,} were asked for.")
    kept, held = slice(0, whole - count), slice(whole - count, whole)
    return Splits(images.made_of(kept), images.made_of(held).as_test())


def take_first(images: ImageSet, count: int) -> ImageSet:
    """Return the first images of a set.

    Raises:
        InputError: There are not so many.
    """
    if not 0 < count <= images.originals:
        raise InputError(f"There are {images.originals:,} images to take from; {count:,} were asked for.")
    return images.made_of(slice(0, count))


def batches(images: Examples, size: int) -> Iterator[tuple[Tensor, Any]]:
    """Go through a set once, in order."""
    return images.read([slice(start, start + size) for start in range(0, len(images), size)])


def shuffled_batches(
    images: Examples, size: int, *, seed: int, epoch: int, first: int = 0, rank: int = 0, world: int = 1
) -> Iterator[tuple[Tensor, Any]]:
    """Go through a set once, in an order that the seed and the epoch decide; so are scenes that are made afresh.

    Args:
        images: The set.
        size: Images in a batch, over all processes together.
        seed: The run's seed.
        epoch: Which pass through the set.
        first: The batch to begin with, to go on where a run was broken off.
        rank: Which process this is; each takes its part of every batch.
        world: How many processes there are.
    """
    images = images.renewed(seed, epoch) if isinstance(images, (ImageSet, Located)) else images
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order = torch.randperm(len(images), generator=generator).to(images.labels.device)
    return images.read([batch[rank::world] for batch in order.split(size)[first:]])
