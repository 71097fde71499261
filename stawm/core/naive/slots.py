"""The slow, obvious twin of `stawm.core.slots`: one place at a time."""

import itertools
import math

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.core.slots import EPSILON


def attend(queries: Float[Tensor, "b n d"], keys: Float[Tensor, "b p d"]) -> Float[Tensor, "b n p"]:
    """Return how each place is shared out among the slots."""
    batch, count, size = queries.shape
    out = torch.empty(batch, count, keys.shape[1], dtype=queries.dtype)
    for b, p in itertools.product(range(batch), range(keys.shape[1])):
        alike = [sum(queries[b, n, i] * keys[b, p, i] for i in range(size)) / math.sqrt(size) for n in range(count)]
        parts = [torch.exp(torch.as_tensor(each)) for each in alike]
        for n in range(count):
            out[b, n, p] = parts[n] / sum(parts)
    return out


def gather(shares: Float[Tensor, "b n p"], values: Float[Tensor, "b p d"]) -> Float[Tensor, "b n d"]:
    """Return for each slot the mean of the values, weighted by its shares."""
    batch, count, places = shares.shape
    out = torch.empty(batch, count, values.shape[2], dtype=values.dtype)
    for b, n, i in itertools.product(range(batch), range(count), range(values.shape[2])):
        whole = sum(shares[b, n, p] + EPSILON for p in range(places))
        out[b, n, i] = sum((shares[b, n, p] + EPSILON) * values[b, p, i] for p in range(places)) / whole
    return out


def blend(
    pictures: Float[Tensor, "b n c h w"], alphas: Float[Tensor, "b n 1 h w"]
) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b n 1 h w"]]:
    """Return one picture made of all, and the masks that each pixel is shared out by."""
    batch, count, channels, height, width = pictures.shape
    picture, masks = torch.zeros_like(pictures[:, 0]), torch.empty_like(alphas)
    for b, i, j in itertools.product(range(batch), range(height), range(width)):
        parts = [torch.exp(alphas[b, n, 0, i, j]) for n in range(count)]
        shares = [part / sum(parts) for part in parts]
        for n in range(count):
            masks[b, n, 0, i, j] = shares[n]
        for c in range(channels):
            picture[b, c, i, j] = sum(shares[n] * pictures[b, n, c, i, j] for n in range(count))
    return picture, masks
