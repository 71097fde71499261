"""The images that come with a page, to try a model on."""

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from stawm.models.config import SharedConfig
from stawm.training.data.files import read_images
from stawm.training.data.pictures import fit_all

MOST = 30
"""How many images a page comes with at most."""


def samples(config: SharedConfig, files: Sequence[Path]) -> tuple[list[str], UInt8[Tensor, "b c h w"]]:
    """Return images as a model takes them, and a word for each.

    Args:
        config: The model's configuration.
        files: Pictures to show; where there are none, a grey model gets the ten digits that come with the package.

    Raises:
        InputError: A file is no picture.
    """
    channels, height, width = config.image
    resize: Any = getattr(config, "resize", "crop")
    if files:
        chosen = list(files)[:MOST]
        return [path.stem for path in chosen], read_images(chosen, channels, (height, width), resize)[:]
    if channels != 1:
        return [], torch.zeros(0, channels, height, width, dtype=torch.uint8)
    strip = np.array(Image.open(Path(str(resources.files("stawm"))) / "web" / "digits.png"))
    digits = torch.from_numpy(np.stack(np.split(strip, 10, axis=1)))[:, None]
    return [str(digit) for digit in range(10)], fit_all(digits, (height, width), "squeeze")
