"""What graphs are called, take and give, by name: all that is to be known where graphs are run, without PyTorch."""

from collections.abc import Iterable, Mapping

import numpy as np

from stawm.heads.config import RESERVED
from stawm.heads.cues import CUE

AXES: Mapping[str, str] = {
    "pose": "b n p",
    "inverse_pose": "b n p",
    "corners": "b n 4 2",
    "glimpses": "b n vc g g",
    "memory_input": "b n m",
    "matrix": "b m m",
    "mu": "b n k",
    "logvar": "b n k",
    "masks": "b n 1 h w",
    "canvases": "b n c h w",
    "canvas": "b c h w",
    "glimpse_logits": "b n classes",
    "confidence": "b n",
    "shares": "b n classes",
    "logits": "b classes",
}
"""The outputs that `Output` has, in the order in which they are computed: the first that differs is nearest to the
fault. Those that only some heads give come after them (see `axes_of`)."""

RECALL = "recall."
"""What a head reads from the memory is in every graph by this and the head's name, so that a check can see it."""

DEFAULTS = ("logits", "canvas", "pose", "inverse_pose")
"""The answers, and where the model looked for them."""

PARTS = ("init", "glimpse", "read")
"""The graphs of a step graph."""
IN, OUT = "state.", "next."
"""What the names of what is carried begin with, where it goes in and where it comes out."""
NOISE = "noise_"
"""What the names of random numbers begin with."""
POSE, PLACED, WRITTEN = "steer.pose", "steer.placed", "steer.written"
STEER = (POSE, PLACED, WRITTEN)
"""A pose, whether it is taken in place of the model's own, and whether the glimpse is written: 0 or 1."""
MANY = "k"
"""What the axis is called that has as many entries as there are questions."""


def is_cue(name: str) -> bool:
    """Whether an input is the questions of a head."""
    return name == CUE or name.endswith(f"_{CUE}")


def reads_every_glimpse(names: Iterable[str]) -> bool:
    """Whether outputs say something after each glimpse of what heads conclude, which otherwise read once."""
    return any(name == "confidence" or name.endswith("glimpse_logits") for name in names)


def is_output(name: object, heads: Iterable[str]) -> bool:
    """Whether a graph of a model with heads of these names can have such an output; other heads give further ones."""
    others = {*heads} - {"classification", "drawing"}
    return isinstance(name, str) and (name in AXES or (bool(others) and name.isidentifier() and name not in RESERVED))


def still(batch: int, glimpses: int, pose_size: int) -> dict[str, np.ndarray]:
    """Return the steering that changes nothing, by name and with an axis n: own poses, everything written."""
    flags = np.zeros((batch, glimpses, 1), np.float32)
    return {POSE: np.zeros((batch, glimpses, pose_size), np.float32), PLACED: flags, WRITTEN: flags + 1}
