"""The optimiser of a recipe."""

import torch

from stawm.heads.model import Model
from stawm.training.recipes import Recipe

FUSED_ON = {"cpu", "cuda"}
"""Devices on which PyTorch updates all weights of a model in one kernel."""
MOMENTS = {"sgd": 1, "adam": 2, "adamw": 2}
"""How many numbers an optimiser keeps for every weight."""


def make_optimiser(model: Model, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the recipe's optimiser; what has one axis or none (biases, norms, rates) is not decayed."""
    learned = learned_weights(model)
    groups = [
        {"params": [p for p in learned if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in learned if p.ndim <= 1], "weight_decay": 0.0},
    ]
    fused = {p.device.type for p in learned} <= FUSED_ON
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=recipe.rate, momentum=0.9, fused=fused)
    cls = torch.optim.AdamW if recipe.optimiser == "adamw" else torch.optim.Adam
    return cls(groups, lr=recipe.rate, fused=fused)


def learned_weights(model: Model) -> list[torch.nn.Parameter]:
    """Return the parameters that are trained."""
    return [p for p in model.parameters() if p.requires_grad]
