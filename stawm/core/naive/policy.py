"""The slow, obvious twin of `stawm.core.policy`."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def sample(
    mean: Float[Tensor, "*b p"], sigma: float | Float[Tensor, ""], noise: Float[Tensor, "*b p"]
) -> Float[Tensor, "*b p"]:
    """Return a = μ + σ ε."""
    found = [mu + sigma * eps for mu, eps in zip(mean.flatten(), noise.flatten(), strict=True)]
    return torch.stack(found).view(mean.shape)


def log_density(
    pose: Float[Tensor, "*b p"], mean: Float[Tensor, "*b p"], sigma: float | Float[Tensor, ""]
) -> Float[Tensor, "*b"]:
    """Return the logarithm of the product of the densities of single numbers."""
    rows = []
    for a, mu in zip(pose.flatten(0, -2), mean.flatten(0, -2), strict=True):
        total = a.new_zeros(())
        for x, m in zip(a, mu, strict=True):
            density = torch.exp(-((x - m) ** 2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))
            total = total + density.log()
        rows.append(total)
    return torch.stack(rows).view(pose.shape[:-1])


def reinforce(
    log_prob: Float[Tensor, "b n"], reward: Float[Tensor, "b"], baseline: Float[Tensor, "b n"]
) -> Float[Tensor, ""]:
    """Return the loss path by path and glimpse by glimpse."""
    total = log_prob.new_zeros(())
    for path, r, expected in zip(log_prob, reward.tolist(), baseline.tolist(), strict=True):
        for log_pi, b in zip(path, expected, strict=True):
            total = total - (r - b) * log_pi
    return total / len(log_prob)


def baseline_error(reward: Float[Tensor, "b"], baseline: Float[Tensor, "b n"]) -> Float[Tensor, ""]:
    """Return the mean of the squared errors one by one."""
    errors = [(r - b) ** 2 for r, path in zip(reward.tolist(), baseline, strict=True) for b in path]
    return sum(errors[1:], errors[0]) / len(errors)


def raster(count: int) -> Float[Tensor, "count 2"]:
    """Return the centres of cells, counted off row by row."""
    side = 1
    while side * side < count:
        side += 1
    places = [((2 * j + 1) / side - 1, (2 * i + 1) / side - 1) for i in range(side) for j in range(side)]
    return torch.tensor(places[:count], dtype=torch.float64)


def around(
    boxes: Float[Tensor, "b d 4"], size: Float[Tensor, "2"], margin: float | Float[Tensor, ""]
) -> Float[Tensor, "b d 4 2"]:
    """Return the corners box by box, each in pixels first."""
    width, height = size
    rows = []
    for left, top, right, bottom in boxes.flatten(0, 1):
        half = margin * torch.maximum(right - left, bottom - top) / 2
        x, y = (left + right) / 2, (top + bottom) / 2
        pixels = [(x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half)]
        rows += [2 * value / whole - 1 for pair in pixels for value, whole in zip(pair, (width, height), strict=True)]
    return torch.stack(rows).view(*boxes.shape[:2], 4, 2)


def places_error(frames: Float[Tensor, "b n 4 2"], wanted: Float[Tensor, "b d 4 2"]) -> Float[Tensor, ""]:
    """Return the mean squared distance of corners, image by image and glimpse by glimpse."""
    total, (b, n), d = frames.new_zeros(()), frames.shape[:2], wanted.shape[1]
    for image, things in zip(frames, wanted, strict=True):
        from_left = sorted(things, key=lambda corners: corners[:, 0].sum().item())
        for t, corners in enumerate(image):
            for (x, y), (u, v) in zip(corners, from_left[t * d // n], strict=True):
                total = total + ((x - u) ** 2 + (y - v) ** 2) / (4 * n * b)
    return total
