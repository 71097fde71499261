"""The questions that a graph takes: what is legal, and what is asked where nothing is."""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from stawm.export.file.metadata import GraphInfo, is_cue
from stawm.export.run.walk import Named
from stawm.heads.cued import CUE, Cues, share_cues


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


def cues_for(asked: Mapping[str, Asked], given: Cues | None, batch: int, like: Tensor) -> Named:
    """Return the questions as a graph takes them.

    Args:
        asked: What its inputs take.
        given: What is asked, by the heads' names where that differs; every numbered question where left out.
        batch: How many images there are.
        like: A tensor on the device, of the type that inputs have.

    Raises:
        InputError: What is given is no legal cue.
    """
    names = {name.removesuffix(CUE).removesuffix("_") or "recall": name for name in asked}
    heads = {head: asked[name] for head, name in names.items()}
    return {names[head]: cue.to(like) for head, cue in share_cues(heads, given, batch, like).items()}
