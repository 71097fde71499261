"""Two answers, one after the other, to which two things there are, in any order.

    p({a, b}) = p₁(a) p₂(b) + p₁(b) p₂(a)  for a ≠ b,        p({a, a}) = p₁(a) p₂(a)

Pairs are numbered as `itertools.combinations_with_replacement` lists them: 0 0, 0 1, ... 0 k, 1 1, ...
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def log_pairs(first: Float[Tensor, "*b k"], second: Float[Tensor, "*b k"]) -> Float[Tensor, "*b pairs"]:
    """Return the logarithm of the probability of each pair.

    Args:
        first: log p₁, of the first answer.
        second: log p₂, of the second.
    """
    low, high = torch.triu_indices(first.shape[-1], first.shape[-1], device=first.device).unbind(0)
    there, back = first[..., low] + second[..., high], first[..., high] + second[..., low]
    more, less = torch.maximum(there, back), torch.minimum(there, back)
    twice = (low == high).to(first.dtype) * math.log(2)  # of a thing with itself both orders are one
    return more + (less - more).exp().log1p() - twice
