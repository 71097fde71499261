"""The slow, obvious twin of `stawm.core.latent`."""

import torch
from jaxtyping import Float
from torch import Tensor


def reparameterise(
    mu: Float[Tensor, "..."], logvar: Float[Tensor, "..."], eps: Float[Tensor, "..."]
) -> Float[Tensor, "..."]:
    """Return z = μ + σ ⊙ ε."""
    drawn = [
        m + torch.sqrt(torch.exp(v)) * e for m, v, e in zip(mu.flatten(), logvar.flatten(), eps.flatten(), strict=True)
    ]
    return torch.stack(drawn).view(mu.shape)


def kl(mu: Float[Tensor, "..."], logvar: Float[Tensor, "..."]) -> Float[Tensor, "b"]:
    """Return the divergence of each latent from a unit Gaussian (Eq. 24)."""
    return torch.stack(
        [_sum([_divergence(m, v) for m, v in zip(ms, vs, strict=True)]) for ms, vs in zip(mu, logvar, strict=True)]
    )


def joint_kl(mu: Float[Tensor, "..."], logvar: Float[Tensor, "..."]) -> Float[Tensor, "b"]:
    """Return the divergence of the latents of all glimpses together (Eq. 25)."""
    return torch.stack([_sum(list(kl(ms, vs))) for ms, vs in zip(mu, logvar, strict=True)])


def _divergence(mu: Tensor, logvar: Tensor) -> Tensor:
    """The divergence of N(μ, σ²) from N(0, 1)."""
    return (torch.exp(logvar) + mu**2 - 1 - logvar) / 2


def _sum(terms: list[Tensor]) -> Tensor:
    """Add numbers one after the other."""
    total = torch.zeros_like(terms[0])
    for term in terms:
        total = total + term
    return total
