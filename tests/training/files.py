"""Data sets on disk, as small as they can be."""

import struct
from pathlib import Path

import numpy as np
from PIL import Image


def make_folder(root: Path, classes: dict[str, int], size: tuple[int, int] = (6, 5)) -> dict[Path, np.ndarray]:
    """Write random colour images, and return their pixels by path."""
    rng, written = np.random.default_rng(0), {}
    for name, count in classes.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i}.png")
            written[root / name / f"{i}.png"] = pixels
    return written


def make_idx(path: Path, array: np.ndarray) -> None:
    """Write an array of bytes in MNIST's own form."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())
