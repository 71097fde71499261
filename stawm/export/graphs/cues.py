"""Questions as inputs of a graph: of any number for each image, and as float32, as all inputs are."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from stawm.export.graphs.names import MANY
from stawm.heads.cued import CuedHead, cued, input_name
from stawm.heads.together import declared
from stawm.models.model import Stawm

EXAMPLES = 3
"""How many questions are asked about each image that a graph is traced and proved with."""


def cue_inputs(model: Any) -> dict[str, CuedHead]:
    """Return the heads that are asked by cues, by the names of the inputs that these are."""
    heads = cued(model.named_heads) if isinstance(model, Stawm) else {}
    return {input_name(head): head for head in heads.values()}


def queries(model: Stawm, context: Tensor, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the queries of the heads whose cues are among the inputs of a graph, by the heads' names."""
    asked = {name: head for name, head in cued(model.named_heads).items() if input_name(head) in given}
    return {name: head.ask(head.beside(context), given[input_name(head)]) for name, head in asked.items()}


def example_cues(model: Any, batch: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Draw questions for examples and proofs."""
    found = {}
    for name, head in cue_inputs(model).items():
        size = () if head.cue_size is None else (head.cue_size,)
        drawn = torch.rand(batch, EXAMPLES, *size, generator=generator)
        found[name] = drawn if head.cues is None else (drawn * head.cues).floor()
    return found


def open_axes(model: Any) -> dict[str, int]:
    """Return which axis, without the batch, of what cues go into or come out of is of any size, by name."""
    outputs = {
        name: axes.split().index(MANY) - 1
        for head in cue_inputs(model).values()
        for name, axes in declared(head).items()
        if MANY in axes.split()
    }
    return dict.fromkeys(cue_inputs(model), 0) | outputs
