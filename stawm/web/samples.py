"""The images that come with a page, to try a model on."""

import math
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
from stawm.training.data.scene_config import SceneConfig
from stawm.training.data.scenes import Scenes, Things

DIGITS = tuple("0123456789")
SCENE = 2
"""How much larger than a digit an image is at least that is a scene."""
ASKED = (
    SceneConfig(),
    SceneConfig(digits=2, target="pair", overlap=False),
    SceneConfig(digits=2, target="sum", overlap=False),
)
"""What scenes ask, by the names of the classes: of one digit, of a pair, or for a sum."""
MOST = 30
"""How many images a page comes with at most."""


def are_digits(config: SharedConfig, files: Sequence[Path]) -> bool:
    """Whether `samples` are the ten digits that come with the package, or scenes that are made of them."""
    return not files and config.image[0] == 1


def samples(config: SharedConfig, files: Sequence[Path]) -> tuple[list[str], UInt8[Tensor, "b c h w"]]:
    """Return images as a model takes them, and a word for each.

    Args:
        config: The model's configuration.
        files: Pictures to show; where there are none, a grey model gets the ten digits that come with the package, or
            scenes that are made of them.

    Raises:
        InputError: A file is no picture.
    """
    channels, height, width = config.image
    resize: Any = getattr(config, "resize", "crop")
    if files:
        chosen = list(files)[:MOST]
        return [path.stem for path in chosen], read_images(chosen, channels, (height, width), resize)[:]
    if not are_digits(config, files):
        return [], torch.zeros(0, channels, height, width, dtype=torch.uint8)
    strip = np.array(Image.open(Path(str(resources.files("stawm"))) / "web" / "digits.png"))
    digits = torch.from_numpy(np.stack(np.split(strip, 10, axis=1)))[:, None]
    if min(height, width) < SCENE * digits.shape[-1]:
        return [str(digit) for digit in range(10)], fit_all(digits, (height, width), "squeeze")
    return _scenes(config, digits[:, 0])


def _scenes(config: SharedConfig, digits: UInt8[Tensor, "10 g g"]) -> tuple[list[str], UInt8[Tensor, "b 1 h w"]]:
    """Return scenes of digits, and what a model should answer to each.

    There is a digit at each place that it can be asked about; else they stand in clutter, as many as its classes
    speak of.
    """
    asked = _in_places(config, digits.shape[-1]) or next(
        (one for one in ASKED if one.answer_names(DIGITS) == config.class_names), ASKED[0]
    )
    made = Scenes(asked, Things(digits, torch.arange(10), 10), config.image[1:], seed=0)
    names = asked.answer_names(DIGITS)
    targets = made.targets.view(len(made), -1).tolist()
    return [" ".join(names[answer] for answer in answers) for answers in targets], made[:]


def _in_places(config: SharedConfig, side: int) -> SceneConfig | None:
    """Return scenes with a digit at each place that a model can be asked about; None where it cannot."""
    head = config.head("recall")
    across = 0 if head is None else math.isqrt(head.cues or 0)
    if head is None or across < 1 or across**2 != head.cues or across * side > min(config.image[1:]):
        return None
    return SceneConfig(digits=across**2, target="places", pieces=0)
