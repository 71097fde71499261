"""A preset for figures on grounds, without labels; docs/figure-ground.md says how far it gets."""

from typing import Any

from stawm.catalog import recipes
from stawm.catalog.records import preset

_PLAIN: dict[str, Any] = {"name": "conv", "norm": "none", "bias": True, "init": "kaiming"}
_SLOTS: dict[str, Any] = {
    "family": "slots",
    "image": (3, 32, 32),
    "slots": 3,
    "iterations": 3,
    "hidden_size": 128,
    "dropout": 0.0,
    "backbone": {**_PLAIN, "layers": "32@5/1p2 32@5/2p2 64@5/1p2"},
    "heads": ({"name": "drawing", "latent": 64, "beta": 0.0},),
}
_STAWM = preset(
    "stawm-figure-ground",
    "Draws digits on photographs as a ground, and over it a figure of one colour.",
    {
        "image": (3, 32, 32),
        "glimpses": 2,
        "glimpse_size": 32,
        "memory_size": 128,
        "hidden_size": 128,
        "dropout": 0.0,
        "context": {**_PLAIN, "layers": "16@4/2p1 32@4/2p1 32@4/2p1"},
        "backbone": {**_PLAIN, "layers": "16@4/2p1 32@4/2p1 64@4/2p1"},
        "locator": "affine",
        "memory": {"name": "hebb-rosenblatt", "constrained": True, "normalise": 0.9},
        "canvas": {"name": "bernoulli", "ground": True, "flat": True},
        "heads": ({"name": "drawing", "latent": 16, "beta": 2.0},),
    },
    fast=recipes.FIGURE_GROUND,
)
_SLOT_ATTENTION = preset(
    "slots-figure-ground",
    "Baseline: Slot Attention, three slots that share out digits on photographs.",
    _SLOTS,
    paper=recipes.PAPER_SLOTS,
    fast=recipes.SLOTS,
    cites=("locatello2020",),
)
GROUND_PRESETS = (*_STAWM, *_SLOT_ATTENTION)
