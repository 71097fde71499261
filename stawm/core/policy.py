"""Policies: from an emission to a pose, and how a policy learns from a reward, or from where things are.

    a = μ + σ ε,  ε ~ N(0, I)                                  a pose around an emission, Mnih et al. 2014, section 3
    log π(a) = -½ Σ_j ((a_j - μ_j) / σ)² - p log(σ √(2π))
    L = -⟨Σ_t (R - b_t) log π(a_t)⟩                             REINFORCE, Williams 1992; Mnih et al. 2014, Eq. 2
    B = ⟨(R - b_t)²⟩                                            what teaches the baseline b_t
    P = ⟨¼ Σ_i |f_i(a_t) - q_i|²⟩                                after Ablavatski et al. 2017

The mean ⟨⟩ is over scan paths, of B over glimpses too. R - b_t is a number in L: no gradient passes through it. So the
gradient of L is an estimate of that of -E[R] whose mean is right, whatever b_t is, if it does not depend on a_t.

f_1 ... f_4 are the corners of the glimpse in the image, q_1 ... q_4 those of a square around the thing that it shall
see. Of an affine pose P is the squared error of its six numbers, ⟨|A_t - A*|²⟩, A* being the pose that sees the square.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.core import affine


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
    one = mean.new_ones(()) * sigma
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


def around(
    boxes: Float[Tensor, "b d 4"], size: Float[Tensor, "2"], margin: float | Float[Tensor, ""]
) -> Float[Tensor, "b d 4 2"]:
    """Return the corners (x, y) of a square around each box, from -1 to 1, clockwise from the top left.

    Args:
        boxes: Left, top, right and bottom in pixels.
        size: The image's width and height in pixels.
        margin: How many times as wide as the longer side of its box a square is.
    """
    low, high = boxes[..., None, :2], boxes[..., None, 2:]
    side = margin * (high - low).amax(dim=-1, keepdim=True)
    return (low + high + side * affine.corners(boxes)) / size - 1


def places_error(frames: Float[Tensor, "b n 4 2"], wanted: Float[Tensor, "b d 4 2"]) -> Float[Tensor, ""]:
    """Return P, how far glimpses are from where they shall be.

    Each of d things has its share of the n glimpses, one thing after the other from left to right.

    Args:
        frames: The corners (x, y) of each glimpse in the image.
        wanted: Those that are to be seen, of each thing.
    """
    n, d = frames.shape[1], wanted.shape[1]
    order = wanted[..., 0].sum(dim=2).argsort(dim=1, stable=True)
    turns = torch.arange(n, device=order.device) * d // n
    aims = wanted[torch.arange(len(wanted), device=order.device)[:, None], order[:, turns]]
    return (frames - aims).square().sum(dim=-1).mean()
