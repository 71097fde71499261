"""TIFF files as people have them, and as nobody wants them."""

from pathlib import Path
from typing import Any

import numpy as np
import tifffile

TILE = (64, 64)


def halved(image: np.ndarray) -> np.ndarray:
    """The mean of each 2x2 pixels, rounded to bytes; of an odd last row or column, of what is there."""
    height, width = image.shape[:2]
    wide = np.pad(image.astype(float), [(0, height % 2), (0, width % 2), *[(0, 0)] * (image.ndim - 2)], mode="edge")
    return np.round((wide[::2, ::2] + wide[1::2, ::2] + wide[::2, 1::2] + wide[1::2, 1::2]) / 4).astype(np.uint8)


def write_pyramid(path: Path, image: np.ndarray, *, levels: int = 2, **options: Any) -> list[np.ndarray]:
    """Write a tiled TIFF with smaller levels; returns all of them."""
    written = [image]
    for _ in range(levels):
        written.append(halved(written[-1]))
    options = {"tile": TILE, "photometric": "rgb" if image.ndim == 3 else "minisblack", "compression": "zlib"} | options
    with tifffile.TiffWriter(path) as file:
        for level in written:
            first = level is image
            file.write(level, subifds=levels if first else None, subfiletype=0 if first else 1, **options)
    return written
