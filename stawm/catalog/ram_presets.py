"""Presets of the family ``ram``: the Recurrent Attention Model, and what was made of it, on the tasks of its papers."""

from typing import Any

from stawm.catalog import recipes
from stawm.catalog.entry import Entry
from stawm.catalog.records import preset
from stawm.catalog.scene_presets import DIGITS, PAIRS, PIXELS


def _seen_by(side: int) -> dict[str, Any]:
    """Return a network of one layer of 128 units, connected to every pixel of a glimpse."""
    return {"name": "conv", "layers": f"128@{side}/1", "norm": "none", "bias": True, "init": "kaiming"}


_MNIST: dict[str, Any] = {
    "family": "ram",
    "image": (1, 28, 28),
    "glimpses": 6,
    "glimpse_size": 8,
    "hidden_size": 256,
    "feature_size": 256,
    "where_size": 128,
    "join": "sum",
    "dropout": 0.0,
    "backbone": _seen_by(8),
    "locator": {"name": "retina", "width": 8 / 28},
    "policy": {"name": "gaussian", "sigma": 0.1, "weight": 0.1},
    "heads": ("classification",),
    "class_names": DIGITS,
    "mean": (0.1307,),
    "std": (0.3081,),
}
_CLUTTERED_60: dict[str, Any] = {
    **_MNIST,
    "image": (1, 60, 60),
    "glimpses": 8,
    "glimpse_size": 12,
    "backbone": _seen_by(12),
    "locator": {"name": "retina", "scales": 3, "width": 0.2, "antialias": True},
    **PIXELS,
}
_PAIRS: dict[str, Any] = {
    "family": "ram",
    "image": (1, 100, 100),
    "glimpses": 4,
    "glimpse_size": 12,
    "hidden_size": 256,
    "feature_size": 256,
    "cell": "lstm",
    "layers": 2,
    "answers": 2,
    "dropout": 0.0,
    "context": {"name": "conv", "layers": "32@3/2p1 64@3/2p1 64@3/1p1"},
    "context_size": 24,
    "backbone": {"name": "conv", "layers": "32@3/1p1 64@3/2p1 64@3/2p1"},
    "locator": {"name": "retina", "scales": 2, "width": 0.24, "antialias": True},
    "policy": {"name": "gaussian", "sigma": 0.1, "weight": 0.1},
    **PAIRS,
    **PIXELS,
}
_DRAM, _EDRAM = ("ba2014", "larochelle2010"), ("ablavatski2017",)

RAM_PRESETS: tuple[Entry, ...] = (
    *preset(
        "ram-mnist",
        "RAM: MNIST in 6 glimpses of 8x8.",
        _MNIST,
        paper=recipes.RAM_PAPER,
        fast=recipes.RAM,
        cites=("mnih2014",),
    ),
    *preset(
        "ram-translated-60",
        "RAM: digits anywhere on 60x60, in 8 glimpses of 3 scales of 12x12.",
        _CLUTTERED_60,
        paper=recipes.RAM_PAPER,
        fast=recipes.RAM_SCENES,
        cites=("mnih2014",),
    ),
    *preset(
        "ram-cluttered-60",
        "RAM: digits in clutter on 60x60, in 8 glimpses of 3 scales of 12x12.",
        _CLUTTERED_60,
        paper=recipes.RAM_PAPER,
        fast=recipes.RAM_SCENES,
        cites=("mnih2014",),
    ),
    *preset(
        "ram-cluttered-100",
        "RAM: digits in clutter on 100x100, in 8 glimpses of 4 scales of 12x12.",
        {
            **_CLUTTERED_60,
            "image": (1, 100, 100),
            "locator": {"name": "retina", "scales": 4, "width": 0.12, "antialias": True},
        },
        paper=recipes.RAM_PAPER,
        fast=recipes.RAM_SCENES,
        cites=("mnih2014",),
    ),
    *preset(
        "dram-pairs-100",
        "DRAM: pairs of digits in clutter on 100x100, in 4 glimpses.",
        _PAIRS,
        paper=recipes.RAM_PAPER,
        fast=recipes.RAM_SCENES,
        cites=_DRAM,
    ),
    *preset(
        "dram-soft-pairs-100",
        "Control: dram-pairs-100 with its gaze learned by the gradient through what is seen, without a reward.",
        {**_PAIRS, "policy": "deterministic"},
        paper=recipes.RAM_PAPER,
        fast=recipes.RAM_SCENES,
        cites=_DRAM,
    ),
    *preset(
        "edram-cluttered-100",
        "EDRAM: digits in clutter on 100x100, in 6 affine glimpses of 26x26, without a reward.",
        {
            **_PAIRS,
            "glimpses": 6,
            "answers": 1,
            "glimpse_size": 26,
            "backbone": {"name": "conv", "layers": "32@3/2p1 64@3/2p1 64@3/2p1"},
            "locator": {"name": "affine", "antialias": True},
            "policy": "supervised",
            "heads": ({"name": "classification", "early": 1.0},),
            "class_names": DIGITS,
        },
        paper=recipes.RAM_PAPER,
        fast=recipes.RAM_SCENES,
        cites=_EDRAM,
    ),
)
