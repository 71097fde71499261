"""Presets of DRAW (Gregor et al. 2015), of a spatial transformer, and of the plain networks that RAM was held against.

The digits that DRAW draws are black and white: ``data.binary=true`` of the data sets of grey digits.
"""

from typing import Any

from stawm.catalog import recipes
from stawm.catalog.entry import Entry
from stawm.catalog.records import preset
from stawm.catalog.scene_presets import CNN_60, CNN_100

_MNIST: dict[str, Any] = {
    "family": "draw",
    "image": (1, 28, 28),
    "glimpses": 64,
    "glimpse_size": 2,
    "hidden_size": 256,
    "dropout": 0.0,
    "first_width": 0.15,
    "initial": -2.0,
    "backbone": "dense",
    "locator": "filterbank",
    "heads": ({"name": "drawing", "latent": 100, "beta": 1.0, "sketch_size": 5, "measure": "nats"},),
}
_WHOLE = {
    **_MNIST,
    "glimpse_size": None,
    "first_width": None,
    "locator": None,
    "heads": ({"name": "drawing", "latent": 100, "beta": 1.0, "measure": "nats"},),
}
_SCENES = {key: CNN_100[key] for key in ("heads", "class_names", "mean", "std", "dropout")}
_CLUTTERED: dict[str, Any] = {
    **_SCENES,
    "family": "draw",
    "image": (1, 100, 100),
    "glimpses": 8,
    "glimpse_size": 12,
    "hidden_size": 256,
    "backbone": "dense",
    "locator": "filterbank",
}
_STN_60 = {
    **CNN_60,
    "backbone": {
        "name": "stn",
        "localisation": "16@5/2p2 32@3/2p1 32@3/2p1",
        "view": 28,
        "layers": "32@3/1p1 64@3/2p1 128@3/2p1",
    },
}


def _weak(fields: dict[str, Any], filters: int, hidden: int) -> dict[str, Any]:
    """Return a network as RAM's paper has them: one layer of 10x10 filters with stride 5, and one fully connected."""
    stack = {"name": "conv", "layers": f"{filters}@10/5", "norm": "none", "bias": True, "hidden": hidden}
    return {**fields, "backbone": {**stack, "init": "pytorch"}}


def _ram_cnn(task: str, words: str, fields: dict[str, Any]) -> tuple[Entry, ...]:
    return preset(
        f"ram-cnn-{task}",
        f"Baseline: {words}, seen whole by the weak CNN of RAM's paper.",
        fields,
        paper=recipes.PAPER_RAM_CNN,
        fast=recipes.SCENES_CNN,
        cites=("mnih2014",),
    )


DRAW_PRESETS: tuple[Entry, ...] = (
    *preset(
        "draw-mnist",
        "DRAW: draws binary digits in 64 glimpses, reading 2x2 and writing 5x5.",
        _MNIST,
        paper=recipes.PAPER_DRAW,
        fast=recipes.DRAW,
        cites=("gregor2015",),
    ),
    *preset(
        "draw-mnist-no-attention",
        "DRAW without attention: reads and writes the whole digit 64 times.",
        _WHOLE,
        paper=recipes.PAPER_DRAW,
        fast=recipes.DRAW,
        cites=("gregor2015",),
    ),
    *preset(
        "draw-cluttered-100",
        "DRAW's reader: digits in clutter on 100x100, in 8 glimpses of 12x12.",
        _CLUTTERED,
        paper=recipes.PAPER_DRAW_READER,
        fast=recipes.DRAW_READER,
        cites=("gregor2015",),
    ),
    *preset(
        "stn-cluttered-60",
        "A spatial transformer: digits in clutter on 60x60, of one affine view.",
        _STN_60,
        paper=recipes.PAPER_STN,
        fast=recipes.STN,
        cites=("jaderberg2015",),
    ),
    *_ram_cnn("translated-60", "digits anywhere on 60x60", _weak(CNN_60, 16, 256)),
    *_ram_cnn("cluttered-60", "digits in clutter on 60x60", _weak(CNN_60, 8, 256)),
    *_ram_cnn("cluttered-100", "digits in clutter on 100x100", _weak(CNN_100, 8, 86)),
)
