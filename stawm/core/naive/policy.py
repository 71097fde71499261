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
