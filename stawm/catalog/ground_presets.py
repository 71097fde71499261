"""A preset for figures on grounds, without labels; docs/figure-ground.md says how far it gets."""

from typing import Any

from stawm.catalog import recipes
from stawm.catalog.records import preset

_PLAIN: dict[str, Any] = {"name": "conv", "norm": "none", "bias": True, "init": "kaiming"}
GROUND_PRESETS = preset(
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
