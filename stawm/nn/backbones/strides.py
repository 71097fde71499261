"""Lowering the total stride of a convolutional network that was made for larger images.

The network is run once on two large images to see at which reduction of the image each strided module
works. A module at the reductions a → b, whose stride is b/a, then gets f(b)/f(a), where f divides by the
wanted factor and stops at 1: the earliest reductions disappear, the shortcuts beside them too, and all
weights stay what they are.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

LARGE = 448
"""Divided by every stride in use: powers of 2, and 7 and 14 times them."""


class Reduction(NamedTuple):
    """How many pixels of the image one position stands for, before and after a module."""

    before: int
    after: int


class Reach(NamedTuple):
    """What running a network shows of its strides.

    Attributes:
        total: Pixels of the image to one position of the feature map.
        modules: The modules that reduce, by name.
    """

    total: int
    modules: dict[str, Reduction]


def trace(network: Any, channels: int) -> Reach | None:
    """Run a network on images of two large sizes; None where it does not take them or keeps no map.

    Sizes are compared rather than read, so that what a border costs does not count.

    Args:
        network: The network, on the meta device.
        channels: c, of the images.
    """
    runs = [_run(network, channels, side) for side in (LARGE, 2 * LARGE)]
    if any(run is None for run in runs):
        return None
    (map_1, sides_1), (map_2, sides_2) = (run for run in runs if run is not None)
    grown = {_reduction(a, b) for a, b in zip(map_1, map_2, strict=True) if a != b}
    total = grown.pop() if len(grown) == 1 else None
    if total is None:
        return None
    found = {name: _reductions(sides_1[name], sides_2[name]) for name in sides_1.keys() & sides_2.keys()}
    order = (name for name, _ in network.named_modules() if name in found)
    return Reach(total, {name: r for name in order if (r := found[name]) is not None and r.after > r.before})


def _run(network: Any, channels: int, side: int) -> tuple[torch.Size, dict[str, tuple[int, int]]] | None:
    """Return the shape of the feature map, and for each strided module the sides of its input and output."""
    sides: dict[str, tuple[int, int]] = {}

    def note(name: str) -> Any:
        def hook(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            if inputs and all(isinstance(x, Tensor) and x.dim() == 4 for x in (inputs[0], output)):
                sides[name] = (inputs[0].shape[-1], output.shape[-1])

        return hook

    strided = [(n, m) for n, m in network.named_modules() if hasattr(m, "stride") and not list(m.children())]
    handles = [module.register_forward_hook(note(name)) for name, module in strided]
    try:
        features = network.forward_features(torch.zeros(2, channels, side, side, device="meta"))
    except Exception:  # whatever a network says of a size that it does not take
        return None
    finally:
        for handle in handles:
            handle.remove()
    return (features.shape, sides) if isinstance(features, Tensor) and features.dim() == 4 else None


def _reduction(side: int, doubled: int) -> int | None:
    grown = doubled - side
    return LARGE // grown if grown > 0 and LARGE % grown == 0 else None


def _reductions(sides: tuple[int, int], doubled: tuple[int, int]) -> Reduction | None:
    before, after = map(_reduction, sides, doubled)
    return None if before is None or after is None else Reduction(before, after)


def plan(reach: Reach, total: int) -> dict[str, int] | None:
    """Return the strides that make a network's total stride what is wanted; None where none do.

    Args:
        reach: What `trace` found.
        total: The wanted total stride.
    """
    factor, rest = divmod(reach.total, total)
    if rest:
        return None
    strides = {}
    for name, (before, after) in reach.modules.items():
        if any(level > factor and level % factor for level in (before, after)):
            return None
        stride, rest = divmod(max(after // factor, 1), max(before // factor, 1))
        if rest:
            return None
        if stride != after // before:
            strides[name] = stride
    return strides


def totals(reach: Reach) -> list[int]:
    """Return every total stride that a network can be brought to."""
    return [total for total in range(1, reach.total + 1) if plan(reach, total) is not None]


def apply(network: nn.Module, strides: dict[str, int]) -> None:
    """Change the strides of a network's modules, keeping every weight."""
    for name, stride in strides.items():
        network.set_submodule(name, _restrided(network.get_submodule(name), stride))


def _restrided(module: Any, stride: int) -> nn.Module:
    """Return the module with another stride, padded so that a map of side s becomes one of side s/stride."""
    kernel, old = (_side(getattr(module, part, 1)) for part in ("kernel_size", "stride"))
    if isinstance(module, (nn.MaxPool2d, nn.AvgPool2d)) and kernel == old:
        module.kernel_size = module.stride = stride  # its windows do not overlap, and stay so
        return module
    module.stride = (stride, stride) if isinstance(module.stride, tuple) else stride
    if type(module).__name__.endswith("Same") or isinstance(getattr(module, "padding", ""), (str, list)):
        return module  # it pads by itself
    reach = _side(getattr(module, "dilation", 1)) * (kernel - 1) + 1
    if reach - stride <= 2 * _side(module.padding) < reach:
        return module
    padding = (reach - stride + 1) // 2
    if 2 * padding < reach:
        module.padding = (padding, padding) if isinstance(module.padding, tuple) else padding
        return module
    return _padded_unevenly(module) if type(module) is nn.Conv2d else module


def _padded_unevenly(conv: nn.Conv2d) -> nn.Conv2d:
    from timm.layers import Conv2dSame  # here, since importing timm takes seconds that few models need

    bias = conv.bias is not None
    same: Any = Conv2dSame(
        conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, 0, conv.dilation, conv.groups, bias, "meta"
    )
    same.weight, same.bias = conv.weight, conv.bias
    return same


def _side(size: int | tuple[int, ...]) -> int:
    return size if isinstance(size, int) else size[0]
