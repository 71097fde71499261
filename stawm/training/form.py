"""The form of a state: checked before a run goes back to it, as a checkpoint is before a model is made."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from stawm.training.data import Examples
from stawm.training.recipes import Recipe


def fault(state: Mapping[str, Any], like: Mapping[str, Any], recipe: Recipe, images: Examples) -> str | None:
    """Return what is wrong with the form of a state, or None.

    Args:
        state: What was read.
        like: The state that the run is in now; that of its weights has the form that is due.
        recipe: How many images a step has, and how many epochs there are.
        images: What is learned from.
    """
    parts: Mapping[str, Callable[[Any], bool]] = {
        "note": lambda part: isinstance(part, Mapping),
        "run": lambda part: isinstance(part, Mapping) and part.keys() == like.keys(),
        "history": lambda part: isinstance(part, list) and all(isinstance(entry, dict) for entry in part),
        "tally": _is_tally,
    }
    broken = [name for name, fits in parts.items() if not fits(state.get(name))]
    if broken:
        return f"its {' and '.join(broken)} {'is' if len(broken) == 1 else 'are'} of another form"
    run = state["run"]
    if not _is_step(run["step"], run["first_loss"]):
        return "its step or first loss is of another form"
    for name in ("model", "average"):
        if said := _weights_fault(run[name], like[name]):
            return f"of its {name}, {said}"
    if not _is_optimiser(run["optimiser"], like["optimiser"]):
        return "its optimiser is of another form"
    return _place_fault(state, recipe, len(images))


def _is_step(step: Any, first_loss: Any) -> bool:
    return type(step) is int and step >= 0 and (first_loss is None or _is_number(first_loss))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_tally(part: Any) -> bool:
    if not isinstance(part, Mapping) or part.keys() != {"sums", "seen", "seconds"} or not _is_number(part["seconds"]):
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


def _is_optimiser(found: Any, like: Mapping[str, Any]) -> bool:
    """Whether the state of an optimiser has the groups of another one, and for each weight numbers of one shape."""
    if not isinstance(found, Mapping) or found.keys() != like.keys() or not isinstance(found["state"], Mapping):
        return False
    groups = found["param_groups"]
    if not isinstance(groups, list) or [_members(g) for g in groups] != [_members(g) for g in like["param_groups"]]:
        return False
    known = {index for group in groups for index in group["params"]}
    return all(index in known and _are_moments(kept) for index, kept in found["state"].items())


def _members(group: Any) -> Any:
    return (group.keys(), group["params"]) if isinstance(group, Mapping) and "params" in group else None


def _are_moments(kept: Any) -> bool:
    if not isinstance(kept, Mapping):
        return False
    held = [value for value in kept.values() if value is not None]
    return all(isinstance(value, Tensor) for value in held) and len({v.shape for v in held if v.ndim}) <= 1


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
