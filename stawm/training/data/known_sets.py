"""The data sets that many know by their names, as components: digits, MNIST and its kin, CIFAR-10, CelebA."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn import functional as F

from stawm.configuration import Config as BaseConfig
from stawm.training.data import known
from stawm.training.data.base import Request, Source, hold_out
from stawm.training.data.sets import ImageSet, Splits

CHUNK = 10_000
"""How many images are made binary at a time."""


@dataclass(frozen=True, kw_only=True)
class Grey(BaseConfig):
    """What every set of grey characters can be told."""

    binary: bool = False
    """Whether pixels are black or white, as models take them whose loss is in nats: white with the chance that their
    grey says, drawn once and for everybody alike."""


class Digits(Source):
    """The 1,797 digits inside scikit-learn, enlarged to 12x12 with two pixels of margin."""

    folders = ()
    takes_folder = False

    @dataclass(frozen=True, kw_only=True)
    class Config(Grey):
        """Configuration of the digits."""

        name: str = "digits"

    def load(self, request: Request) -> Splits:
        """Return the digits, of which a share is held out."""
        from sklearn.datasets import load_digits

        raw: Any = load_digits()
        small = torch.as_tensor(raw.images, dtype=torch.float32)[:, None] / 16
        large = F.interpolate(small, size=(12, 12), mode="bicubic", align_corners=False).clamp(0, 1)
        images = (F.pad(large, (2, 2, 2, 2)) * 255).round().to(torch.uint8)
        given = ImageSet(images, torch.as_tensor(raw.target), tuple("0123456789"))
        return hold_out(binarised(given, 0) if self.config.binary else given, request)

    def channels(self) -> int:
        """Return 1: they are grey."""
        return 1


class Mnist(Source):
    """MNIST or Fashion-MNIST, by the configuration's name."""

    @dataclass(frozen=True, kw_only=True)
    class Config(Grey):
        """Configuration of MNIST and Fashion-MNIST."""

        name: str = "mnist"
        root: str = ""
        """The folder under which the four files are, packed or not."""

    def load(self, request: Request) -> Splits:
        """Read the files."""
        called = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}[self.config.name]
        return _as_asked(known.read_mnist(called, self.root, download=request.download), self.config)

    def channels(self) -> int:
        """Return 1: they are grey."""
        return 1


class Emnist(Source):
    """EMNIST (Cohen et al. 2017), of which the configuration's name says the split: ``emnist`` is the balanced one."""

    @dataclass(frozen=True, kw_only=True)
    class Config(Grey):
        """Configuration of EMNIST."""

        name: str = "emnist"
        root: str = ""
        """The folder that holds ``EMNIST/raw``, or that or the unpacked archive itself."""

    def load(self, request: Request) -> Splits:
        """Read the files."""
        part = self.config.name.partition("-")[2] or "balanced"
        return _as_asked(known.read_emnist(part, self.root, download=request.download), self.config)


class Cifar10(Source):
    """CIFAR-10 in its form for Python."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Configuration of CIFAR-10."""

        name: str = "cifar10"
        root: str = ""
        """The folder ``cifar-10-batches-py``, or the one that holds it."""

    def load(self, request: Request) -> Splits:
        """Read the files."""
        return known.read_cifar10(self.root, download=request.download)

    def channels(self) -> int:
        """Return 3: they are in colour."""
        return 3


class CelebA(Source):
    """CelebA, cut to the square around the face."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Configuration of CelebA."""

        name: str = "celeba"
        root: str = ""
        """The folder ``celeba``, or the one that holds it."""

    def load(self, request: Request) -> Splits:
        """Read the files, at the size that is asked for or at 64x64."""
        _, h, w = request.image or (3, 64, 64)

        def part(name: str) -> ImageSet:
            images = known.read_celeba(
                self.root,
                name,
                (h, w),
                download=request.download,
                memory=request.memory,
                resize=request.resize or "crop",
            )
            return ImageSet(images, torch.zeros(len(images), dtype=torch.long), ("face",))

        return Splits(part("train"), part("test"))

    def channels(self) -> int:
        """Return 3: they are in colour."""
        return 3


def binarised(images: ImageSet, seed: int) -> ImageSet:
    """Return a set of bytes whose pixels are black or white: white with the chance that their grey says.

    So Salakhutdinov and Murray (2008) made binary digits of MNIST.

    Args:
        images: The set, with bytes in memory.
        seed: Of the random numbers, which do not depend on the machine.
    """
    generator = torch.Generator().manual_seed(seed)
    held: Any = images.images
    parts = [
        torch.where(torch.randint(255, part.shape, generator=generator, dtype=torch.uint8) < part, 255, 0)
        for part in held.cpu().split(CHUNK)
    ]
    return replace(images, images=torch.cat(parts).to(torch.uint8).to(held.device))


def _as_asked(splits: Splits, config: Grey) -> Splits:
    return Splits(*(binarised(part, seed) for seed, part in enumerate(splits))) if config.binary else splits
