"""The data sets that many know by their names, as components: digits, MNIST and its kin, CIFAR-10, CelebA."""

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F

from stawm.configuration import Config as BaseConfig
from stawm.training.data import known
from stawm.training.data.base import Request, Source, hold_out
from stawm.training.data.sets import ImageSet, Splits


class Digits(Source):
    """The 1,797 digits inside scikit-learn, enlarged to 12x12 with two pixels of margin."""

    folders = ()
    takes_folder = False

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Configuration of the digits."""

        name: str = "digits"

    def load(self, request: Request) -> Splits:
        """Return the digits, of which a share is held out."""
        from sklearn.datasets import load_digits

        raw: Any = load_digits()
        small = torch.as_tensor(raw.images, dtype=torch.float32)[:, None] / 16
        large = F.interpolate(small, size=(12, 12), mode="bicubic", align_corners=False).clamp(0, 1)
        images = (F.pad(large, (2, 2, 2, 2)) * 255).round().to(torch.uint8)
        return hold_out(ImageSet(images, torch.as_tensor(raw.target), tuple("0123456789")), request)

    def channels(self) -> int:
        """Return 1: they are grey."""
        return 1


class Mnist(Source):
    """MNIST or Fashion-MNIST, by the configuration's name."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Configuration of MNIST and Fashion-MNIST."""

        name: str = "mnist"
        root: str = ""
        """The folder under which the four files are, packed or not."""

    def load(self, request: Request) -> Splits:
        """Read the files."""
        called = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}[self.config.name]
        return known.read_mnist(called, self.root, download=request.download)

    def channels(self) -> int:
        """Return 1: they are grey."""
        return 1


class Emnist(Source):
    """EMNIST (Cohen et al. 2017), of which the configuration's name says the split: ``emnist`` is the balanced one."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Configuration of EMNIST."""

        name: str = "emnist"
        root: str = ""
        """The folder that holds ``EMNIST/raw``, or that or the unpacked archive itself."""

    def load(self, request: Request) -> Splits:
        """Read the files."""
        part = self.config.name.partition("-")[2] or "balanced"
        return known.read_emnist(part, self.root, download=request.download)


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
