"""What to say when training runs into numbers that are no numbers, or into losses that explode."""

import contextlib
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from stawm.errors import StawmError
from stawm.models.diagnosis import diagnose
from stawm.models.model import Model, Stawm

EXPLODED = 1000.0
"""How many times the loss of the first step a loss must exceed to count as exploded."""
OF_LATENT = "kl"
"""The part of the loss that the latent of a model that draws decides alone."""
CURE = (
    "Lower recipe.rate, or train anew with a bounded memory (memory.constrained=true memory.normalise=0.9) "
    "and bounded poses (pose_limit=1 recipe.pose_clip=1)."
)
CURE_OF_LATENT = (
    "Its KL divergence is what grew: the latent's means or log-variances ran away, not the memory. Lower recipe.rate "
    "or recipe.clip, or let the divergence weigh less (heads.drawing.beta)."
)
LOOKED_AT = 64
MODERATE = 1e6
"""Below this largest |e|² it was not the memory's input that blew up."""


class DivergedError(StawmError):
    """Training ran into numbers that are not finite, or exploded, and was stopped.

    Attributes:
        cure: What to do about it.
    """

    def __init__(self, message: str, cure: str = CURE) -> None:
        self.cure = cure
        super().__init__(message)


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
    total, norm, driven = losses["total"], watched["gradient_norm"], watched["largest_input"]
    wrong = {name: value for name, value in losses.items() if name != "total" and not math.isfinite(value)}
    if not math.isfinite(total + norm):
        told = ", ".join(f"{name} is {value}" for name, value in wrong.items()) or "the gradient alone"
        said = "its loss or gradient is not finite" + (f" ({told})" if len(losses) > 2 else "")
        of_latent = OF_LATENT in wrong and driven < MODERATE
    elif total > EXPLODED * max(first, 1.0):
        said = f"its loss is {total:.3g}, and was {first:.3g} at first"
        of_latent = losses.get(OF_LATENT, 0.0) > total / 2
    else:
        return
    shown = f" The largest |e|² was {driven:.3g}." if driven else ""
    raise DivergedError(f"Training diverged at step {step}: {said}.{shown}", CURE_OF_LATENT if of_latent else CURE)


def check_weights(model: Model, step: int) -> None:
    """Check that all weights are finite, so that what is kept can be gone on from.

    Raises:
        DivergedError: They are not.
    """
    if not is_finite(model):
        raise DivergedError(f"Training diverged at step {step}: weights are not finite after it.")


def check_epoch(model: Model, entry: Mapping[str, Any]) -> None:
    """Check what an epoch left, and what was measured after it.

    Args:
        model: The model that is kept.
        entry: What is logged of the epoch.

    Raises:
        DivergedError: Something is not finite.
    """
    check_weights(model, entry["step"])
    check_measured(entry, f"after epoch {entry['epoch']}")


def check_measured(entry: Mapping[str, Any], when: str) -> None:
    """Check what was measured.

    Args:
        entry: Numbers, also in lists and mappings.
        when: When they were measured, in words.

    Raises:
        DivergedError: One is not finite.
    """
    wrong = dict(_not_finite(entry))
    if entry.get("unanswered"):
        wrong["unanswered"] = entry["unanswered"]  # images whose answer is no number
    if wrong:
        told = ", ".join(f"{name} is {value}" for name, value in wrong.items())
        cure = CURE_OF_LATENT if wrong.keys() == {OF_LATENT} else CURE
        raise DivergedError(f"Training diverged {when}: what was measured is not finite ({told}).", cure)


def _not_finite(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """Find the numbers that are not finite, by the names that lead to them."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _not_finite(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _not_finite(inner, name)
    elif isinstance(value, float) and not math.isfinite(value):
        yield name, value


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
