"""The slow, obvious twin of `stawm.core.draw`."""

import torch
from jaxtyping import Float
from torch import Tensor


def missing(image: Float[Tensor, "b c h w"], canvas: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Return x̂, what the canvas still lacks of the image."""
    return image - 1 / (1 + torch.exp(-canvas))


def seen(image: Float[Tensor, "b c h w"], canvas: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 2*c h w"]:
    """Return [x, x̂], what is read from."""
    lacks = missing(image, canvas)
    return torch.stack([torch.stack([*x, *rest]) for x, rest in zip(image, lacks, strict=True)])


def surprise(canvas: Float[Tensor, "b c h w"], image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b"]:
    """Return L_x of each image: minus the logarithm of the chance of every pixel."""
    totals = []
    for drawn, pixels in zip(canvas, image, strict=True):
        chance = 1 / (1 + torch.exp(-drawn))
        totals.append(-(pixels * torch.log(chance) + (1 - pixels) * torch.log(1 - chance)).sum())
    return torch.stack(totals)


def divergence(mu: Float[Tensor, "b n k"], logvar: Float[Tensor, "b n k"]) -> Float[Tensor, "b"]:
    """Return L_z of each image, number by number."""
    totals = []
    for means, variances in zip(mu, logvar, strict=True):
        pairs = zip(means.flatten(), variances.flatten(), strict=True)
        totals.append(sum((m**2 + torch.exp(v) - v - 1) / 2 for m, v in pairs))
    return torch.stack([torch.as_tensor(total) for total in totals])


def bound(
    canvas: Float[Tensor, "b c h w"],
    image: Float[Tensor, "b c h w"],
    mu: Float[Tensor, "b n k"],
    logvar: Float[Tensor, "b n k"],
) -> Float[Tensor, "b"]:
    """Return L_x + L_z of each image."""
    pairs = zip(surprise(canvas, image), divergence(mu, logvar), strict=True)
    return torch.stack([one + other for one, other in pairs])
