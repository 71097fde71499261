"""How a model looks.

How much of a glimpse lies outside the image, how small and how alike glimpses are, whether gradients reach the poses.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.core.sizes import extent
from stawm.models.model import Stawm
from stawm.nn.locators.base import Locator
from stawm.nn.policies.base import Move

ACROSS = 32
"""How many points across a glimpse areas are counted by."""
PEERED_INTO = 32
"""Of how many images gradients are taken."""


@dataclass(frozen=True, kw_only=True)
class LookHealth:
    """Where one glimpse was taken, averaged over all images; all measures are shares, from 0 up.

    Attributes:
        glimpse: Which glimpse, from 1.
        outside: The share of its area that lies outside the image, where it sees the mean of the data.
        size: Its side, as a share of the image's: the square root of its area's share.
        alike: How far it covers the same part of the image as the glimpse before, as intersection over union; 0 for
            the first, before which there is none.
        reached: The share of images in which a gradient of the answer reaches the pose through what is seen; None
            where nothing below the heads learns.
    """

    glimpse: int
    outside: float
    size: float
    alike: float
    reached: float | None = None


def examine(model: Stawm, images: Float[Tensor, "b c h w"], poses: Float[Tensor, "b n p"]) -> list[LookHealth]:
    """Measure how a model looks.

    Args:
        model: The model, in evaluation mode.
        images: Images as the model takes them.
        poses: Where it looked.
    """
    size = (extent(images),) if model.config.any_size else ()
    frames = torch.stack([model.locator.frame(pose, *size) for pose in poses.unbind(1)], dim=1).double()
    outside = (~_inside(_points(frames), frames.new_tensor([[-1, -1], [1, -1], [1, 1], [-1, 1]]))).double().mean(-1)
    area = _area(frames)
    alike = torch.zeros_like(area)
    if poses.shape[1] > 1:
        shared = _inside(_points(frames[:, 1:]), frames[:, :-1]).double().mean(-1) * area[:, 1:]
        alike[:, 1:] = shared / (area[:, 1:] + area[:, :-1] - shared).clamp_min(1e-300)
    reached = _reached(model, images[:PEERED_INTO], poses.shape[1])
    rows = zip(outside.mean(0), (area / 4).sqrt().mean(0), alike.mean(0), reached, strict=True)
    return [
        LookHealth(glimpse=t, outside=out.item(), size=size.item(), alike=same.item(), reached=share)
        for t, (out, size, same, share) in enumerate(rows, 1)
    ]


def is_untrained(locator: Locator, poses: Float[Tensor, "b n p"]) -> bool:
    """Whether every glimpse is still the one that a model starts with, whatever the image."""
    return bool((poses == locator.start_pose().to(poses)).all())


def _points(frames: Float[Tensor, "b n 4 2"]) -> Float[Tensor, "b n q 2"]:
    """Return points that lie evenly in each frame."""
    steps = (torch.arange(ACROSS, dtype=frames.dtype, device=frames.device) + 0.5) / ACROSS
    u, v = (part.flatten()[:, None] for part in torch.meshgrid(steps, steps, indexing="ij"))
    start, right, _, down = frames[..., None, :].unbind(2)
    return start + u * (right - start) + v * (down - start)


def _inside(points: Float[Tensor, "b n q 2"], frames: Float[Tensor, "*bn 4 2"]) -> Tensor:
    """Return which points lie in a frame, a parallelogram; a point that is nowhere does not."""
    start, right, _, down = frames[..., None, :].unbind(-3)
    across, along, off = right - start, down - start, points - start
    whole = _cross(across, along)
    u, v = _cross(off, along) / whole, _cross(across, off) / whole
    return (u >= 0) & (u < 1) & (v >= 0) & (v < 1)


def _area(frames: Float[Tensor, "b n 4 2"]) -> Float[Tensor, "b n"]:
    start, right, _, down = frames.unbind(2)
    return _cross(right - start, down - start).abs()


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _reached(model: Stawm, images: Tensor, n: int) -> list[float | None]:
    """Follow the gradient of an answer back to what was seen, and from there through the locator to the pose."""
    with torch.enable_grad(), _caught(model) as (glimpses, poses):
        output = model(images, glimpses=n)
        generator = torch.Generator().manual_seed(0)
        fields = [*vars(output).values(), *output.extra.values()]
        answers = [value for value in fields if isinstance(value, Tensor) and value.requires_grad]
        if not answers or not all(glimpse.requires_grad for glimpse in glimpses):
            return [None] * n
        # Random weights: a sum of all classes' probabilities is 1, and has no gradient.
        weighed = [(value * torch.randn(value.shape, generator=generator).to(value)).sum() for value in answers]
        found: list[float | None] = []
        for slope, pose in zip(torch.autograd.grad(weighed, glimpses, allow_unused=True), poses, strict=True):
            if slope is None:
                found.append(0.0)
                continue
            leaf = pose.detach().requires_grad_()
            (moves,) = torch.autograd.grad((model.locator.glimpse(images, leaf) * slope).sum(), leaf)
            found.append((moves.abs().amax(dim=1) > 0).double().mean().item())
    return found


@contextmanager
def _caught(model: Stawm) -> Iterator[tuple[list[Tensor], list[Tensor]]]:
    """Keep every glimpse and its pose while a model looks."""
    glimpses: list[Tensor] = []
    poses: list[Tensor] = []

    def saw(module: Any, given: tuple[Any, ...]) -> None:
        glimpses.append(given[0])

    def looked(module: Any, given: Any, move: Move) -> None:
        poses.append(move.pose)

    hooks = [model.loop.backbone.register_forward_pre_hook(saw), model.loop.policy.register_forward_hook(looked)]
    try:
        yield glimpses, poses
    finally:
        for hook in hooks:
            hook.remove()
