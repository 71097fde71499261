"""The slow, obvious twin of `stawm.core.spatial_softmax`."""

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.core.spatial_softmax import Points


def points(maps: Float[Tensor, "b f h w"], temperature: Float[Tensor, ""]) -> Points:
    """Return the point of each map."""
    b, f, height, width = maps.shape
    found: list[list[Tensor]] = [[], [], []]
    for image in maps:
        for one in image:
            cells = [(i, j) for i in range(height) for j in range(width)]
            weights = [torch.exp(one[i, j] / temperature) for i, j in cells]
            whole = sum(weights[1:], weights[0])
            of = [
                [(2 * j + 1) / width - 1 for _, j in cells],
                [(2 * i + 1) / height - 1 for i, _ in cells],
                [one[i, j] for i, j in cells],
            ]
            for each, values in zip(found, of, strict=True):
                terms = [weight / whole * value for weight, value in zip(weights, values, strict=True)]
                each.append(sum(terms[1:], terms[0]))
    return Points(*(torch.stack(each).view(b, f) for each in found))
