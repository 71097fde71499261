"""Policies: from an emission to a pose, and how a policy learns from a reward.

    a = μ + σ ε,  ε ~ N(0, I)                                  a pose around an emission, Mnih et al. 2014, section 3
    log π(a) = -½ Σ_j ((a_j - μ_j) / σ)² - p log(σ √(2π))
    L = -⟨Σ_t (R - b_t) log π(a_t)⟩                             REINFORCE, Williams 1992; Mnih et al. 2014, Eq. 2
    B = ⟨(R - b_t)²⟩                                            what teaches the baseline b_t

The mean ⟨⟩ is over scan paths, of B over glimpses too. R - b_t is a number in L: no gradient passes through it. So the
gradient of L is an estimate of that of -E[R] whose mean is right, whatever b_t is, if it does not depend on a_t.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def sample(
    mean: Float[Tensor, "*b p"], sigma: float | Float[Tensor, ""], noise: Float[Tensor, "*b p"]
) -> Float[Tensor, "*b p"]:
    """Return a = μ + σ ε.

    Args:
        mean: μ, the emission.
        sigma: σ, the standard deviation of each number of a pose.
        noise: ε, standard normal numbers.
    """
    return mean + sigma * noise


def log_density(
    pose: Float[Tensor, "*b p"], mean: Float[Tensor, "*b p"], sigma: float | Float[Tensor, ""]
) -> Float[Tensor, "*b"]:
    """Return log π(a), the logarithm of a normal density.

    Args:
        pose: a, the pose.
        mean: μ, the emission.
        sigma: σ, the standard deviation of each number of a pose.
    """
    one = torch.as_tensor(sigma, dtype=mean.dtype, device=mean.device)
    rest = pose.shape[-1] * (one.log() + math.log(2 * math.pi) / 2)
    return -((pose - mean) / one).square().sum(dim=-1) / 2 - rest


def reinforce(
    log_prob: Float[Tensor, "b n"], reward: Float[Tensor, "b"], baseline: Float[Tensor, "b n"]
) -> Float[Tensor, ""]:
    """Return L, whose gradient is that of REINFORCE.

    Args:
        log_prob: log π of each pose of each scan path.
        reward: R of each scan path.
        baseline: b_t, what reward was expected; 0 is REINFORCE without a baseline.
    """
    advantage = (reward[:, None] - baseline).detach()
    return -(advantage * log_prob).sum(dim=1).mean()


def baseline_error(reward: Float[Tensor, "b"], baseline: Float[Tensor, "b n"]) -> Float[Tensor, ""]:
    """Return B, the squared error of what reward was expected.

    Args:
        reward: R of each scan path.
        baseline: b_t, what reward was expected.
    """
    return (reward[:, None].detach() - baseline).square().mean()


def raster(count: int) -> Float[Tensor, "count 2"]:
    """Return the first so many places (x, y) of the smallest square grid that has as many, row by row.

    Args:
        count: How many places.
    """
    side = math.ceil(math.sqrt(count))
    index = torch.arange(count, device="cpu")
    cells = torch.stack([index % side, index // side], dim=1)
    return (2 * cells + 1).to(torch.float64) / side - 1
