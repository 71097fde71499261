"""Images in folders: reading them all into one tensor, with clear words where one cannot be read."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int, UInt8
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from stawm.errors import InputError

MODES = {1: "L", 3: "RGB"}


def find_parts(root: Path) -> tuple[Path, Path | None]:
    """Return the folder to train on, and the one to test on where there is one."""
    if not root.is_dir():
        raise InputError(f"{root} is no folder. Give a folder with a folder of images for each class.")
    if not (root / "train").is_dir():
        return root, None
    held_out = next((root / name for name in ("test", "val", "valid") if (root / name).is_dir()), None)
    return root / "train", held_out


def read_classes(
    root: Path, channels: int, size: tuple[int, int] | None
) -> tuple[UInt8[Tensor, "count c h w"], Int[Tensor, "count"], tuple[str, ...]]:
    """Read a folder of classes.

    Args:
        root: A folder with one folder of images for each class.
        channels: 1 for grey images, 3 for colour.
        size: Height and width to bring every image to; None where all have the same already.

    Returns:
        The images, their classes, and the classes' names.

    Raises:
        InputError: A folder is empty or has no classes, or an image cannot be read or is of another size.
    """
    from torchvision.datasets import ImageFolder

    try:
        found = ImageFolder(str(root))
    except FileNotFoundError as error:
        raise InputError(
            f"{root} does not hold a folder of images for each class: {error} "
            "Put the images of each class into a folder of its own, and remove empty ones."
        ) from error
    paths, labels = zip(*found.samples, strict=True)
    return read_images([Path(p) for p in paths], channels, size), torch.tensor(labels), tuple(found.classes)


def read_celeba(root: Path, part: str, size: tuple[int, int], download: bool) -> UInt8[Tensor, "count 3 h w"]:
    """Read a part of CelebA through torchvision's own class, cut to the square around the face."""
    from torchvision.datasets import CelebA

    try:
        found = CelebA(str(root), split=part, download=download)
    except (RuntimeError, FileNotFoundError) as error:
        raise InputError(
            f"CelebA cannot be read under {root}: {error} "
            "Give the folder that holds celeba/, or download it (--download)."
        ) from error
    paths = [root / found.base_folder / "img_align_celeba" / str(name) for name in found.filename]
    return read_images(paths, 3, size)


def read_images(paths: list[Path], channels: int, size: tuple[int, int] | None) -> UInt8[Tensor, "count c h w"]:
    """Read images into one tensor.

    Raises:
        InputError: One cannot be read, or is of another size than the first.
    """
    if channels not in MODES:
        raise InputError(f"Images in files have 1 channel (grey) or 3 (colour); {channels} were asked for.")
    first = _read(paths[0], channels, size)
    images = torch.empty(len(paths), *first.shape, dtype=torch.uint8)

    def put(index: int) -> None:
        image = _read(paths[index], channels, size)
        if image.shape != first.shape:
            raise InputError(
                f"{paths[index]} is {_size(image)}, {paths[0]} is {_size(first)}: "
                "bring all images to one size, or let them be resized (--resize)."
            )
        images[index] = image

    with ThreadPoolExecutor() as pool:
        for _ in pool.map(put, range(len(paths))):
            pass
    return images


def _read(path: Path, channels: int, size: tuple[int, int] | None) -> UInt8[Tensor, "c h w"]:
    try:
        with Image.open(path) as file:
            image = file.convert(MODES[channels])
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise InputError(f"{path} cannot be read as an image ({error}): replace or remove it.") from error
    if size is not None and (image.height, image.width) != size:
        image = ImageOps.fit(image, (size[1], size[0]), Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(image))
    return pixels[None] if channels == 1 else pixels.permute(2, 0, 1)


def _size(image: Tensor) -> str:
    return f"{image.shape[2]}x{image.shape[1]} pixels"
