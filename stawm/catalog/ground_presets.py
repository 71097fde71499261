"""A preset for figures on grounds, without labels; docs/figure-ground.md says how far it gets."""

from typing import Any

from stawm.catalog import recipes
from stawm.catalog.records import preset

_PLAIN: dict[str, Any] = {"name": "conv", "norm": "none", "bias": True, "init": "kaiming"}
_NORMED = {**_PLAIN, "norm": "batch"}
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
        "memory_size": 256,
        "hidden_size": 256,
        "pose_limit": 0.1,
        "sketch_limit": 0.1,
        "dropout": 0.0,
        "context": {**_NORMED, "layers": "16@4/2p1 32@4/2p1 32@4/2p1"},
        "backbone": {**_NORMED, "layers": "32@4/2p1 64@4/2p1 64@4/2p1"},
        "locator": "affine",
        "memory": {"name": "hebb-rosenblatt", "constrained": True, "eta": 4.0, "theta": 4.0},
        "canvas": {
            "name": "bernoulli",
            "sampled": False,
            "ground": True,
            "ground_size": 8,
            "flat": True,
            "flat_by": "frame",
        },
        "heads": (
            {
                "name": "drawing",
                "latent": 32,
                "beta": 0.1,
                "start_logvar": -4.0,
                "levels": True,
                "early": 0.05,
                "early_alone": True,
            },
        ),
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
