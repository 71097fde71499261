"""DRAW: a picture that is read and drawn patch by patch (Gregor et al. 2015).

    x̂_t = x - S(c_t-1)                                            Eq. 3: what the canvas still lacks
    r_t = read([x, x̂_t], W h_t-1)                                  Eq. 4: by a locator, of the decoder's state h
    c_t = c_t-1 + write(w_t, Ŵ h_t)                                Eq. 8
    L_x = -log D(x | c_T) = -Σ x log S(c_T) + (1 - x) log(1 - S(c_T))   Eq. 9, in nats, for pixels that are 0 or 1
    L_z = ½ Σ_t Σ_k (μ_tk² + σ_tk² - log σ_tk² - 1)                Eq. 11
    L = L_x + L_z                                                 Eq. 12: at least -log p(x), on average

x is the image, c the canvas before its sigmoid S. How filters read and write a patch is in `stawm.core.filterbank`.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def missing(image: Float[Tensor, "b c h w"], canvas: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Return x̂, what the canvas still lacks of the image."""
    return image - canvas.sigmoid()


def seen(image: Float[Tensor, "b c h w"], canvas: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 2*c h w"]:
    """Return [x, x̂], what is read from."""
    return torch.cat([image, missing(image, canvas)], dim=1)


def surprise(canvas: Float[Tensor, "b c h w"], image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b"]:
    """Return L_x of each image, in nats; of grey pixels it is the cross entropy."""
    # x log S(c) + (1 - x) log(1 - S(c)) = x c - log(1 + exp c), which keeps its digits where S(c) is almost 0 or 1.
    return (F.softplus(canvas) - image * canvas).sum(dim=(1, 2, 3))


def divergence(mu: Float[Tensor, "b n k"], logvar: Float[Tensor, "b n k"]) -> Float[Tensor, "b"]:
    """Return L_z of each image, in nats: `stawm.core.latent.joint_kl`, so summed that rounding makes it never negative.

    σ² - 1 is computed as one number: where σ is close to 1 it has digits that σ² does not have.
    """
    return (mu.square() + (logvar.expm1() - logvar)).sum(dim=(1, 2)) / 2


def bound(
    canvas: Float[Tensor, "b c h w"],
    image: Float[Tensor, "b c h w"],
    mu: Float[Tensor, "b n k"],
    logvar: Float[Tensor, "b n k"],
) -> Float[Tensor, "b"]:
    """Return L_x + L_z of each image, in nats, for a canvas that was drawn from latents of these Gaussians."""
    return surprise(canvas, image) + divergence(mu, logvar)
