"""Digits pasted on patches of photographs: images of which it is known what is figure and what is ground."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from stawm.configuration import FRACTION
from stawm.configuration import Config as BaseConfig
from stawm.errors import InputError
from stawm.training.data.base import Request, Source
from stawm.training.data.folder_set import Folder
from stawm.training.data.known_sets import Mnist
from stawm.training.data.sets import ImageSet, Splits
from stawm.training.data.torch_datasets import HELD_OUT

CHUNK = 4096
"""Images that are made at a time."""
CONTRAST = 64
"""By how many of the 256 steps each channel of a digit differs from the patch's mean at least."""


class FigureGround(Source):
    """MNIST's digits on patches of photographs, training digits on training photographs, each pasted once."""

    folders = ("root", "photographs")

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Configuration of digits on photographs."""

        name: str = "figure-ground"
        root: str = ""
        """MNIST's folder."""
        photographs: str = ""
        """A folder of photographs, in folders of classes as any; what the classes are does not matter."""
        contrast: Annotated[float, FRACTION] = 1.0
        """How much of its contrast a photograph keeps: 1 is all, 0 leaves one colour, the patch's mean."""

    def load(self, request: Request) -> Splits:
        """Paste the digits."""
        if not self.config.photographs:
            one = f"{request.source} names one folder of two: figure-ground:MNIST_ROOT,PHOTOGRAPHS."
            raise InputError(one)
        digits = Mnist(Mnist.Config(root=self.config.root)).load(request)
        channels = request.image[0] if request.image else 3
        of_any_size = request._replace(
            source=f"folder:{self.config.photographs}", image=(channels, 0, 0), resize=None, held_out=HELD_OUT
        )
        photographs = Folder(Folder.Config(root=self.config.photographs)).load(of_any_size)
        pairs = zip(digits, photographs, (2 * request.seed, 2 * request.seed + 1), strict=True)
        return Splits(*(self._pasted(figures, ground, request, seed) for figures, ground, seed in pairs))

    def _pasted(self, digits: ImageSet, ground: ImageSet, request: Request, seed: int) -> ImageSet:
        photographs = ground.images[:]
        size = fitting_size(digits.shape[1:], photographs.shape[2:], request.image and request.image[1:])
        pixels, masks = paste(digits.images[:], photographs, size, seed, self.config.contrast)
        return ImageSet(pixels, digits.labels, digits.class_names, masks)


def paste(
    digits: UInt8[Tensor, "b 1 g g"],
    photographs: UInt8[Tensor, "count c height width"],
    size: tuple[int, int],
    seed: int,
    contrast: float = 1.0,
) -> tuple[UInt8[Tensor, "b c h w"], Bool[Tensor, "b 1 h w"]]:
    """Paste each digit somewhere on a patch of some photograph.

    The digit has a colour drawn at random, lighter or darker than the patch; its own grey values say how far
    it covers the patch. So neither brightness nor place alone tells a digit from its ground.

    Args:
        digits: White digits on black.
        photographs: What patches are cut from.
        size: Height and width of the images: no larger than the photographs, no smaller than the digits.
        seed: Decides patches, places and colours.
        contrast: How much of its contrast a patch keeps, from 0 to 1.

    Returns:
        The images, and where they are digit by half or more.
    """
    generator = torch.Generator().manual_seed(seed)
    parts = [_paste(some, photographs, size, generator, contrast) for some in digits.split(CHUNK)]
    images, masks = zip(*parts, strict=True)
    return torch.cat(images), torch.cat(masks)


def fitting_size(digits: Sequence[int], photographs: Sequence[int], wanted: Sequence[int] | None) -> tuple[int, int]:
    """Return the height and width to make images of: what is wanted where it can be cut, else the photographs' own.

    Raises:
        InputError: The photographs are smaller than the digits.
    """
    if photographs[0] < digits[0] or photographs[1] < digits[1]:
        have, need = (f"{size[1]}x{size[0]}" for size in (photographs, digits))
        raise InputError(f"The photographs have {have} pixels; digits of {need} do not fit: give larger ones.")
    height, width = photographs
    if wanted is None or not (digits[0] <= wanted[0] <= height and digits[1] <= wanted[1] <= width):
        return height, width
    return wanted[0], wanted[1]


def _paste(
    digits: Tensor, photographs: Tensor, size: tuple[int, int], generator: torch.Generator, contrast: float
) -> tuple[Tensor, Tensor]:
    count, (h, w) = len(digits), size
    which = torch.randint(len(photographs), (count, 1, 1), generator=generator)
    rows, columns = _window(photographs, (h, w), count, generator)
    patches = photographs.movedim(1, -1)[which, rows, columns].movedim(-1, 1).float()
    opacity = torch.zeros(count, h, w)
    rows, columns = _window(opacity, (digits.shape[-2], digits.shape[-1]), count, generator)
    opacity[torch.arange(count).view(-1, 1, 1), rows, columns] = digits[:, 0].float() / 255
    colours = contrasting(patches, torch.rand(count, patches.shape[1], 1, 1, generator=generator))
    patches = patches.mean(dim=(2, 3), keepdim=True).expand_as(patches).lerp(patches, contrast)
    images = patches.lerp(colours.expand_as(patches), opacity[:, None].expand_as(patches))
    return images.round().to(torch.uint8), opacity[:, None] >= 0.5


def contrasting(patches: Float[Tensor, "b c h w"], drawn: Float[Tensor, "b c 1 1"]) -> Float[Tensor, "b c 1 1"]:
    """Return a colour for each patch that is lighter or darker than it, in each channel by a part of its own.

    Args:
        patches: Pixels from 0 to 255.
        drawn: Numbers in [0, 1), which decide the colour.
    """
    offset = CONTRAST + (256 - 2 * CONTRAST) * drawn
    return (patches.mean(dim=(2, 3), keepdim=True) + offset).remainder(256).clamp(max=255)


def _window(within: Tensor, size: tuple[int, int], count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return the rows and columns of a window placed at random in each image, to index with."""
    starts = [
        torch.randint(whole - side + 1, (count, 1), generator=generator)
        for whole, side in zip(within.shape[-2:], size, strict=True)
    ]
    rows, columns = (start + torch.arange(side) for start, side in zip(starts, size, strict=True))
    return rows[:, :, None], columns[:, None, :]
