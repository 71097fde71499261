"""The data set ``clutter``: things, pieces and ground are read, and scenes made of them."""

from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor

from stawm.errors import InputError
from stawm.training.data import sources
from stawm.training.data.augment import GREY
from stawm.training.data.base import Request, Source
from stawm.training.data.scene_config import SceneConfig
from stawm.training.data.scenes import Scenes, Things
from stawm.training.data.sets import ImageSet, Splits
from stawm.training.data.streamed import Streamed

USUAL = 100
"""The side of a scene in pixels where nothing says it."""
PHOTOGRAPHS = "photographs"
LEARNED = 0.7
"""The left share of each of scikit-learn's photographs, which is for training; the rest is for testing."""


class Clutter(Source):
    """Scenes of things among pieces of others: made on the device where they are used, afresh in every epoch.

    Test scenes are made of test things, on test ground, and are the same for every run.
    """

    Config = SceneConfig
    takes_folder = False

    def load(self, request: Request) -> Splits:
        """Read things and ground; scenes are made later."""
        config, size = self.config, self._size(request)
        splits = sources.load(self._spelled_things(), download=request.download, seed=request.seed)
        names = splits.train.class_names
        if config.target == "sum" and names != tuple(map(str, range(len(names)))):
            raise InputError(
                f"Only digits can be added up, and {config.things} has other classes: take another target."
            )
        grounds = self._grounds(request, size)
        train, test = (
            _scenes(config, part, ground, size, request.seed, f"{config.things} {what}")
            for part, ground, what in zip(splits, grounds, ("to train on", "to test on"), strict=True)
        )
        return Splits(train, test.as_test())

    def channels(self) -> int | None:
        """Return 1 on black; on photographs what these have."""
        if self.config.ground is None:
            return 1
        return 3 if self.config.ground == PHOTOGRAPHS else sources.channels_of(self.config.ground)

    def _spelled_things(self) -> str:
        return f"{self.config.things}:{self.config.root}" if self.config.root else self.config.things

    def _size(self, request: Request) -> tuple[int, int]:
        if self.config.size is not None:
            return self.config.size, self.config.size
        _, h, w = request.image or (1, 0, 0)
        return (h or USUAL), (w or USUAL)

    def _grounds(self, request: Request, size: tuple[int, int]) -> tuple[Tensor | None, Tensor | None]:
        """Return the photographs for training and for testing."""
        if self.config.ground is None:
            return None, None
        channels = request.image[0] if request.image else 3
        if self.config.ground == PHOTOGRAPHS:
            found = scikit_photographs()
        else:
            lent = sources.load(self.config.ground, download=request.download, seed=request.seed)
            found = (lent.train.images[:], lent.test.images[:])
        for photographs in found:
            if photographs.shape[-2] < size[0] or photographs.shape[-1] < size[1]:
                have, need = (f"{form[1]}x{form[0]}" for form in (photographs.shape[-2:], size))
                raise InputError(
                    f"The photographs of {self.config.ground} have {have} pixels, and scenes of {need} do not fit: "
                    "give larger ones, or make scenes smaller (size)."
                )
        return with_channels(found[0], channels), with_channels(found[1], channels)


def _scenes(
    config: SceneConfig, things: ImageSet, ground: Tensor | None, size: tuple[int, int], seed: int, what: str
) -> ImageSet:
    images: Any = things.images
    if isinstance(images, Streamed) or images.dtype != torch.uint8 or things.shape[0] != 1 or things.labels.ndim != 1:
        raise InputError(f"Scenes are made of grey images in memory, each of one class, and {what} are others.")
    _check_sizes(config, things, size, what)
    held = Things(images[:, 0].contiguous(), things.labels.long(), len(things.class_names), ground)
    scenes = Scenes(config, held, size, seed)
    return ImageSet(scenes, scenes.targets, config.answer_names(things.class_names), scenes.masks)


def _check_sizes(config: SceneConfig, things: ImageSet, size: tuple[int, int], what: str) -> None:
    """Raise an InputError unless everything fits into a scene."""
    _, side, width = things.shape
    largest = side if config.digit_size is None else config.digit_size[1]
    across = round(config.digits**0.5) if config.target == "places" else 1
    room = min(size) // across
    rules = {
        f"images must be square, and {what} are {width}x{side}": side == width,
        f"things of {largest} pixels do not fit into {room}: raise size, or lower digit_size": largest <= room,
        f"pieces of {config.piece_size} pixels do not fit into scenes of {min(size)} or images of {side}: lower "
        "piece_size": config.pieces == 0 or config.piece_size <= min(side, *size),
        f"there must be more {what} than a scene holds, {config.digits}, and there are {len(things)}": len(things)
        > config.digits,
    }
    for words, holds in rules.items():
        if not holds:
            raise InputError(f"Scenes cannot be made: {words}.")


def scikit_photographs() -> tuple[UInt8[Tensor, "2 3 427 w"], UInt8[Tensor, "2 3 427 w2"]]:
    """Return the two photographs that come with scikit-learn: their left parts, and their right ones."""
    from sklearn.datasets import load_sample_images

    found: Any = load_sample_images()
    whole = torch.stack([torch.from_numpy(each.copy()) for each in found.images]).movedim(-1, 1).contiguous()
    edge = int(LEARNED * whole.shape[-1])
    return whole[..., :edge].contiguous(), whole[..., edge:].contiguous()


def with_channels(pixels: UInt8[Tensor, "n c h w"], channels: int) -> UInt8[Tensor, "n c2 h w"]:
    """Return pictures in grey or in colour."""
    if pixels.shape[1] == channels:
        return pixels
    if channels == 1:
        weights = torch.tensor(GREY, device=pixels.device).view(1, 3, 1, 1)
        return (pixels.float() * weights).sum(dim=1, keepdim=True).round().to(torch.uint8)
    return pixels.expand(-1, channels, -1, -1).contiguous()
