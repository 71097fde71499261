"""Models that train in a moment, and all their weights in one row."""

from typing import Any

import torch
from torch import Tensor, nn

TINY: dict[str, Any] = {"memory_size": 8, "hidden_size": 16, "glimpses": 2}
LEAST: dict[str, Any] = {
    "memory_size": 4,
    "hidden_size": 6,
    "glimpses": 2,
    "context": {"layers": "3@3/2"},
    "backbone": {"layers": "2@3/1 3@3/2"},
}
"""Fields of the smallest model, for tests of what happens around it."""
BRIEF: dict[str, Any] = {"recipe.epochs": 2, "recipe.batch": 16, "cpu": True, "quiet": True, "pictures": 0}
"""The shortest run of it on the few digits: 5 steps an epoch."""


def weights(model: nn.Module) -> Tensor:
    """Return what a model's state holds, one after the other."""
    return torch.cat([p.detach().flatten().double() for p in model.state_dict().values()])
