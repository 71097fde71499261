"""Any network of timm, with its total stride lowered for small images."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache, partial
from typing import Annotated, Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stawm.catalog.suggest import did_you_mean, nearest
from stawm.configuration import SIZE, Interval
from stawm.configuration import Config as BaseConfig
from stawm.errors import CheckpointError, ConfigError
from stawm.network import hub_is_reachable, offline, unreachable
from stawm.nn.backbones import strides
from stawm.nn.backbones.base import Backbone
from stawm.nn.backbones.lean import make_lean
from stawm.nn.layout import channels_last

PREFIX = "timm:"
RATE = Interval(0, 1, open_high=True)


class TimmNetwork(Backbone):
    """A network of timm by its name there, its pooled features given to the model (Wightman 2019).

    The total stride is how many pixels of the image one position of the last feature map stands for:
    32 in most networks, 16 in most vision transformers, where it is the side of a patch.

    Attributes:
        total_stride: The total stride that the network has here.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Configuration of a timm network."""

        name: str = "timm:mobilenetv2_100"
        """``timm:`` and the name of the network, with timm's tag of the weights if one is wanted."""
        pretrained: bool = False
        """Whether to start from timm's weights, downloading them if need be; nothing is downloaded otherwise."""
        total_stride: Annotated[int | None, SIZE] = None
        """What to lower the total stride to; null is the network's own, halved until the images are large enough."""
        drop_rate: Annotated[float | None, RATE] = None
        """Dropout of the network's head; null is its own."""
        drop_path_rate: Annotated[float | None, RATE] = None
        """How often a residual block is skipped in training; null is the network's own."""

        @property
        def network(self) -> str:
            """The network's name in timm."""
            return self.name.removeprefix(PREFIX)

        @property
        def normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
            """The mean and std of each channel that timm's weights were learned with; None without its weights."""
            if not self.pretrained:
                return None
            import timm

            known = timm.get_pretrained_cfg(self.network)
            return None if known is None else (tuple(known.mean), tuple(known.std))

        def faults(self) -> list[str]:
            """Return what is wrong with the name of the network."""
            if not self.name.startswith(PREFIX):
                return [f"A timm network is named 'timm:NAME', such as 'timm:resnet18'; got {self.name!r}."]
            # The default is known to be there: looking it up would import timm.
            return [] if self.name == type(self).name else _unknown(self.network)

    config: Config

    def __init__(self, config: Config | None = None, *, channels: int, size: tuple[int, int]) -> None:
        """Make the network.

        Args:
            config: The configuration; the default one where left out.
            channels: c, of the images.
            size: h and w of the images.

        Raises:
            ConfigError: The network cannot have that total stride, or does not run on images of that size.
            CheckpointError: Its weights are asked for, and cannot be had; without a network that is said at once.
        """
        config = config or self.Config()
        super().__init__(config, channels=channels, size=size)
        fit = _fit(config, channels, size)
        self.total_stride, self.features = fit.total_stride, fit.features
        self.network = _make(config, channels, pretrained=config.pretrained, **fit.arguments)
        strides.apply(self.network, fit.strides)
        make_lean(self.network)

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b f"]:
        """Return the pooled features of each image."""
        return self.network(channels_last(images))


class Fit(NamedTuple):
    """How a network is made for images of a size.

    Attributes:
        total_stride: Its total stride then, measured.
        features: f, the width of what it gives, measured.
        arguments: What timm is told beside the network's name.
        strides: The strides to change, by the name of the module.
    """

    total_stride: int
    features: int
    arguments: dict[str, Any]
    strides: dict[str, int]


class _NoFit(Exception):
    """Why a network cannot be had with a total stride."""


@cache
def _unknown(network: str) -> list[str]:
    import timm

    if timm.is_model(network):
        return []
    known = timm.list_models()
    like = [name for name in known if network and name.startswith(network)] or nearest(network, known)
    return [f"timm has no network named {network!r}.{did_you_mean(like[:5])} timm.list_models() shows them all."]


def _make(config: TimmNetwork.Config, channels: int, **arguments: Any) -> nn.Module:
    import timm

    rates = {"drop_rate": config.drop_rate, "drop_path_rate": config.drop_path_rate}
    arguments |= {key: rate for key, rate in rates.items() if rate is not None}
    arguments |= {"num_classes": 0, "in_chans": channels}
    if not arguments.get("pretrained"):
        return timm.create_model(config.network, **arguments)
    is_reachable = hub_is_reachable()
    try:
        with nullcontext() if is_reachable else offline():
            return timm.create_model(config.network, **arguments)
    except Exception as error:  # of many kinds: the network's, the hub's, the disk's
        because = str(error).strip().splitlines()[:1] if is_reachable else [unreachable()]
        raise CheckpointError(
            f"timm's weights of {config.network!r} cannot be had: {''.join(because)}. "
            "With pretrained=false the network starts at random."
        ) from error


def _outline(config: TimmNetwork.Config, channels: int, **arguments: Any) -> Any:
    """Return the network with shapes only: it runs in no time and holds no numbers."""
    with torch.device("meta"):
        return _make(config, channels, **arguments).eval()


@cache
def _fit(config: TimmNetwork.Config, channels: int, size: tuple[int, int]) -> Fit:
    import timm

    if config.pretrained and not timm.models.is_model_pretrained(config.network):
        raise ConfigError([f"timm has no weights for {config.network!r}: pretrained must be false."])
    nature = _nature(config.replace(pretrained=False, total_stride=None), channels)
    if isinstance(nature, strides.Reach):
        return _choose(config, size, strides.totals(nature), partial(_try_strides, config, channels, size, nature))
    return _choose(config, size, _patch_totals(nature), partial(_try_patches, config, channels, size, nature))


class Patches(NamedTuple):
    """A network that is made for one size of image, which it cuts into patches.

    Attributes:
        total: Its total stride at the size that it is made for.
        side: The side of its patches; None where it cannot be changed.
    """

    total: int
    side: int | None


@cache
def _nature(config: TimmNetwork.Config, channels: int) -> strides.Reach | Patches:
    try:
        outline = _outline(config, channels)
    except Exception as error:  # timm's own checks raise whatever they like
        raise ConfigError([f"timm cannot make {config.name!r} as asked: {error}"]) from error
    return strides.trace(outline, channels) or _patches(config, outline, channels)


def _patches(config: TimmNetwork.Config, outline: Any, channels: int) -> Patches:
    _, height, width = outline.default_cfg["input_size"]
    try:
        total = math.sqrt(height * width / _positions(outline, channels, (height, width)))
    except Exception as error:
        raise ConfigError([f"{config.name} gives no feature map to measure its total stride by: {error}"]) from error
    if total % 1 or total == height:
        raise ConfigError([f"{config.name} has no total stride: {total:.4g} pixels stand for one position."])
    side = getattr(getattr(outline, "patch_embed", None), "patch_size", int(total))
    side = side if isinstance(side, int) else side[0]
    try:
        _outline(config, channels, patch_size=side)
    except Exception:  # whatever a network says of an argument that it does not know
        return Patches(int(total), None)
    return Patches(int(total), side)


def _patch_totals(patches: Patches) -> list[int]:
    if patches.side is None:
        return [patches.total]
    return [total for total in range(1, patches.total + 1) if patches.side * total % patches.total == 0]


def _choose(config: TimmNetwork.Config, size: tuple[int, int], legal: list[int], attempt: Callable[[int], Fit]) -> Fit:
    """Return the first total stride that fits: the one asked for, or the network's own, halved and halved."""
    if config.total_stride is not None and config.total_stride not in legal:
        raise ConfigError(
            [f"{config.name} cannot have total_stride {config.total_stride}; it can have {_listed(legal)}."]
        )
    halved = [total for total in reversed(legal) if total <= min(size) and math.log2(legal[-1] / total).is_integer()]
    reasons = {}
    for total in halved if config.total_stride is None else [config.total_stride]:
        try:
            return attempt(total)
        except _NoFit as reason:
            reasons[total] = reason
    tried = "; ".join(f"at total_stride {total} it {reason}" for total, reason in reasons.items())
    raise ConfigError(
        [
            f"{config.name} does not run on images of {size[0]}x{size[1]}: {tried or 'they are too small for it'}. "
            f"Its total_stride can be {_listed(legal)}."
        ]
    )


def _listed(totals: list[int]) -> str:
    whole = len(totals) > 1 and totals == list(range(1, len(totals) + 1))
    return f"any from 1 to {len(totals)} that divides the images" if whole else ", ".join(map(str, totals))


def _try_strides(
    config: TimmNetwork.Config, channels: int, size: tuple[int, int], reach: strides.Reach, total: int
) -> Fit:
    """Lower the strides of an outline, and measure it."""
    changes = strides.plan(reach, total) or {}
    outline = _outline(config, channels)
    strides.apply(outline, changes)
    measured = strides.trace(outline, channels) if changes else reach
    if measured is None or measured.total != total:
        raise _NoFit(f"keeps the total stride {reach.total if measured is None else measured.total}")
    return Fit(total, _features(outline, channels, size), {}, changes)


def _try_patches(config: TimmNetwork.Config, channels: int, size: tuple[int, int], patches: Patches, total: int) -> Fit:
    """Make an outline for the images' size, with smaller patches where wanted, and measure it."""
    if any(side % total for side in size):
        raise _NoFit("cannot divide them into patches")
    arguments: dict[str, Any] = {"img_size": size}
    if patches.side is not None and total != patches.total:
        arguments["patch_size"] = patches.side * total // patches.total
    try:
        outline = _outline(config, channels, **arguments)
        area = size[0] * size[1] / _positions(outline, channels, size)
    except Exception as error:
        raise _NoFit(f"fails ({error})") from error
    if area != total**2:
        raise _NoFit(f"has {math.sqrt(area):.3g} pixels to a position")
    return Fit(total, _features(outline, channels, size), arguments, {})


def _positions(outline: Any, channels: int, size: tuple[int, int]) -> int:
    """Count the positions of the last feature map, or the tokens that stand for patches."""
    features = outline.forward_features(torch.zeros(2, channels, *size, device="meta"))
    return features[0].numel() // outline.num_features - getattr(outline, "num_prefix_tokens", 0)


def _features(outline: Any, channels: int, size: tuple[int, int]) -> int:
    try:
        shape = outline(torch.zeros(2, channels, *size, device="meta")).shape
    except Exception as error:
        raise _NoFit(f"fails ({error})") from error
    if len(shape) != 2:
        raise _NoFit(f"gives features of shape {tuple(shape)} that are not pooled")
    return shape[1]
