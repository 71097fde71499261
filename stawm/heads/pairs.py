"""A classifier that answers twice: which two things there are, in any order."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stawm.core.pairs import log_pairs
from stawm.errors import ConfigError
from stawm.nn.precision import full_precision


class PairClassifier(nn.Module):
    """One linear layer and LogSoftmax for both answers, and from these the pairs (after Ba et al. 2015, sequences)."""

    def __init__(self, features: int, classes: int) -> None:
        """Make the layer.

        Args:
            features: How many numbers each answer is read from.
            classes: How many pairs there are, k (k + 1) / 2 of k things.

        Raises:
            ConfigError: There are never so many pairs.
        """
        super().__init__()
        things = (math.isqrt(8 * classes + 1) - 1) // 2
        if things * (things + 1) // 2 != classes:
            raise ConfigError(
                [f"Two answers tell k (k + 1) / 2 pairs of k things apart, such as 55 of 10; got classes={classes}."]
            )
        self.linear = nn.Linear(features, things)

    def forward(self, x: Float[Tensor, "*b twice"]) -> Float[Tensor, "*b classes"]:
        """Return the logarithms of the pairs' probabilities, from what the two answers are read from side by side."""
        first, second = (full_precision(self.linear(half)).log_softmax(dim=-1) for half in torch.chunk(x, 2, dim=-1))
        return log_pairs(first, second)
