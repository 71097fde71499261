"""The form of a state: checked before a run goes back to it, as a checkpoint is before a model is made."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from stawm.configuration.fields import fits
from stawm.training.data import Examples
from stawm.training.recipes import Recipe
from stawm.training.run import Run


def fault(state: Mapping[str, Any], run: Run, images: Examples) -> str | None:
    """Return what is wrong with the form of a state, or None.

    Args:
        state: What was read.
        run: The run that is to go back to it; its own state has the form that is due.
        images: What is learned from.
    """
    like = run.state()
    parts: Mapping[str, Callable[[Any], bool]] = {
        "note": lambda part: isinstance(part, Mapping),
        "run": lambda part: isinstance(part, Mapping) and part.keys() == like.keys(),
        "history": lambda part: isinstance(part, list) and all(isinstance(entry, dict) for entry in part),
        "tally": _is_tally,
    }
    broken = [name for name, fits in parts.items() if not fits(state.get(name))]
    if broken:
        return f"its {' and '.join(broken)} {'is' if len(broken) == 1 else 'are'} of another form"
    held = state["run"]
    if not _is_step(held["step"], held["first_loss"]):
        return "its step or first loss is of another form"
    for name in ("model", "average"):
        if said := _weights_fault(held[name], like[name]):
            return f"of its {name}, {said}"
    shapes = [weight.shape for group in run.optimiser.param_groups for weight in group["params"]]
    if not _is_optimiser(held["optimiser"], like["optimiser"], shapes):
        return "its optimiser is of another form"
    return _place_fault(state, run.recipe, len(images))


def _is_step(step: Any, first_loss: Any) -> bool:
    return type(step) is int and step >= 0 and (first_loss is None or fits(first_loss, float))


def _is_tally(part: Any) -> bool:
    if not isinstance(part, Mapping) or part.keys() != {"sums", "seen", "seconds"} or not fits(part["seconds"], float):
        return False
    sums = part["sums"]
    scalars = isinstance(sums, Mapping) and all(isinstance(s, Tensor) and s.ndim == 0 for s in sums.values())
    return scalars and type(part["seen"]) is int and part["seen"] >= 0


def _weights_fault(found: Any, like: Mapping[str, Tensor] | None) -> str | None:
    if like is None or not isinstance(found, Mapping):
        return None if found is None and like is None else "there is too much or too little"
    if found.keys() != like.keys():
        return f"{sorted(map(str, found.keys() ^ like.keys()))[0]} is missing or too much"
    for name, weight in found.items():
        if not isinstance(weight, Tensor) or (weight.shape, weight.dtype) != (like[name].shape, like[name].dtype):
            return f"{name} has another shape or type"
        if not bool(torch.isfinite(weight).all()):
            return f"{name} is not finite"
    return None


def _is_optimiser(found: Any, like: Mapping[str, Any], shapes: Sequence[torch.Size]) -> bool:
    """Whether the state of an optimiser has the groups of another one, and numbers of each weight's shape."""
    if not isinstance(found, Mapping) or found.keys() != like.keys() or not isinstance(found["state"], Mapping):
        return False
    groups = found["param_groups"]
    if not isinstance(groups, list) or [_members(g) for g in groups] != [_members(g) for g in like["param_groups"]]:
        return False
    known = dict(enumerate(shapes))  # as torch numbers them
    return all(index in known and _are_moments(kept, known[index]) for index, kept in found["state"].items())


def _members(group: Any) -> Any:
    return (group.keys(), group["params"]) if isinstance(group, Mapping) and "params" in group else None


def _are_moments(kept: Any, shape: torch.Size) -> bool:
    if not isinstance(kept, Mapping):
        return False
    held = [value for value in kept.values() if value is not None]
    return all(isinstance(value, Tensor) and value.shape in (shape, ()) for value in held)


def _place_fault(state: Mapping[str, Any], recipe: Recipe, images: int) -> str | None:
    """Return a sentence where step, epochs and images seen do not belong together, so that no epoch is ever empty."""
    steps, done, step = math.ceil(images / recipe.batch), len(state["history"]), state["run"]["step"]
    ends = [(entry.get("epoch"), entry.get("step")) for entry in state["history"]]
    within = step - done * steps
    belongs = (
        ends == [(epoch, epoch * steps) for epoch in range(1, done + 1)]
        and 0 <= within <= steps
        and state["tally"]["seen"] == min(within * recipe.batch, images)
        and (done < recipe.epochs or (done == recipe.epochs and within == 0))
    )
    return (
        None if belongs else f"it stands at step {step:,} of epoch {done + 1}, where no run on {images:,} images does"
    )
