"""What tells a run from another one in the same folder: model, recipe, options, images, and the machine."""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from stawm.errors import InputError
from stawm.models.resolve import config as resolve_config
from stawm.training.data import ImageSet, Splits
from stawm.training.options import RunOptions
from stawm.training.recipes import Recipe, from_record

MOST = 8
"""How many differences are told."""
LONGEST = 72
"""Characters of a value that is told."""
_ABSENT = object()


def of_images(splits: Splits) -> dict[str, Any]:
    """Return what tells the images of a run from others, as JSON values."""
    return {name: _of_set(part) for name, part in splits._asdict().items()}


def _of_set(images: ImageSet) -> dict[str, Any]:
    return {"count": len(images), "classes": list(images.class_names), "fingerprint": images.fingerprint()}


def of_machine(device: torch.device, processes: int) -> dict[str, Any]:
    """Return what of a machine the last bits depend on, as JSON values: on a GPU not the threads of the CPU."""
    threads = torch.get_num_threads() if device.type == "cpu" else None
    return {"device": device.type, "threads": threads, "processes": processes}


def check_same(noted: Mapping[str, Any], now: Mapping[str, Any], place: Path, *, inexact: bool) -> str:
    """Check that a run goes on as what it was begun as, and return what is to be said of it, which may be nothing.

    Args:
        noted: What its state says, also one of the first version, which says nothing of images and machine.
        now: What is asked for.
        place: The run's folder.
        inexact: Whether it may go on where its numbers will be others.

    Raises:
        InputError: It is another run, or goes on on another machine; the message says what differs, and both values.
    """
    found = differences(noted, now)
    if found:
        told = "; ".join(found[:MOST]) + (f"; and {len(found) - MOST} more" if len(found) > MOST else "")
        raise InputError(f"{place} holds another run: {told}. Give another folder, or what that run was begun with.")
    if "images" not in noted:
        return f"{place} is of an earlier version, which did not note its images: these are taken to be the same."
    changed = "; ".join(_apart("", noted.get("machine"), now["machine"]))
    if not changed:
        return ""
    if not inexact:
        raise InputError(
            f"{place} was begun otherwise: {changed}. It would not end bit by bit as it would have there. Go on as it "
            "was begun (OMP_NUM_THREADS decides the threads), or allow other numbers with --inexact."
        )
    return f"{place} was begun otherwise: {changed}. It goes on, and will not end bit by bit as it would have there."


def differences(noted: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each field in which two runs differ, with both values.

    Fields that a run of an older version does not know count as what they are if left out. Where both know their
    images, it does not matter where those lie.
    """
    left_out = {"machine"}
    if "images" not in noted:
        left_out |= {"images"}
    elif noted["images"] == now["images"]:
        left_out |= {"data", "data_fields"}
    before, after = _completed(noted), {**_usual_options(), **now}
    keys = [key for key in dict.fromkeys([*now, *after, *before]) if key not in left_out]
    return [line for key in keys for line in _apart(key, before.get(key, _ABSENT), after.get(key, _ABSENT))]


def _completed(noted: Mapping[str, Any]) -> dict[str, Any]:
    """Return a note with the usual values of the fields that were unknown when it was written."""
    found = {**_usual_options(), **noted}
    with contextlib.suppress(Exception):  # what is of another form is another run's
        found["config"] = resolve_config(noted["config"]).to_dict()
    with contextlib.suppress(Exception):
        found["recipe"] = of_recipe(from_record(noted["recipe"], "The noted recipe"))
    return found


def _usual_options() -> dict[str, Any]:
    return {key: value for key, value in RunOptions().to_dict().items() if key not in RunOptions.without_effect}


def of_recipe(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as JSON values, without what only gives an option its usual value."""
    return {key: value for key, value in recipe.to_dict().items() if key != "frozen_passes"}


def _apart(key: str, before: Any, now: Any) -> list[str]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        inside = dict.fromkeys([*now, *before])
        dotted = f"{key}." if key else ""
        return [
            line
            for name in inside
            for line in _apart(f"{dotted}{name}", before.get(name, _ABSENT), now.get(name, _ABSENT))
        ]
    if isinstance(before, Sequence) and isinstance(now, Sequence) and not isinstance(now, str):
        before, now = list(before), list(now)
    return [] if before == now else [f"{key} is {_short(before)} there and {_short(now)} here"]


def _short(value: Any) -> str:
    if value is _ABSENT:
        return "unknown"
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
