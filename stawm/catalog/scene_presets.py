"""Presets for scenes (the data set ``clutter``), and beside each a plain CNN of at least the same cost."""

from typing import Any

from stawm.catalog import recipes
from stawm.catalog.entry import Entry
from stawm.catalog.records import preset

DIGITS = tuple("0123456789")
PIXELS = {"mean": (0.0211,), "std": (0.1331,)}
"""Of scenes of the data set ``clutter``."""
PAIRS = {
    "heads": ({"name": "classification", "classes": 55},),
    "class_names": tuple(f"{low} {high}" for low in range(10) for high in range(low, 10)),
}
_SUM = {"heads": ({"name": "classification", "classes": 19},), "class_names": tuple(map(str, range(19)))}
_100: dict[str, Any] = {
    "image": (1, 100, 100),
    "glimpses": 4,
    "glimpse_size": 12,
    "memory_size": 128,
    "hidden_size": 128,
    "dropout": 0.0,
    "pose_limit": 1.0,
    "context": {"name": "spatial-softmax", "layers": "16@5/1p2 32@3/2p1 32@3/1p1"},
    "context_size": 24,
    "backbone": {"name": "conv", "layers": "32@3/1p1 64@3/2p1 64@3/2p1"},
    "locator": {"name": "retina", "scales": 4, "antialias": True},
    "memory": {"name": "hebb-rosenblatt", "constrained": True, "normalise": 0.9},
    "canvas": "addition",
    "heads": ("classification",),
    "class_names": DIGITS,
    **PIXELS,
}
_60 = {**_100, "image": (1, 60, 60), "locator": {"name": "retina", "scales": 3, "antialias": True, "width": 0.2}}
_TWO = {**_100, "glimpses": 6}
CNN_100: dict[str, Any] = {
    "family": "baseline",
    "image": (1, 100, 100),
    "dropout": 0.0,
    "backbone": {"name": "conv", "layers": "16@5/2p2 32@3/2p1 64@3/2p1 96@3/2p1 128@3/2p1"},
    "heads": ("classification",),
    "class_names": DIGITS,
    **PIXELS,
}
CNN_60 = {
    **CNN_100,
    "image": (1, 60, 60),
    "backbone": {"name": "conv", "layers": "32@5/2p2 64@3/2p1 96@3/2p1 128@3/2p1"},
}


_RECALL: dict[str, Any] = {
    "image": (1, 64, 64),
    "glimpses": 6,
    "glimpse_size": 16,
    "memory_size": 96,
    "hidden_size": 64,
    "dropout": 0.0,
    "pose_limit": 1.0,
    "context": {"name": "spatial-softmax", "layers": "16@5/2p2 32@3/1p1"},
    "context_size": 24,
    "backbone": {"name": "conv", "layers": "16@3/1p1 32@3/2p1 48@3/2p1"},
    "locator": {"name": "retina", "scales": 2, "antialias": True},
    "memory": "delta",
    "canvas": "addition",
    "heads": (
        {
            "name": "recall",
            "cues": 4,
            "cue_names": ("top left", "top right", "bottom left", "bottom right"),
            "hidden": 64,
        },
    ),
    "class_names": DIGITS,
    "mean": (0.0984,),
    "std": (0.2728,),
}


def _task(task: str, words: str, looks: dict[str, Any], plain: dict[str, Any]) -> tuple[Entry, ...]:
    """Return the preset that looks, and the CNN beside it."""
    return (
        *preset(
            f"stawm-{task}",
            f"{words}, in {looks['glimpses']} glimpses of 12x12.",
            looks,
            fast=recipes.SCENES,
            cites=("harris2019", "mnih2014"),
        ),
        *preset(
            f"cnn-{task}",
            f"Baseline: {words[0].lower()}{words[1:]}, seen whole by a plain CNN.",
            plain,
            fast=recipes.SCENES_CNN,
            cites=("mnih2014",),
        ),
    )


SCENE_PRESETS: tuple[Entry, ...] = (
    *preset(
        "stawm-recall",
        "What stands at each place of a 2x2 grid of digits, asked after looking, in 6 glimpses of 16x16.",
        _RECALL,
        fast=recipes.RECALL,
        cites=("harris2019", "mnih2014", "schlag2021"),
    ),
    *_task("translated-60", "Digits anywhere on 60x60", _60, CNN_60),
    *_task("cluttered-60", "Digits in clutter on 60x60", _60, CNN_60),
    *_task("cluttered-100", "Digits in clutter on 100x100", _100, CNN_100),
    *_task(
        "pairs-100", "Pairs of digits in clutter on 100x100", {**_100, **PAIRS, "glimpses": 6}, {**CNN_100, **PAIRS}
    ),
    *_task(
        "sum-100", "The sum of two digits in clutter on 100x100", {**_100, **_SUM, "glimpses": 6}, {**CNN_100, **_SUM}
    ),
)
