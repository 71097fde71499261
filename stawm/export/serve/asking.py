"""The questions that a graph takes: what is legal, and what is asked where nothing is; needs no PyTorch."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from stawm.arrays import to_numpy
from stawm.errors import shown
from stawm.export.file.metadata import GraphInfo
from stawm.export.graphs.names import is_cue
from stawm.export.run.walk import Named
from stawm.heads.cues import CUE, by_head, count_of, refusal, shape_of


class Remembered(NamedTuple):
    """What a step graph remembers of images, batch by batch: all that its part ``read`` takes beside questions."""

    parts: Sequence[Named]


class Asked(NamedTuple):
    """What one input of a graph takes.

    Attributes:
        cues: How many questions there are, where they are numbered; else None.
        cue_size: How many numbers a question is made of, where it is a vector; else None.
    """

    cues: int | None
    cue_size: int | None


def asked_of(info: GraphInfo, shapes: Mapping[str, tuple[int | str, ...]]) -> dict[str, Asked]:
    """Return what the inputs of a graph that are questions take, by their names.

    Args:
        info: What the graph says of itself.
        shapes: The shapes of its inputs, of all parts, with the batch.
    """
    sizes = {name: [int(side) for side in shape[2:]] for name, shape in shapes.items() if is_cue(name)}
    return {name: Asked(None, size[0]) if size else Asked(info.cues(name), None) for name, size in sizes.items()}


def cues_for(asked: Mapping[str, Asked], given: Any, batch: int) -> dict[str, np.ndarray]:
    """Return the questions as a graph takes them, in single precision.

    Args:
        asked: What its inputs take.
        given: What is asked, by the heads' names where that differs; every numbered question where left out.
        batch: How many images there are.

    Raises:
        InputError: The graph takes no questions, or what is given is no legal cue.
    """
    names = {name.removesuffix(CUE).removesuffix("_") or "recall": name for name in asked}
    heads = {head: asked[name] for head, name in names.items()}
    return {names[head]: settle(own, head, heads[head], batch) for head, own in by_head(heads, given).items()}


def settle(given: Any, name: str, head: Asked, batch: int) -> np.ndarray:
    """Return the questions of one head, for each image; see `stawm.heads.cued.settle`."""
    if given is None:
        return np.tile(np.arange(count_of(name, head, batch), dtype=np.float32), (batch, 1))
    try:
        cue = to_numpy(given)
    except (TypeError, ValueError):
        raise refusal(name, head, batch, shown(given)) from None
    if cue.dtype.kind not in "biufc":
        raise refusal(name, head, batch, shown(given))
    right = cue.dtype.kind in ("iu" if head.cue_size is None else "f")
    cue = np.broadcast_to(cue, shape_of(name, head, batch, cue.shape, cue.dtype, right))
    if head.cues is not None and cue.size and not 0 <= cue.min() <= cue.max() < head.cues:
        raise refusal(name, head, batch, f"numbers from {cue.min()} to {cue.max()}")
    return np.array(cue, np.float32)
