"""Evidence that sums up: what each write to a memory gives to each class.

A class is scored by a linear layer on a read after ReLU6, z = A min(max(y, 0), 6) + b, and the read is a sum over the
writes, y = Σₛ cₛ + r (`stawm.core`). With ρᵢ = min(max(yᵢ, 0), 6) / yᵢ for what ReLU6 lets through of the i-th number,
z = Σₛ A (ρ∘cₛ) + A (ρ∘r) + b is exact. What all classes get alike cancels in log p = z - log Σ exp(z), so it is taken
from each term: a share above 0 speaks for a class and against the others.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def passed(y: Float[Tensor, "b m"]) -> Float[Tensor, "b m"]:
    """Return ρ, the share of each number that ReLU6 lets through: 0 up to 0, 1 up to 6, and 6/y beyond."""
    return torch.where(y > 0, 6 / y.clamp(min=6), 0)


def shares(
    writes: Float[Tensor, "b n m"],
    rest: Float[Tensor, "b m"],
    A: Float[Tensor, "classes m"],
    b: Float[Tensor, "classes"],
) -> tuple[Float[Tensor, "b n classes"], Float[Tensor, "b classes"]]:
    """Return what each write gives to each log p, and what is no write's; together they are log p.

    Args:
        writes: c, what each write gives to the read.
        rest: r, what no write gives to it.
        A: The weights of the linear layer.
        b: Its bias.

    Returns:
        The shares, which are 0 on average over the classes, and the rest: bias, r, and the normaliser.
    """
    through = passed(writes.sum(dim=1) + rest)
    A, b = A - A.mean(dim=0), b - b.mean()
    found, own = (writes * through[:, None]) @ A.mT, (rest * through) @ A.mT + b
    return found, own - (found.sum(dim=1) + own).logsumexp(dim=1, keepdim=True)


def without(
    writes: Float[Tensor, "b n m"],
    rest: Float[Tensor, "b m"],
    A: Float[Tensor, "classes m"],
    b: Float[Tensor, "classes"],
) -> Float[Tensor, "b n classes"]:
    """Return how each log p changes where one write is erased: y - cₛ in place of y, all else as it is.

    Args:
        writes: c, what each write gives to the read.
        rest: r, what no write gives to it.
        A: The weights of the linear layer.
        b: Its bias.
    """
    y = (writes.sum(dim=1) + rest)[:, None]
    read = torch.cat([y, y - writes], dim=1).clamp(0, 6)
    log_p = (read @ A.mT + b).log_softmax(dim=2)
    return log_p[:, 1:] - log_p[:, :1]
