"""Small models to picture, and what can be read off a picture."""

from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Polygon

import stawm
from tests.small import shaken

SMALL: dict[str, Any] = {"image": [1, 16, 20], "memory_size": 8, "hidden_size": 16, "glimpses": 3}
"""The images are wider than high, so that a picture that takes one side for the other is wrong."""


def drawer(canvas: str, heads: Any = "drawing", **changes: Any) -> Any:
    """A model that draws."""
    plain = {"mean": [0.0], "std": [1.0]} | ({"class_names": []} if heads == "drawing" else {})
    return stawm.build("stawm-digits", heads=heads, canvas=canvas, seed=0, **plain, **{**SMALL, **changes})


def sketchpad(canvas: str = "addition", **changes: Any) -> Any:
    """A model that classifies and draws."""
    return shaken(drawer(canvas, ("classification", "drawing"), **changes))


def pixels(count: int = 2) -> torch.Tensor:
    return torch.rand(count, *SMALL["image"], generator=torch.Generator().manual_seed(0))


def shown(axis: Axes) -> np.ndarray:
    """The picture in a panel."""
    return np.asarray(axis.images[0].get_array())


def frames(axis: Axes) -> list[np.ndarray]:
    return [np.asarray(p.get_xy())[:4] for p in axis.patches if isinstance(p, Polygon)]


def in_pixels(corners: torch.Tensor) -> np.ndarray:
    """Corners in pixels from the image's upper left, of corners with the image from -1 to 1."""
    return (corners.detach().numpy() + 1) / 2 * np.array([20, 16])


def texts(axis: Axes) -> list[str]:
    return [text.get_text() for text in axis.texts]
