"""Presets for scenes (the data set ``clutter``), and beside each a plain CNN of at least the same cost."""

from typing import Any

from stawm.catalog import recipes
from stawm.catalog.entry import Entry
from stawm.catalog.records import preset

_DIGITS = tuple("0123456789")
_PAIRS = tuple(f"{low} {high}" for low in range(10) for high in range(low, 10))
_SUMS = tuple(map(str, range(19)))
_CNN_100: dict[str, Any] = {
    "family": "baseline",
    "image": (1, 100, 100),
    "dropout": 0.0,
    "backbone": {"name": "conv", "layers": "16@5/2p2 32@3/2p1 64@3/2p1 96@3/2p1 128@3/2p1"},
    "heads": ("classification",),
    "class_names": _DIGITS,
    "mean": (0.05,),
    "std": (0.2,),
}
_CNN_60 = {
    **_CNN_100,
    "image": (1, 60, 60),
    "backbone": {"name": "conv", "layers": "32@5/2p2 64@3/2p1 96@3/2p1 128@3/2p1"},
}

SCENE_PRESETS: tuple[Entry, ...] = (
    *preset(
        "cnn-translated-60",
        "Baseline: a plain CNN for digits anywhere on 60x60.",
        _CNN_60,
        fast=recipes.SCENES_CNN,
        cites=(),
    ),
    *preset(
        "cnn-cluttered-60",
        "Baseline: a plain CNN for digits in clutter on 60x60.",
        _CNN_60,
        fast=recipes.SCENES_CNN,
        cites=(),
    ),
    *preset(
        "cnn-cluttered-100",
        "Baseline: a plain CNN for digits in clutter on 100x100.",
        _CNN_100,
        fast=recipes.SCENES_CNN,
        cites=(),
    ),
    *preset(
        "cnn-pairs-100",
        "Baseline: a plain CNN for pairs of digits in clutter on 100x100.",
        {**_CNN_100, "heads": ({"name": "classification", "classes": 55},), "class_names": _PAIRS},
        fast=recipes.SCENES_CNN,
        cites=(),
    ),
    *preset(
        "cnn-sum-100",
        "Baseline: a plain CNN for the sum of two digits in clutter on 100x100.",
        {**_CNN_100, "heads": ({"name": "classification", "classes": 19},), "class_names": _SUMS},
        fast=recipes.SCENES_CNN,
        cites=(),
    ),
)
