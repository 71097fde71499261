"""Slot attention: things in an image compete for what was seen, and each draws its part (Locatello et al. 2020).

    attend: A_np = exp(q_n·k_p / √d) / Σ_m exp(q_m·k_p / √d)                 each place is shared out among the slots
    gather: u_n  = Σ_p (A_np + ε) v_p / Σ_p (A_np + ε)                       a slot is given the mean of its shares
    blend:  C = Σ_n B_n ⊙ U_n,  B_n = exp(a_n) / Σ_m exp(a_m)                each pixel is shared out among the pictures

q is made of the slots, k and v of what was seen at each of p places. The first two are Algorithm 1; blend is the
autoencoder of section 3.1.
"""

from jaxtyping import Float
from torch import Tensor

EPSILON = 1e-8
"""ε: what every place gives to every slot at least, so that none is without."""


def attend(queries: Float[Tensor, "b n d"], keys: Float[Tensor, "b p d"]) -> Float[Tensor, "b n p"]:
    """Return how each place is shared out among the slots: for each place the shares sum up to 1."""
    return (queries @ keys.mT / queries.shape[-1] ** 0.5).softmax(dim=1)


def gather(shares: Float[Tensor, "b n p"], values: Float[Tensor, "b p d"]) -> Float[Tensor, "b n d"]:
    """Return for each slot the mean of the values, weighted by its shares."""
    weights = shares + EPSILON
    return weights @ values / weights.sum(dim=-1, keepdim=True)


def blend(
    pictures: Float[Tensor, "b n c h w"], alphas: Float[Tensor, "b n 1 h w"]
) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b n 1 h w"]]:
    """Return one picture made of all, and the masks that each pixel is shared out by."""
    masks = alphas.softmax(dim=1)
    return (pictures * masks).sum(dim=1), masks
