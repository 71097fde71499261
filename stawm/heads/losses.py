"""The losses, scaled as the paper's authors scaled them."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from stawm.core.latent import joint_kl
from stawm.heads.config import prefix, weight_of
from stawm.heads.output import Latent


def classification_loss(
    logits: Float[Tensor, "b classes"],
    labels: Int[Tensor, "b"],
    reduction: Literal["mean", "sum"] = "mean",
    label_smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """Return the categorical cross entropy, averaged or summed over the batch."""
    return F.cross_entropy(logits, labels, reduction=reduction, label_smoothing=label_smoothing)


def reconstruction_loss(canvas: Float[Tensor, "b c h w"], images: Float[Tensor, "b c h w"]) -> Float[Tensor, ""]:
    """Return the squared error summed over pixels and batch.

    Summed, not averaged, as the authors' code has it: only so does their β mean the same.
    """
    return (canvas - images).square().sum()


def kl_loss(latent: Latent, beta: float) -> Float[Tensor, ""]:
    """Return β times the joint divergence from the unit Gaussian (Eq. 25), averaged over the batch."""
    return beta * torch.mean(joint_kl(latent.mu, latent.logvar))


def weighed(losses: Mapping[str, Tensor], config: Any) -> dict[str, Tensor]:
    """Return a head's losses by their names in the model, each multiplied by the head's weight.

    Args:
        losses: What the head gave.
        config: Its configuration.
    """
    start, weight = prefix(config), weight_of(config)
    return {start + name: loss if weight == 1 else weight * loss for name, loss in losses.items()}
