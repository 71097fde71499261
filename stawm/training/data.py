"""Images to train and test on: named sets, each held as one uint8 tensor where training runs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Int, UInt8
from torch import Tensor
from torch.nn import functional as F

from stawm.errors import InputError
from stawm.registry import did_you_mean, nearest
from stawm.training import folders

HELD_OUT = 0.2
"""The share of a set without a test part of its own that is held out for testing."""


@dataclass(frozen=True)
class ImageSet:
    """Images with their classes.

    Attributes:
        images: Pixel values from 0 to 255.
        labels: The class of each image.
        class_names: The name of each class.
    """

    images: UInt8[Tensor, "count c h w"]
    labels: Int[Tensor, "count"]
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        """Count the images."""
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of each image."""
        c, h, w = self.images.shape[1:]
        return c, h, w

    def to(self, device: torch.device | str) -> "ImageSet":
        """Return the set on a device."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))

    def take(self, index: Sequence[int] | Tensor | slice) -> "ImageSet":
        """Return some of the images."""
        chosen = index if isinstance(index, slice) else torch.as_tensor(index, dtype=torch.long)
        return replace(self, images=self.images[chosen], labels=self.labels[chosen])


class Splits(NamedTuple):
    """What to train on and what to test on."""

    train: ImageSet
    test: ImageSet


def load(
    source: str,
    *,
    image: tuple[int, int, int] | None = None,
    resize: bool = False,
    download: bool = False,
    seed: int = 0,
) -> Splits:
    """Load a set by name.

    Args:
        source: ``digits``, or ``mnist:ROOT``, ``fashion-mnist:ROOT``, ``cifar10:ROOT``, ``celeba:ROOT``
            (torchvision's folders under ROOT), or ``folder:PATH`` (a folder a class, inside ``train`` and
            ``test`` folders or not).
        image: Channels, height and width that the images have to have.
        resize: Whether images of another size are brought to it.
        download: Whether torchvision may fetch a set that is not there.
        seed: Decides the test part of a set that has none of its own.

    Raises:
        InputError: There is no such set, or it is not as it has to be; the message names the cure.

    Examples:
        >>> from stawm.training import data
        >>> train, test = data.load("digits")
        >>> len(train), len(test), train.shape
        (1437, 360, (1, 16, 16))
    """
    name, _, root = source.partition(":")
    if name not in SOURCES:
        raise InputError(f"No data set named {name!r}.{did_you_mean(nearest(name, SOURCES))} {_legal()}")
    needs_root = name != "digits"
    if needs_root != bool(root):
        raise InputError(f"{source!r} {'lacks its folder' if needs_root else 'takes no folder'}. {_legal()}")
    request = Request(Path(root).expanduser(), image, resize, download, seed)
    splits = SOURCES[name](request)
    return Splits(*(_fit(part, request, source) for part in splits))


class Request(NamedTuple):
    """What was asked of a loader."""

    root: Path
    image: tuple[int, int, int] | None
    resize: bool
    download: bool
    seed: int


def split(images: ImageSet, share: float, seed: int) -> Splits:
    """Hold out a share of a set, drawn by a seed."""
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    held = int(len(images) * share + 0.9999)
    return Splits(images.take(order[held:]), images.take(order[:held]))


def hold_out_last(images: ImageSet, count: int) -> Splits:
    """Hold out the last images of a set, as a validation part to tune on."""
    return Splits(images.take(slice(0, len(images) - count)), images.take(slice(len(images) - count, None)))


def batches(images: ImageSet, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Go through a set once, in order."""
    for start in range(0, len(images), size):
        yield images.images[start : start + size], images.labels[start : start + size]


def shuffled_batches(
    images: ImageSet, size: int, *, seed: int, epoch: int, first: int = 0, rank: int = 0, world: int = 1
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
    for batch in order.split(size)[first:]:
        mine = batch[rank::world]
        yield images.images[mine], images.labels[mine]


def _digits(request: Request) -> Splits:
    """The 1,797 digits inside scikit-learn, enlarged to 12x12 with two pixels of margin."""
    from sklearn.datasets import load_digits

    raw = load_digits()
    small = torch.as_tensor(raw.images, dtype=torch.float32)[:, None] / 16  # pyright: ignore[reportAttributeAccessIssue]
    large = F.interpolate(small, size=(12, 12), mode="bicubic", align_corners=False).clamp(0, 1)
    images = (F.pad(large, (2, 2, 2, 2)) * 255).round().to(torch.uint8)
    labels = torch.as_tensor(raw.target)  # pyright: ignore[reportAttributeAccessIssue]
    return split(ImageSet(images, labels, tuple("0123456789")), HELD_OUT, request.seed)


def _torchvision(name: str) -> Callable[[Request], Splits]:
    """A set whose torchvision class keeps all images in one array."""

    def read(request: Request) -> Splits:
        from torchvision import datasets

        cls = getattr(datasets, name)
        try:
            parts = [cls(str(request.root), train=train, download=request.download) for train in (True, False)]
        except RuntimeError as error:
            raise InputError(_not_there(name, request.root, error)) from error
        return Splits(*map(_from_arrays, parts))

    return read


def _from_arrays(dataset: Any) -> ImageSet:
    pixels = torch.as_tensor(dataset.data)
    images = pixels[:, None] if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2).contiguous()
    names = tuple(name.partition(" - ")[0] for name in dataset.classes)  # MNIST's are "0 - zero", "1 - one", ...
    return ImageSet(images, torch.as_tensor(dataset.targets), names)


def _not_there(name: str, root: Path, error: Exception) -> str:
    place = "" if root.is_dir() else f" {root} is no folder."
    cure = "Give the folder that holds it, or download it (--download)."
    return f"{name} cannot be read under {root}: {error}{place} {cure}"


def _celeba(request: Request) -> Splits:
    _, h, w = request.image or (3, 64, 64)
    parts = (folders.read_celeba(request.root, part, (h, w), request.download) for part in ("train", "test"))
    return Splits(*(ImageSet(pixels, torch.zeros(len(pixels), dtype=torch.long), ("face",)) for pixels in parts))


def _folder(request: Request) -> Splits:
    channels = request.image[0] if request.image else 3
    size = request.image[1:] if request.image and request.resize else None
    train, test = folders.find_parts(request.root)
    read = ImageSet(*folders.read_classes(train, channels, size))
    if test is None:
        return split(read, HELD_OUT, request.seed)
    held = ImageSet(*folders.read_classes(test, channels, size))
    if held.class_names != read.class_names:
        differing = sorted(set(held.class_names) ^ set(read.class_names))
        raise InputError(f"{train} and {test} hold different classes: {', '.join(differing)} is in one of them only.")
    return Splits(read, held)


def _fit(images: ImageSet, request: Request, source: str) -> ImageSet:
    """Bring images to the wanted form, or say what to change."""
    wanted = request.image
    if wanted is None or images.shape == wanted:
        return images
    if images.shape[0] != wanted[0] or not request.resize:
        have, want = ("x".join(map(str, s)) for s in (images.shape, wanted))
        cure = "" if images.shape[0] != wanted[0] else " bring the images to the model's size (--resize), or"
        raise InputError(
            f"The images of {source} are {have}, the model takes {want}:{cure} build the model with "
            f"image={','.join(map(str, images.shape))}."
        )
    pixels = F.interpolate(images.images.float(), size=wanted[1:], mode="bilinear", antialias=True)
    return replace(images, images=pixels.round().clamp(0, 255).to(torch.uint8))


def _legal() -> str:
    return "Data is given as " + ", ".join(n if n == "digits" else f"{n}:FOLDER" for n in SOURCES) + "."


SOURCES: dict[str, Callable[[Request], Splits]] = {
    "digits": _digits,
    "mnist": _torchvision("MNIST"),
    "fashion-mnist": _torchvision("FashionMNIST"),
    "cifar10": _torchvision("CIFAR10"),
    "celeba": _celeba,
    "folder": _folder,
}
