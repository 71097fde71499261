"""The questions that a graph takes: what is legal, and what is asked where nothing is; needs no PyTorch."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from stawm.arrays import to_numpy
from stawm.errors import InputError, shown
from stawm.export.file.metadata import GraphInfo
from stawm.export.graphs.names import is_cue
from stawm.export.run.walk import Named
from stawm.heads.config import CUE, legal_cues


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
    """Return the questions as a graph takes them: as float32, for each image.

    Args:
        asked: What its inputs take.
        given: What is asked, by the heads' names where that differs; every numbered question where left out.
        batch: How many images there are.

    Raises:
        InputError: The graph takes no questions, or what is given is no legal cue.
    """
    names = {name.removesuffix(CUE).removesuffix("_") or "recall": name for name in asked}
    if given is not None and not names:
        raise InputError("This graph is of a model that has no head that is asked by a cue; leave out cue.")
    if not isinstance(given, Mapping):
        return {name: _settled(given, head, asked[name], batch) for head, name in names.items()}
    strange = [head for head in given if head not in names]
    if strange:
        raise InputError(f"There is no head {shown(strange[0])} to ask; those with cues are {', '.join(names)}.")
    return {name: _settled(given.get(head), head, asked[name], batch) for head, name in names.items()}


def _settled(given: Any, head: str, asked: Asked, batch: int) -> np.ndarray:
    cues, size = asked
    legal = legal_cues(cues, size, batch)
    if given is None:
        if cues is None:
            raise InputError(f"The head {head!r} needs a cue: {legal}.")
        return np.tile(np.arange(cues, dtype=np.float32), (batch, 1))
    try:
        cue = to_numpy(given)
    except ValueError:
        raise InputError(f"The cue of the head {head!r} must be {legal}; got {shown(given)}.") from None
    shape, rest = cue.shape, () if size is None else (size,)
    if cue.ndim == 1 + len(rest):
        cue = np.broadcast_to(cue, (batch, *shape))
    fits = cue.ndim == 2 + len(rest) and cue.shape[0] == batch and cue.shape[1] > 0 and cue.shape[2:] == rest
    if not fits or cue.dtype.kind not in ("iu" if size is None else "f"):
        raise InputError(f"The cue of the head {head!r} must be {legal}; got {cue.dtype} of shape {shape}.")
    if cues is not None and ((cue < 0) | (cue >= cues)).any():
        raise InputError(f"The cue of the head {head!r} must be {legal}; got numbers from {cue.min()} to {cue.max()}.")
    return np.ascontiguousarray(cue, np.float32)
