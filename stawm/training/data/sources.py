"""Where images to train and test on come from: sets by name, and folders."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, get_args

import torch
from PIL import Image
from torch.nn import functional as F

from stawm.catalog.suggest import did_you_mean, nearest
from stawm.errors import InputError
from stawm.models.resizing import Resize
from stawm.training.data import figure_ground, folders, known, notices
from stawm.training.data.files import open_images
from stawm.training.data.pictures import fit_all, is_coloured, measure
from stawm.training.data.sets import ImageSet, Splits, split

HELD_OUT = 0.2
"""The share of a set without a test part of its own that is held out for testing."""
LOOKED_AT = 20
"""How many pictures of a folder are looked at to see whether they are in colour; the classes take turns."""


def load(
    source: str,
    *,
    image: tuple[int, int, int] | None = None,
    resize: bool | Resize = False,
    download: bool = False,
    seed: int = 0,
    held_out: float = HELD_OUT,
    memory: int | None = None,
) -> Splits:
    """Load a set by name.

    What was taken of a folder and what was left out is said through the logger ``stawm.data``.

    Args:
        source: ``digits``, or ``mnist:ROOT``, ``fashion-mnist:ROOT``, ``emnist:ROOT`` (its balanced split, or
            ``emnist-letters:ROOT`` and so on), ``cifar10:ROOT``, ``celeba:ROOT`` (torchvision's folders under ROOT; of
            MNIST and its kin the files themselves will do, packed or not), or ``folder:PATH`` (a folder a class, inside
            folders called like ``train`` and ``test`` or not), or ``figure-ground:ROOT,PATH`` (MNIST's digits under
            ROOT pasted on patches of the photographs in the folder PATH; where the digit is is known).
        image: Channels, height and width that the images have to have.
        resize: Whether images of another size are brought to it, and how: "crop", which True stands for, cuts the
            largest part of that aspect out of the middle, "squeeze" scales each side by itself.
        download: Whether torchvision may fetch a set that is not there.
        seed: Decides the test part of a set that has none of its own, and how figures are pasted.
        held_out: The share of a folder without a test part that is held out for testing; 1 for all of it, which
            leaves nothing to train on.
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
    rule = "crop" if resize is True else resize or None
    if rule not in (None, *get_args(Resize)):
        raise InputError(f"resize is True, False, 'crop' or 'squeeze'; got {resize!r}.")
    if not 0 < held_out <= 1:
        raise InputError(f"The share that is held out is above 0 and at most 1; got {held_out}.")
    request = Request(source, Path(root).expanduser(), image, rule, download, seed, held_out, memory)
    return Splits(*(_fit(part, request) for part in SOURCES[name](request)))


class Request(NamedTuple):
    """What was asked of a loader; a height and width of 0 are any."""

    source: str
    root: Path
    image: tuple[int, int, int] | None
    resize: Resize | None
    download: bool
    seed: int
    held_out: float
    memory: int | None


def _digits(request: Request) -> Splits:
    """The 1,797 digits inside scikit-learn, enlarged to 12x12 with two pixels of margin."""
    from sklearn.datasets import load_digits

    raw = load_digits()
    small = torch.as_tensor(raw.images, dtype=torch.float32)[:, None] / 16  # pyright: ignore[reportAttributeAccessIssue]
    large = F.interpolate(small, size=(12, 12), mode="bicubic", align_corners=False).clamp(0, 1)
    images = (F.pad(large, (2, 2, 2, 2)) * 255).round().to(torch.uint8)
    labels = torch.as_tensor(raw.target)  # pyright: ignore[reportAttributeAccessIssue]
    return _hold_out(ImageSet(images, labels, tuple("0123456789")), request)


def _mnist(name: str) -> Callable[[Request], Splits]:
    return lambda request: known.read_mnist(name, request.root, download=request.download)


def _emnist(part: str) -> Callable[[Request], Splits]:
    return lambda request: known.read_emnist(part, request.root, download=request.download)


def _cifar10(request: Request) -> Splits:
    return known.read_cifar10(request.root, download=request.download)


def _celeba(request: Request) -> Splits:
    _, h, w = request.image or (3, 64, 64)
    how: dict[str, Any] = {"download": request.download, "memory": request.memory, "resize": request.resize or "crop"}

    def part(name: str) -> ImageSet:
        images = known.read_celeba(request.root, name, (h, w), **how)
        return ImageSet(images, torch.zeros(len(images), dtype=torch.long), ("face",))

    return Splits(part("train"), part("test"))


def _folder(request: Request) -> Splits:
    """A folder of classes, or of parts that are; without a part to test on, some of it is held out."""
    parts = folders.find_parts(request.root)
    listed = folders.list_classes(parts.train)
    tested = None if parts.test is None else folders.list_classes(parts.test)
    if tested is not None and tested.names != listed.names:
        differing = ", ".join(sorted(set(tested.names) ^ set(listed.names)))
        one = f"{parts.train} and {parts.test} hold different classes: {differing} is in one of them only."
        raise InputError(one)
    _check_form(request, listed)
    train = _read_listing(listed, request)
    splits = _hold_out(train, request) if tested is None else Splits(train, _read_listing(tested, request))
    _say(request, parts, [listed, *([] if tested is None else [tested])], splits)
    return splits


def _hold_out(images: ImageSet, request: Request) -> Splits:
    """Hold out a share of a set without a test part."""
    if request.held_out == 1:
        return Splits(images.take(slice(0, 0)), images)
    splits = split(images, request.held_out, request.seed)
    if not len(splits.train):
        raise InputError(
            f"{request.source} holds {len(images):,} image{'s' * (len(images) != 1)}, too few to hold some out: "
            "add images, or a test folder, or hold out all of them (--held-out 1)."
        )
    return splits


def _read_listing(listed: folders.Listing, request: Request) -> ImageSet:
    channels = request.image[0] if request.image else 3
    size = request.image[1:] if request.image and request.resize else None
    images = open_images(listed.paths, channels, size, request.memory, request.resize or "crop")
    return ImageSet(images, listed.labels, listed.names)


def _check_form(request: Request, listed: folders.Listing) -> None:
    """Where a folder's pictures have to be of a form and are not, say so of their files, not of what was read."""
    wanted = request.image
    if wanted is None or wanted[0] != 1 or not any(map(is_coloured, listed.paths[:LOOKED_AT])):
        return
    height, width = measure(listed.paths[0])
    if wanted[1:] not in ((0, 0), (height, width)) and not request.resize:
        raise InputError(_other_form(request, (3, height, width), f", or with image=1,{height},{width}, in grey"))
    notices.warn(f"The images under {request.root} are in colour; the model takes 1 channel, so they are read in grey.")


def _say(request: Request, parts: folders.Parts, listings: Sequence[folders.Listing], splits: Splits) -> None:
    """Say what was taken of a folder, what is held out of it, and what was left out."""
    root, source = request.root, folders.shown(request.source)
    train, test = (f"{len(part):,}" for part in splits)
    counts = " and ".join(folders.describe_counts(listed.counts) for listed in listings)
    notices.tell(f"{source}: {train} images to train on, {test} to test on; {counts}.")
    if parts.test is None:
        what = "all of it" if request.held_out == 1 else f"a random {request.held_out:.0%}"
        notices.warn(
            f"{source} has no test part: {what} ({test} of {len(listings[0].paths):,} images, drawn by seed "
            f"{request.seed}) is held out to test on. Add a folder test, or choose the share (--held-out; 1 is all)."
        )
    left = folders.describe_left([*parts.left, *(path for listed in listings for path in listed.left)], root)
    if left:
        notices.warn(f"Left out of {source}: {left}.")
    inside = [path for listed in listings for path in listed.inside]
    if inside:
        notices.warn(f"In {source}, {folders.describe_inside(inside, root)}.")


def _figure_ground(request: Request) -> Splits:
    """MNIST's digits on patches of photographs, training digits on training photographs."""
    digits_root, _, patches_root = str(request.root).partition(",")
    if not patches_root:
        raise InputError(f"figure-ground:{request.root} names one folder of two: figure-ground:MNIST_ROOT,PHOTOGRAPHS.")
    digits = SOURCES["mnist"](request._replace(root=Path(digits_root).expanduser()))
    channels = request.image[0] if request.image else 3
    any_size = {"image": (channels, 0, 0), "resize": None, "held_out": HELD_OUT}
    photographs = request._replace(root=Path(patches_root).expanduser(), **any_size)
    pairs = zip(digits, _folder(photographs), (2 * request.seed, 2 * request.seed + 1), strict=True)
    return Splits(*(_pasted(figures, ground, request, seed) for figures, ground, seed in pairs))


def _pasted(digits: ImageSet, ground: ImageSet, request: Request, seed: int) -> ImageSet:
    photographs = ground.images[:]
    size = figure_ground.fitting_size(digits.shape[1:], photographs.shape[2:], request.image and request.image[1:])
    pixels, masks = figure_ground.paste(digits.images[:], photographs, size, seed)
    return ImageSet(pixels, digits.labels, digits.class_names, masks)


def _fit(images: ImageSet, request: Request) -> ImageSet:
    """Bring images to the wanted form, or say what to change."""
    wanted = request.image
    if wanted is None or images.shape == wanted or not len(images):
        return images
    if images.shape[0] != wanted[0] or request.resize is None:
        raise InputError(_other_form(request, images.shape))
    pixels = fit_all(images.images[:], wanted[1:], request.resize)
    resampling = Image.Resampling.NEAREST
    masks = images.masks
    if masks is not None:
        masks = fit_all(masks.to(torch.uint8), wanted[1:], request.resize, resampling).bool()
    return replace(images, images=pixels, masks=masks)


def _other_form(request: Request, have: Sequence[int], more: str = "") -> str:
    assert request.image is not None
    given, wanted = ("x".join(map(str, form)) for form in (have, request.image))
    same = have[0] == request.image[0] or more
    cure = " bring the images to the model's size (--resize), or" if same else ""
    build = f"build the model with image={','.join(map(str, have))}{more}."
    return f"The images of {folders.shown(request.source)} are {given}, the model takes {wanted}:{cure} {build}"


def _legal() -> str:
    forms = {"digits": "digits", "figure-ground": "figure-ground:FOLDER,FOLDER"}
    return "Data is given as " + ", ".join(forms.get(name, f"{name}:FOLDER") for name in SOURCES) + "."


SOURCES: dict[str, Callable[[Request], Splits]] = {
    "digits": _digits,
    "mnist": _mnist("MNIST"),
    "fashion-mnist": _mnist("FashionMNIST"),
    "emnist": _emnist("balanced"),
    **{f"emnist-{part}": _emnist(part) for part in known.EMNIST_SPLITS},
    "cifar10": _cifar10,
    "celeba": _celeba,
    "folder": _folder,
    "figure-ground": _figure_ground,
}
