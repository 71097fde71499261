"""The outputs that the graph of a model can have, and the output that is made of what a graph gives."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.catalog.suggest import did_you_mean, nearest
from stawm.errors import InputError
from stawm.export.graphs.names import AXES, DEFAULTS, RECALL
from stawm.heads.config import called, prefix
from stawm.heads.cued import cued
from stawm.heads.output import Latent, Output, Trace
from stawm.heads.together import declared
from stawm.models.evidence import sums_up
from stawm.models.looker import Looker
from stawm.models.model import Model, Stawm


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class OnnxOutput(Output):
    """What an ONNX graph gives: the model's output, in which fields that the graph lacks are None.

    Attributes:
        confidence: The greatest class probability after each glimpse, where the graph has it.
        corners: The corners (x, y) of each glimpse in the image, clockwise from its top left, where the graph has
            them; x to the right and y down, the image from -1 to 1.
        matrix: The memory after the last write as the matrix W, where the graph has it.
        shares: What each glimpse gives to each of the logits, where the graph has it; see `stawm.explain`. What is
            left of the logits is no glimpse's.
    """

    confidence: Float[Tensor, "b n"] | None = None
    corners: Float[Tensor, "b n 4 2"] | None = None
    matrix: Float[Tensor, "b m m"] | None = None
    shares: Float[Tensor, "b n classes"] | None = None


torch.export.register_dataclass(OnnxOutput, serialized_type_name="stawm.export.OnnxOutput")


def available(model: Model, kind: str = "rollout") -> tuple[str, ...]:
    """Return the outputs that a model's graph can have, in the order in which they are computed.

    Args:
        model: The model.
        kind: The graph, ``"rollout"``, ``"step"`` or ``"steered"``; a step graph does not see all writes together, and
            so no shares, but one that is steered keeps them.
    """
    config = model.config
    found: set[str] = set()
    loops, looks = config.glimpses is not None, getattr(config, "locator", None) is not None
    if looks:
        found |= {"pose", "corners", "glimpses"} | ({"memory_input"} if isinstance(model, Looker) else set())
        found |= {"matrix"} if isinstance(model, Stawm) else set()
    if config.classifies:
        found |= {"logits", "glimpse_logits", "confidence"} if loops else {"logits"}
    if config.draws:
        found |= {"canvas"} | ({"canvases"} if loops else set()) | ({"inverse_pose"} if looks else set())
        found |= {"mu", "logvar"} if config.has_latent else set()
    if config.masked:
        found |= {"masks"}
    if kind != "step" and sums_up(model):
        found |= {"shares"}
    return (*(name for name in AXES if name in found), *_further(model))


def axes_of(model: Model) -> dict[str, str]:
    """Return the letters of the axes of every output, those that only this model's heads give included.

    So are those of what is read by cues; what is read otherwise has an axis of reads.
    """
    asked = cued(model.named_heads)
    return {**AXES, **_further(model), **{RECALL + name: "b k m" for name in asked}}


def _further(model: Model) -> dict[str, str]:
    """Return the outputs that only some heads give, as these declare them."""
    heads = model.named_heads.values()
    own = {*AXES, *Output.own}
    if not model.config.masked:  # what a second drawing would have, as the first has
        own |= {f"{prefix(head)}masks" for head in model.config.heads}
    return {name: axes for head in heads for name, axes in declared(head).items() if name not in own}


def choose(model: Model, asked: Sequence[str] | None, kind: str = "rollout") -> tuple[str, ...]:
    """Return the outputs that a graph shall have.

    Args:
        model: The model.
        asked: Names, in any order; ``"all"`` for every one; the defaults where left out.
        kind: The graph, ``"rollout"`` or ``"step"``.

    Raises:
        InputError: A name that the model has no such output for, or none at all.
    """
    legal = available(model, kind)
    if asked is None:
        answers = [name for name, axes in _further(model).items() if "n" not in axes.split()]
        return tuple(name for name in (*DEFAULTS, *answers) if name in legal)
    chosen = tuple(dict.fromkeys([asked] if isinstance(asked, str) else asked))
    if chosen == ("all",):
        return legal
    for name in chosen:
        if name not in legal and name in available(model):
            raise InputError(
                f"A {kind} graph has no output {name!r}, which is of all glimpses together: use a rollout."
            )
        if name not in legal:
            hint = did_you_mean(nearest(str(name), legal))
            raise InputError(f"{model.config.name} has no output {name!r}.{hint} It has {', '.join(legal)}.")
    if not chosen:
        raise InputError(f"A graph has at least one output of {', '.join(legal)}; none was asked for.")
    return chosen


def flatten(output: Output) -> dict[str, Tensor]:
    """Return the fields that are there by their names in a graph."""
    return {name: tensor for name, tensor in output.named().items() if name != "sketches"}


def unflatten(named: Mapping[str, Tensor]) -> OnnxOutput:
    """Return the output that has these fields; the rest of it is None."""
    grouped = {*Latent._fields, *Trace._fields}
    own = {name: value for name, value in named.items() if name not in grouped}
    return OnnxOutput.of({**own, "latent": _group(Latent, named), "trace": _group(Trace, named)})


def _group(cls: Any, named: Mapping[str, Tensor]) -> Any:
    values = [named.get(name) for name in cls._fields]
    return None if all(value is None for value in values) else cls(*values)


def probes(model: Model) -> tuple[str, ...]:
    """Return the names of what every graph of a model computes, whether it is an output or not."""
    if not isinstance(model, Looker):
        return ()
    return ("memory_input", *(RECALL + called(head) for head in model.config.heads))


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return outputs and probes, each once, in the order in which they are computed."""
    given = dict.fromkeys(names)
    order = list(AXES)
    place = {name: float(order.index(name)) if name in AXES else float(len(order)) for name in given}
    place |= {name: float(order.index("mu")) - 0.5 for name in given if name.startswith(RECALL)}
    return tuple(sorted(given, key=place.__getitem__))
