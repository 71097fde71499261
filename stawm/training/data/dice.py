"""Random numbers that belong to things by their keys: the same on every device, in every order and in every batch.

A key is a number of 64 bits made of a seed, an epoch and an index. The numbers of a key come from hashing it together
with a counter, by SplitMix64 (Steele, Lea and Flood 2014), whose steps are whole numbers alone.
"""

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

GAMMA = 0x9E3779B97F4A7C15 - 2**64
FIRST = 0xBF58476D1CE4E5B9 - 2**64
SECOND = 0x94D049BB133111EB - 2**64
"""The constants of SplitMix64, as signed numbers."""
BITS = 53
"""Of a double's mantissa."""


def keys(seed: int, epoch: int, index: Int64[Tensor, "b"]) -> Int64[Tensor, "b"]:
    """Return a key for each thing of an epoch.

    Args:
        seed: Any number.
        epoch: Which pass through the things.
        index: The number of each thing.
    """
    start = torch.tensor(seed % 2**63, dtype=torch.int64, device=index.device)
    return _mix(index + _mix(epoch + _mix(start)))


class Dice:
    """Rolls numbers for each of b keys; each roll gives new ones."""

    def __init__(self, keys: Int64[Tensor, "b"]) -> None:
        self.keys, self.rolled = keys, 0

    def uniform(self, *shape: int) -> Float64[Tensor, "b *shape"]:
        """Return numbers in [0, 1)."""
        count = torch.Size(shape).numel()
        counter = torch.arange(self.rolled + 1, self.rolled + count + 1, device=self.keys.device)
        self.rolled += count
        bits = _mix(self.keys[:, None] + counter * GAMMA)
        return (_shifted(bits, 64 - BITS).double() * 2.0**-BITS).view(len(self.keys), *shape)

    def below(self, bound: int | Tensor, *shape: int) -> Int64[Tensor, "b *shape"]:
        """Return whole numbers from 0 to below a bound, which may differ from number to number."""
        return (self.uniform(*shape) * bound).long()


def _mix(bits: Int64[Tensor, "..."]) -> Int64[Tensor, "..."]:
    bits = (bits ^ _shifted(bits, 30)) * FIRST
    bits = (bits ^ _shifted(bits, 27)) * SECOND
    return bits ^ _shifted(bits, 31)


def _shifted(bits: Int64[Tensor, "..."], by: int) -> Int64[Tensor, "..."]:
    """Shift to the right, filling with zeros; torch fills with the sign."""
    return (bits >> by) & ((1 << (64 - by)) - 1)
