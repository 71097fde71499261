"""The slow, obvious twin of `stawm.core.canvas`: one pixel at a time."""

import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def add(sketches: Float[Tensor, "b n c h w"], start: float) -> Float[Tensor, "b n c h w"]:
    """Return C_0 + Σ U after each sketch, before the sigmoid."""
    out = torch.empty_like(sketches)
    batch, count, *rest = sketches.shape
    for b, (c, i, j) in itertools.product(range(batch), _indices(rest)):
        for n in range(count):
            out[b, n, c, i, j] = start + sum(sketches[b, t, c, i, j] for t in range(n + 1))
    return out


def over(
    canvas: Float[Tensor, "b c h w"], sketch: Float[Tensor, "b c h w"], mask: Float[Tensor, "b 1 h w"]
) -> Float[Tensor, "b c h w"]:
    """Return the canvas with the sketch put over it where the mask is one."""
    out = torch.empty_like(canvas)
    for b, c, i, j in _indices(canvas.shape):
        kept = canvas[b, c, i, j] * (1 - mask[b, 0, i, j])
        out[b, c, i, j] = kept + sketch[b, c, i, j] * mask[b, 0, i, j]
    return out


def paint(sketches: Float[Tensor, "b n c h w"], masks: Float[Tensor, "b n 1 h w"]) -> Float[Tensor, "b n c h w"]:
    """Return the canvas after each sketch is put over an empty one."""
    canvas = torch.zeros_like(sketches[:, 0])
    canvases = []
    for n in range(sketches.shape[1]):
        canvas = over(canvas, sketches[:, n], masks[:, n])
        canvases.append(canvas)
    return torch.stack(canvases, dim=1)


def one_colour(sketches: Float[Tensor, "*b c h w"], masks: Float[Tensor, "*b 1 h w"]) -> Float[Tensor, "*b c h w"]:
    """Return sketches that each have one colour."""
    out = torch.empty_like(sketches)
    for where in _indices(sketches.shape[:-2]):
        mask, painted = masks[where[:-1]][0], torch.zeros_like(sketches[where][0, 0])
        area = torch.zeros_like(painted)
        for i, j in _indices(mask.shape):
            painted, area = painted + sketches[where][i, j] * mask[i, j], area + mask[i, j]
        out[where] = painted / max(area, torch.full_like(area, torch.finfo(area.dtype).eps))
    return out


def coarse(sketches: Float[Tensor, "*b c h w"], side: int) -> Float[Tensor, "*b c h w"]:
    """Return sketches that show no more than ``side`` by ``side`` cells do, drawn as large as they were."""
    out = torch.zeros_like(sketches)
    height, width = sketches.shape[-2:]
    for where in _indices(sketches.shape[:-2]):
        cells = [[_mean(sketches[where], i, j, side) for j in range(side)] for i in range(side)]
        for y, x in _indices((height, width)):
            (top, bottom, down), (left, right, across) = _between(y, height, side), _between(x, width, side)
            above = (1 - across) * cells[top][left] + across * cells[top][right]
            below = (1 - across) * cells[bottom][left] + across * cells[bottom][right]
            out[(*where, y, x)] = (1 - down) * above + down * below
    return out


def _mean(picture: Float[Tensor, "h w"], i: int, j: int, side: int) -> Tensor:
    """Return the mean of a picture over one of its cells."""
    height, width = picture.shape
    total = torch.zeros_like(picture[0, 0])
    for y, x in _indices((height, width)):
        tall = min(y + 1, (i + 1) * height / side) - max(y, i * height / side)
        wide = min(x + 1, (j + 1) * width / side) - max(x, j * width / side)
        total = total + picture[y, x] * (max(tall, 0) * max(wide, 0))
    return total * side**2 / (height * width)


def _between(pixel: int, size: int, side: int) -> tuple[int, int, float]:
    """Return the cells whose centres a pixel lies between, and how far from the first to the second it is."""
    place = min(max((pixel + 0.5) * side / size - 0.5, 0), side - 1)
    first = math.floor(place)
    return first, min(first + 1, side - 1), place - first


def concrete(p: Float[Tensor, "*b"], u: Float[Tensor, "*b"], temperature: float) -> Float[Tensor, "*b"]:
    """Return a sample of the Binary Concrete distribution."""
    epsilon = torch.finfo(p.dtype).eps
    samples = []
    for chance, noise in zip(p.flatten(), u.flatten(), strict=True):
        kept = min(max(chance, torch.full_like(chance, epsilon)), torch.full_like(chance, 1 - epsilon))
        logit = torch.log(kept) - torch.log1p(-kept)
        noise_logit = math.log(noise) - math.log1p(-noise)
        samples.append(1 / (1 + torch.exp(-(noise_logit + logit) / temperature)))
    return torch.stack(samples).view(p.shape)


def _indices(shape: Sequence[int]) -> Iterator[tuple[int, ...]]:
    return itertools.product(*(range(size) for size in shape))
