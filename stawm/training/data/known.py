"""Sets that torchvision knows, from their own files: MNIST and its kin, CIFAR-10, CelebA."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor

from stawm.errors import InputError
from stawm.models.resizing import Resize
from stawm.training.data import idx
from stawm.training.data.files import Files, open_images
from stawm.training.data.sets import ImageSet, Splits


def read_mnist(name: str, root: Path, *, download: bool) -> Splits:
    """Read MNIST or FashionMNIST, wherever under a folder its four files lie, packed or not.

    Raises:
        InputError: They are not there, damaged, or do not belong together.
    """
    from torchvision import datasets

    cls = getattr(datasets, name)
    names = [called.partition(" - ")[0] for called in cls.classes]  # MNIST's are "0 - zero", "1 - one", ...
    fetch = (lambda: cls(str(root), download=True)) if download else None
    return idx.load(_found(name, root, name, fetch), names)


def read_emnist(split: str, root: Path, *, download: bool) -> Splits:
    """Read a split of EMNIST (Cohen et al. 2017), upright: its files hold the images column by column.

    Args:
        split: Which: "balanced" has 47 classes of equal size, "letters" 26 that are labelled from 1.
        root: The folder that holds ``EMNIST/raw``, or that or the unpacked archive itself.
        download: Whether torchvision may fetch it.

    Raises:
        InputError: The files are not there, damaged, or do not belong together.
    """
    from torchvision.datasets import EMNIST

    first = 1 if split == "letters" else 0
    names = EMNIST.classes_split_dict[split][first:]  # of letters, torchvision calls class 0 N/A
    fetch = (lambda: EMNIST(str(root), split=split, download=True)) if download else None
    found = _found(f"EMNIST ({split})", root, "EMNIST", fetch, f"emnist-{split}-")
    return idx.load(found, names, first=first, transposed=True)


def read_cifar10(root: Path, *, download: bool) -> Splits:
    """Read CIFAR-10 in its form for Python.

    Raises:
        InputError: Its files are not there, or damaged.
    """
    from torchvision.datasets import CIFAR10

    files = [*CIFAR10.train_list, *CIFAR10.test_list, (CIFAR10.meta["filename"], CIFAR10.meta["md5"])]
    root = root.parent if root.name == CIFAR10.base_folder else root
    try:
        parts = [CIFAR10(str(root), train=train, download=download) for train in (True, False)]
    except Exception as error:  # the network's, pickle's and torchvision's own
        wrong = _not_fetched("CIFAR10", root, error) if download else ""
        raise InputError(wrong or _wrong("CIFAR10", root, CIFAR10.base_folder, files, error)) from error
    return Splits(*map(_from_array, parts))


def read_celeba(
    root: Path,
    part: str,
    size: tuple[int, int],
    *,
    download: bool,
    memory: int | None = None,
    resize: Resize = "crop",
) -> UInt8[Tensor, "count 3 h w"] | Files:
    """Read a part of CelebA, by default cut to the square around the face.

    Raises:
        InputError: Its files are not there, or damaged.
    """
    from torchvision.datasets import CelebA

    root = root.parent if root.name == CelebA.base_folder else root
    try:
        found = CelebA(str(root), split=part, download=download)
    except Exception as error:  # the network's, gdown's and torchvision's own
        listed = [(name, md5) for _, md5, name in CelebA.file_list if not name.endswith((".zip", ".7z"))]
        files: list[tuple[str, str | None]] = [*listed, ("img_align_celeba", None)]
        wrong = _not_fetched("CelebA", root, error) if download else ""
        raise InputError(wrong or _wrong("CelebA", root, CelebA.base_folder, files, error)) from error
    paths = [root / found.base_folder / "img_align_celeba" / str(name) for name in found.filename]
    if not paths:
        raise InputError(f"CelebA under {root} has no images in its part {part}: list_eval_partition.txt is damaged.")
    return open_images(paths, 3, size, memory, resize)


def _found(name: str, root: Path, folder: str, fetch: Callable[[], object] | None, prefix: str = "") -> dict[str, Path]:
    """Return the files of a set, fetched where they are not there and may be."""
    found = idx.find(root, folder, prefix)
    if found is None and fetch is not None:
        try:
            fetch()
        except Exception as error:  # the network's and torchvision's own
            raise InputError(_not_fetched(name, root, error)) from error
        found = idx.find(root, folder, prefix)
    if found is None:
        raise InputError(idx.missing(name, root, folder, prefix))
    return found


def _from_array(dataset: Any) -> ImageSet:
    images = torch.as_tensor(dataset.data).permute(0, 3, 1, 2).contiguous()
    return ImageSet(images, torch.as_tensor(dataset.targets), tuple(dataset.classes))


def _wrong(name: str, root: Path, folder: str, files: Sequence[Sequence[Any]], error: Exception) -> str:
    """Say which of a set's files are missing or damaged, by their hashes; else what torchvision says."""
    from torchvision.datasets.utils import check_integrity

    place = root / folder
    packed = sorted(path.name for path in root.glob("*.tar.gz")) if root.is_dir() else []
    unpack = f"Unpack {packed[0]}, give" if packed else "Give"
    cure = f"{unpack} the folder that holds {folder}/, or {idx.DOWNLOAD}."
    if not place.is_dir():
        return f"{name} is not found under {root}: {place} is not there. {idx.holds(root)} {cure}"
    missing = [file for file, _ in files if not (place / file).exists()]
    if missing:
        return f"{name} is not whole: {place} lacks {', '.join(missing)}. {cure}"
    damaged = [str(place / file) for file, md5 in files if md5 and not check_integrity(str(place / file), md5)]
    if damaged:
        return f"{', '.join(damaged)} is damaged: remove it, and put a whole one there or {idx.DOWNLOAD}."
    return f"{name} cannot be read under {root}: {str(error) or type(error).__name__}. {cure}"


def _not_fetched(name: str, root: Path, error: Exception) -> str:
    return f"{name} cannot be fetched to {root}: {str(error) or type(error).__name__}."
