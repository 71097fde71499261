"""What to say when training runs into numbers that are no numbers, or into losses that explode."""

import contextlib
import math
from collections.abc import Mapping

import torch
from torch import Tensor

from stawm.errors import StawmError
from stawm.models.diagnosis import diagnose
from stawm.models.model import Model, Stawm

EXPLODED = 1000.0
"""How many times the loss of the first step a loss must exceed to count as exploded."""
CURE = (
    "Lower recipe.rate, or train anew with a bounded memory (memory.constrained=true memory.normalise=0.9) "
    "and bounded poses (pose_limit=1 recipe.pose_clip=1)."
)
LOOKED_AT = 64


class DivergedError(StawmError):
    """Training ran into losses or gradients that are not finite, or exploded, and was stopped."""


def check(losses: Mapping[str, float], watched: Mapping[str, float], first: float, step: int) -> None:
    """Check the numbers of a step.

    Args:
        losses: The parts of the loss.
        watched: What else was looked at: ``gradient_norm`` and ``largest_input``.
        first: The loss of the run's first step.
        step: The step, from 1.

    Raises:
        DivergedError: A number is not finite, or the loss is much larger than it was at first.
    """
    total, norm = losses["total"], watched["gradient_norm"]
    if not math.isfinite(total + norm):
        said = "its loss or gradient is not finite"
    elif total > EXPLODED * max(first, 1.0):
        said = f"its loss is {total:.3g}, and was {first:.3g} at first"
    else:
        return
    driven = f" The largest |e|² was {watched['largest_input']:.3g}." if watched["largest_input"] else ""
    raise DivergedError(f"Training diverged at step {step}: {said}.{driven}")


def verdict(model: Model, pixels: Tensor | None) -> str:
    """Return what the diagnosis of the memory says, or nothing where there is none to make.

    Args:
        model: The model, with the last weights that are finite.
        pixels: Images as pixel values in [0, 1].
    """
    if not isinstance(model, Stawm) or pixels is None:
        return ""
    with contextlib.suppress(StawmError, RuntimeError):
        found = diagnose(model, pixels[:LOOKED_AT])
        return " The memory's diagnosis: " + (" ".join(found.advice) or "nothing to mend.")
    return ""


def is_finite(model: Model) -> bool:
    """Whether all weights are finite."""
    return all(bool(torch.isfinite(weight).all()) for weight in model.state_dict().values())
