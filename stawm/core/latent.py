"""The variational latent of each glimpse, and its divergence from a unit Gaussian.

    z = μ + σ ⊙ ε,  ε ~ N(0, I)                                              Kingma and Welling 2014, section 2.4
    D_KL = -½ Σ_k (1 + log σ_k² - μ_k² - σ_k²)                               the paper's Eq. 24
    D_KL of n glimpses = -½ Σ_k (n + Σ_t log σ_tk² - Σ_t μ_tk² - Σ_t σ_tk²)   the paper's Eq. 25

The paper prints Eq. 24 and 25 for one latent dimension; the sum over k is what its joint form needs to be
the divergence of the concatenated latents.
"""

from jaxtyping import Float
from torch import Tensor

from stawm.errors import InputError


def reparameterise(
    mu: Float[Tensor, "..."], logvar: Float[Tensor, "..."], eps: Float[Tensor, "..."]
) -> Float[Tensor, "..."]:
    """Return z = μ + σ ⊙ ε.

    Raises:
        InputError: The shapes differ.
    """
    _same_shape(mu=mu, logvar=logvar, eps=eps)
    return mu + (logvar / 2).exp() * eps


def kl(mu: Float[Tensor, "..."], logvar: Float[Tensor, "..."]) -> Float[Tensor, "b"]:
    """Return the divergence of each latent from a unit Gaussian (Eq. 24).

    Raises:
        InputError: The shapes differ or are not (b, k).
    """
    _same_shape(mu=mu, logvar=logvar)
    _has_axes(mu, "b k")
    return -(1 + logvar - mu.square() - logvar.exp()).sum(dim=1) / 2


def joint_kl(mu: Float[Tensor, "..."], logvar: Float[Tensor, "..."]) -> Float[Tensor, "b"]:
    """Return the divergence of the latents of all glimpses together (Eq. 25).

    Raises:
        InputError: The shapes differ or are not (b, n, k).
    """
    _same_shape(mu=mu, logvar=logvar)
    _has_axes(mu, "b n k")
    return -(mu.shape[1] + (logvar - mu.square() - logvar.exp()).sum(dim=1)).sum(dim=1) / 2


def _same_shape(**tensors: Tensor) -> None:
    first, *others = (tensor.shape for tensor in tensors.values())
    if any(shape != first for shape in others):
        given = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in tensors.items())
        raise InputError(f"{' and '.join(tensors)} must be of one shape; got {given}.")


def _has_axes(mu: Tensor, axes: str) -> None:
    if mu.dim() != len(axes.split()):
        raise InputError(
            f"mu and logvar must have the axes ({', '.join(axes.split())}); got the shape {tuple(mu.shape)}."
        )
