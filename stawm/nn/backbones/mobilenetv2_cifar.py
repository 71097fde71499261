"""MobileNetV2 for small images, as the paper's authors used it (Sandler et al. 2018).

It differs from the published network, which is ``timm:mobilenetv2_100``: the stem and the first stages keep the size of
the image, ReLU stands where ReLU6 does there, and where a block of stride 1 changes the width, a 1x1 convolution
brings its input to the new width, so that it can be added.
"""

from dataclasses import dataclass
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from stawm.configuration import Config as BaseConfig
from stawm.nn.backbones.base import Backbone
from stawm.nn.layout import channels_last


class Stage(NamedTuple):
    """Blocks of one width; the first of them has the stride."""

    expansion: int
    filters: int
    blocks: int
    stride: int


STEM, LAST = 32, 1280
STAGES = (
    Stage(1, 16, 1, 1),
    Stage(6, 24, 2, 1),
    Stage(6, 32, 3, 2),
    Stage(6, 64, 4, 2),
    Stage(6, 96, 3, 1),
    Stage(6, 160, 3, 2),
    Stage(6, 320, 1, 1),
)


class MobileNetV2Cifar(Backbone):
    """The MobileNetV2 of the paper's CIFAR-10 experiment; its weights have the names that they have there."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Configuration of the network, which has no choices."""

        name: str = "mobilenetv2-cifar"

    def __init__(self, config: Config | None = None, *, channels: int, size: tuple[int, int]) -> None:
        """Build the network.

        Args:
            config: The configuration; the default one where left out.
            channels: c, of the images.
            size: h and w of the images; any will do.
        """
        super().__init__(config or self.Config(), channels=channels, size=size)
        self.features = LAST
        self.conv1 = nn.Conv2d(channels, STEM, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM)
        self.layers = nn.Sequential(*_blocks())
        self.conv2 = nn.Conv2d(STAGES[-1].filters, LAST, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(LAST)

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b f"]:
        """Return the pooled features of each image."""
        x = self.bn1(self.conv1(channels_last(images))).relu()
        return self.bn2(self.conv2(self.layers(x))).relu().mean(dim=(2, 3))


class InvertedResidual(nn.Module):
    """Widen, convolve each channel by itself, narrow; then add what came in, where the size is the same."""

    def __init__(self, before: int, filters: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide = expansion * before
        self.conv1, self.bn1 = nn.Conv2d(before, wide, 1, bias=False), nn.BatchNorm2d(wide)
        self.conv2 = nn.Conv2d(wide, wide, 3, stride, padding=1, groups=wide, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.conv3, self.bn3 = nn.Conv2d(wide, filters, 1, bias=False), nn.BatchNorm2d(filters)
        self.adds = stride == 1
        self.shortcut = nn.Sequential()
        if self.adds and before != filters:
            self.shortcut = nn.Sequential(nn.Conv2d(before, filters, 1, bias=False), nn.BatchNorm2d(filters))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        """Return the features of the block."""
        inner = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())).relu()
        narrow = self.bn3(self.conv3(inner))
        return narrow + self.shortcut(x) if self.adds else narrow


def _blocks() -> list[InvertedResidual]:
    before, found = STEM, []
    for stage in STAGES:
        for number in range(stage.blocks):
            found.append(InvertedResidual(before, stage.filters, stage.expansion, 1 if number else stage.stride))
            before = stage.filters
    return found
