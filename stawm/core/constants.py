"""Python's numbers as tensors, made where they are needed: a GPU is told of each, and nothing is brought to it."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def vector(numbers: Sequence[float], like: Tensor) -> Float[Tensor, "k"]:
    """Return numbers as a tensor, without waiting for a GPU, so that a step with them can be captured.

    Args:
        numbers: At least one, and few: each is a kernel of its own.
        like: A tensor of the device and type that is wanted.

    Example:
        >>> vector((1, 0.5), torch.zeros(3))
        tensor([1.0000, 0.5000])
    """
    return torch.stack([like.new_full((), float(number)) for number in numbers])
