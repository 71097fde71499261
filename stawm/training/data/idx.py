"""Images and labels in MNIST's own form of files, idx, under the names that they are found by, packed or not.

The form is that of http://yann.lecun.com/exdb/mnist: 2 zero bytes, the type of the numbers (8 for bytes), the number
of axes, the length of each axis as a big-endian integer, then the numbers.
"""

import gzip
import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from stawm.errors import InputError
from stawm.training.data.folders import shown
from stawm.training.data.sets import ImageSet, Splits

HEAD = b"\0\0\x08"
PACKED = b"\x1f\x8b"
MOST = 2**31
"""More bytes than any set of this form has; a header that tells of more is damaged."""
DOWNLOAD = "download it (--download on the command line, download=True in Python)"
KIN = frozenset(("MNIST", "FashionMNIST", "KMNIST", "QMNIST"))
"""The folders of sets whose files have the same names: what lies in another set's is not taken."""
LISTED = 8
"""How many names of what is there are listed."""


def find(root: Path, folder: str, prefix: str = "") -> dict[str, Path] | None:
    """Return the four files of a set by what they hold, or None where they are not all there.

    Looked for are ``train-images-idx3-ubyte`` and its three companions, also with a dot (``.idx3-ubyte``) and packed
    (``.gz``): in ``root/folder/raw``, where torchvision puts them, in the folders above it, and in ``root`` itself, so
    that ``root`` may also be one of those.

    Args:
        root: The folder that was given.
        folder: What torchvision calls the set's folder.
        prefix: What the files' names begin with, before ``train`` or ``test``; of MNIST the test part is ``t10k``.
    """
    stems = _stems(prefix)
    for place in _places(root, folder):
        found = {key: next(_there(place, stem), None) for key, stem in stems.items()}
        if all(found.values()):
            return {key: path for key, path in found.items() if path is not None}
    return None


def missing(name: str, root: Path, folder: str, prefix: str = "") -> str:
    """Say what was looked for, and what is there instead."""
    stems = _stems(prefix)
    places = [place for place in _places(root, folder) if place.is_dir()]
    best = max(places, key=lambda place: sum(any(_there(place, s)) for s in stems.values()), default=root)
    lacking = [stem for stem in stems.values() if not any(_there(best, stem))]
    looked = f"{', '.join(lacking)} (or .gz, or .idx3-ubyte) is not in {best}"
    return f"{name} is not found under {root}: {looked}. {holds(best)} Give the folder that holds it, or {DOWNLOAD}."


def holds(folder: Path) -> str:
    """Say what a folder holds."""
    if not folder.is_dir():
        return f"{folder} is not a directory."
    names = sorted(shown(path.name) + "/" * path.is_dir() for path in folder.iterdir())
    listed = ", ".join([*names[:LISTED], "..."] if len(names) > LISTED else names)
    return f"There is: {listed}." if names else "It is empty."


def load(files: dict[str, Path], class_names: Sequence[str], *, first: int = 0, transposed: bool = False) -> Splits:
    """Read both parts of a set.

    Args:
        files: What `find` gives.
        class_names: The names of the classes, in the order of the labels.
        first: The label of the first class.
        transposed: Whether the images are stored column by column, as EMNIST's are.

    Raises:
        InputError: A file is damaged, or images and labels do not belong together; the files are named.
    """
    parts = []
    for part in ("train", "test"):
        of_images, of_labels = files[f"{part} images"], files[f"{part} labels"]
        images, labels = read(of_images, 3), read(of_labels, 1).long() - first
        if len(images) != len(labels):
            raise InputError(
                f"{of_images} holds {len(images):,} images, {of_labels} {len(labels):,} labels: they do not belong "
                f"together. Remove both, and put the right ones there or {DOWNLOAD}."
            )
        if len(labels) == 0 or not 0 <= labels.min() <= labels.max() < len(class_names):
            given = f"from {labels.min() + first} to {labels.max() + first}" if len(labels) else "for no image"
            raise InputError(
                f"{of_labels} holds labels {given}; of this set they are from {first} to "
                f"{first + len(class_names) - 1}: it is another set's."
            )
        pixels = images.transpose(1, 2).contiguous() if transposed else images
        parts.append(ImageSet(pixels[:, None], labels, tuple(class_names)))
    return Splits(*parts)


def read(path: Path, axes: int) -> UInt8[Tensor, "..."]:
    """Read a file of bytes, packed or not, whatever its name says.

    Args:
        path: The file.
        axes: How many axes there have to be: 3 of images, 1 of labels.

    Raises:
        InputError: It is damaged, or holds something else.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == PACKED
            raw.seek(0)
            with gzip.open(raw) if packed else raw as file:
                head = file.read(4)
                if head[:3] != HEAD or head[3] != axes:
                    raise ValueError("its header is of another form")
                shape = struct.unpack(f">{axes}I", file.read(4 * axes))
                count = min(math.prod(shape), MOST)
                data = file.read(count + 1)
    except (OSError, EOFError, ValueError, LookupError, struct.error, zlib.error) as error:
        raise _damaged(path, str(error)) from error
    if len(data) != math.prod(shape):
        has = f"more than {count:,}" if len(data) > count else f"{len(data):,}"
        raise _damaged(path, f"its header tells of {math.prod(shape):,} bytes, it has {has}")
    return torch.frombuffer(bytearray(data), dtype=torch.uint8).view(shape) if data else torch.empty(shape).byte()


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(f"{path} is damaged: remove it, and put a whole one there or {DOWNLOAD} ({reason}).")


def _stems(prefix: str) -> dict[str, str]:
    test = f"{prefix}test" if prefix else "t10k"
    return {
        f"{part} {what}": f"{stem}-{what}-idx{axes}-ubyte"
        for part, stem in (("train", f"{prefix}train"), ("test", test))
        for what, axes in (("images", 3), ("labels", 1))
    }


def _places(root: Path, folder: str) -> list[Path]:
    whole = root / folder
    inside = [whole / "raw", whole, whole / "gzip"]
    return inside if {root.name, root.parent.name} & (KIN - {folder}) else [*inside, root / "raw", root / "gzip", root]


def _there(place: Path, stem: str) -> Iterator[Path]:
    """The files of a name in a folder; some archives unpack each into a folder of its own name."""
    dotted = stem.replace("-idx", ".idx")
    for name in (stem, dotted, f"{stem}.gz", f"{dotted}.gz"):
        yield from (path for path in (place / name, place / name / name) if path.is_file())
