"""Where images to train and test on come from: sets by name, and folders."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.nn import functional as F

from stawm.catalog.suggest import did_you_mean, nearest
from stawm.errors import InputError
from stawm.training.data import figure_ground, folders
from stawm.training.data.sets import ImageSet, Splits, split

HELD_OUT = 0.2
"""The share of a set without a test part of its own that is held out for testing."""


def load(
    source: str,
    *,
    image: tuple[int, int, int] | None = None,
    resize: bool = False,
    download: bool = False,
    seed: int = 0,
    memory: int | None = None,
) -> Splits:
    """Load a set by name.

    Args:
        source: ``digits``, or ``mnist:ROOT``, ``fashion-mnist:ROOT``, ``cifar10:ROOT``, ``celeba:ROOT``
            (torchvision's folders under ROOT), or ``folder:PATH`` (a folder a class, inside ``train`` and
            ``test`` or ``val`` folders or not), or ``figure-ground:ROOT,PATH`` (MNIST's digits under ROOT pasted
            on patches of the photographs in the folder PATH; where the digit is is known).
        image: Channels, height and width that the images have to have.
        resize: Whether images of another size are brought to it.
        download: Whether torchvision may fetch a set that is not there.
        seed: Decides the test part of a set that has none of its own, and how figures are pasted.
        memory: How many bytes the images of a folder may take; more stay on disk and are read batch by batch.
            Half of what is free where left out.

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
    request = Request(Path(root).expanduser(), image, resize, download, seed, memory)
    splits = SOURCES[name](request)
    return Splits(*(replace(_fit(part, request, source), source=name) for part in splits))


class Request(NamedTuple):
    """What was asked of a loader."""

    root: Path
    image: tuple[int, int, int] | None
    resize: bool
    download: bool
    seed: int
    memory: int | None


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
        except (RuntimeError, ValueError, AssertionError, TypeError, OSError, EOFError) as error:
            raise InputError(_not_there(name, request.root, error)) from error
        return Splits(*map(_from_arrays, parts))

    return read


def _from_arrays(dataset: Any) -> ImageSet:
    pixels = torch.as_tensor(dataset.data)
    images = pixels[:, None] if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2).contiguous()
    names = tuple(name.partition(" - ")[0] for name in dataset.classes)  # MNIST's are "0 - zero", "1 - one", ...
    return ImageSet(images, torch.as_tensor(dataset.targets), names)


def _not_there(name: str, root: Path, error: Exception) -> str:
    damaged = folders.damaged_idx(root / name / "raw")
    if damaged is not None:
        return f"{damaged} is damaged: remove it, and put a whole one there or download it (--download)."
    place = "" if root.is_dir() else f" {root} is not a directory."
    cure = "Give the folder that holds it, or download it (--download)."
    return f"{name} cannot be read under {root}: {error}{place} {cure}"


def _celeba(request: Request) -> Splits:
    _, h, w = request.image or (3, 64, 64)

    def part(name: str) -> ImageSet:
        images = folders.read_celeba(request.root, name, (h, w), request.download, request.memory)
        return ImageSet(images, torch.zeros(len(images), dtype=torch.long), ("face",))

    return Splits(part("train"), part("test"))


def _folder(request: Request) -> Splits:
    channels = request.image[0] if request.image else 3
    size = request.image[1:] if request.image and request.resize else None
    train, test = folders.find_parts(request.root)
    read = ImageSet(*folders.read_classes(train, channels, size, request.memory))
    if test is None:
        if len(read) < 2:
            raise InputError(f"{train} holds one image, too few to hold some out: add images, or a test folder.")
        return split(read, HELD_OUT, request.seed)
    held = ImageSet(*folders.read_classes(test, channels, size, request.memory))
    if held.class_names != read.class_names:
        differing = sorted(set(held.class_names) ^ set(read.class_names))
        raise InputError(f"{train} and {test} hold different classes: {', '.join(differing)} is in one of them only.")
    return Splits(read, held)


def _figure_ground(request: Request) -> Splits:
    """MNIST's digits on patches of photographs, training digits on training photographs."""
    digits_root, _, patches_root = str(request.root).partition(",")
    if not patches_root:
        raise InputError(f"figure-ground:{request.root} names one folder of two: figure-ground:MNIST_ROOT,PHOTOGRAPHS.")
    digits = SOURCES["mnist"](request._replace(root=Path(digits_root)))
    channels = request.image[0] if request.image else 3
    photographs = request._replace(root=Path(patches_root).expanduser(), image=(channels, 0, 0), resize=False)
    pairs = zip(digits, _folder(photographs), (2 * request.seed, 2 * request.seed + 1), strict=True)
    return Splits(*(_pasted(figures, ground, request, seed) for figures, ground, seed in pairs))


def _pasted(digits: ImageSet, ground: ImageSet, request: Request, seed: int) -> ImageSet:
    photographs = ground.images[:]
    size = figure_ground.fitting_size(digits.shape[1:], photographs.shape[2:], request.image and request.image[1:])
    pixels, masks = figure_ground.paste(digits.images[:], photographs, size, seed)
    return ImageSet(pixels, digits.labels, digits.class_names, masks)


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
    pixels = F.interpolate(images.images[:].float(), size=wanted[1:], mode="bilinear", antialias=True)
    masks = None if images.masks is None else F.interpolate(images.masks.float(), size=wanted[1:]) > 0.5
    return replace(images, images=pixels.round().clamp(0, 255).to(torch.uint8), masks=masks)


def _legal() -> str:
    forms = {"digits": "digits", "figure-ground": "figure-ground:FOLDER,FOLDER"}
    return "Data is given as " + ", ".join(forms.get(name, f"{name}:FOLDER") for name in SOURCES) + "."


SOURCES: dict[str, Callable[[Request], Splits]] = {
    "digits": _digits,
    "mnist": _torchvision("MNIST"),
    "fashion-mnist": _torchvision("FashionMNIST"),
    "cifar10": _torchvision("CIFAR10"),
    "celeba": _celeba,
    "folder": _folder,
    "figure-ground": _figure_ground,
}
