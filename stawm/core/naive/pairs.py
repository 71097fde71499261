"""The slow, obvious twin of `stawm.core.pairs`."""

from itertools import combinations_with_replacement

import torch
from jaxtyping import Float
from torch import Tensor


def log_pairs(first: Float[Tensor, "*b k"], second: Float[Tensor, "*b k"]) -> Float[Tensor, "*b pairs"]:
    """Return the logarithm of the probability of each pair, one by one."""
    p, q = first.exp(), second.exp()
    found = []
    for a, b in combinations_with_replacement(range(first.shape[-1]), 2):
        both = p[..., a] * q[..., b]
        found.append(both if a == b else both + p[..., b] * q[..., a])
    return torch.stack(found, dim=-1).log()
