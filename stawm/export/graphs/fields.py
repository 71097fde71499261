"""The outputs that a graph can have: the fields of `Output` by name, with the letters of their axes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from stawm.catalog.suggest import did_you_mean, nearest
from stawm.errors import InputError
from stawm.heads.output import Latent, Output, Trace
from stawm.models.model import Model

AXES: Mapping[str, str] = {
    "pose": "b n p",
    "inverse_pose": "b n p",
    "corners": "b n 4 2",
    "glimpses": "b n c g g",
    "memory_input": "b n m",
    "mu": "b n k",
    "logvar": "b n k",
    "masks": "b n 1 h w",
    "canvases": "b n c h w",
    "canvas": "b c h w",
    "glimpse_logits": "b n classes",
    "confidence": "b n",
    "logits": "b classes",
}
"""Every output in the order in which it is computed, so that the first that differs is the nearest to the fault."""

RECALL = "recall."
"""What a head reads from the memory is in every graph by this and the head's name, so that a check can see it."""

OWN = ("logits", "glimpse_logits", "confidence", "canvas", "canvases", "masks", "corners")
"""Those that are fields of `OnnxOutput` itself, and not of its latent or its trace."""

DEFAULTS = ("logits", "canvas", "pose", "inverse_pose")
"""The answers, and where the model looked for them."""


@dataclass(frozen=True, kw_only=True)
class OnnxOutput(Output):
    """What an ONNX graph gives: the model's output, in which fields that the graph lacks are None.

    Attributes:
        confidence: The greatest class probability after each glimpse, where the graph has it.
        corners: The corners (x, y) of each glimpse in the image, clockwise from its top left, where the graph has
            them; x to the right and y down, the image from -1 to 1.
    """

    confidence: Float[Tensor, "b n"] | None = None
    corners: Float[Tensor, "b n 4 2"] | None = None


def available(model: Model) -> tuple[str, ...]:
    """Return the outputs that a model's graph can have, in the order of `AXES`."""
    config = model.config
    found: set[str] = set()
    loops = config.glimpses is not None
    if loops:
        found |= {"pose", "corners", "glimpses", "memory_input"}
    if config.classifies:
        found |= {"logits", "glimpse_logits", "confidence"} if loops else {"logits"}
    if config.draws:
        found |= {"canvas", "mu", "logvar"} | ({"canvases", "inverse_pose"} if loops else set())
    if config.masked:
        found |= {"masks"}
    return tuple(name for name in AXES if name in found)


def choose(model: Model, asked: Sequence[str] | None) -> tuple[str, ...]:
    """Return the outputs that a graph shall have.

    Args:
        model: The model.
        asked: Names, in any order; ``"all"`` for every one; the defaults where left out.

    Raises:
        InputError: A name that the model has no such output for, or none at all.
    """
    legal = available(model)
    if asked is None:
        return tuple(name for name in DEFAULTS if name in legal)
    if asked == "all":
        return legal
    chosen = tuple(dict.fromkeys([asked] if isinstance(asked, str) else asked))
    for name in chosen:
        if name not in legal:
            hint = did_you_mean(nearest(str(name), legal))
            raise InputError(f"{model.config.name} has no output {name!r}.{hint} It has {', '.join(legal)}.")
    if not chosen:
        raise InputError(f"A graph has at least one output of {', '.join(legal)}; none was asked for.")
    return chosen


def flatten(output: Output) -> dict[str, Tensor]:
    """Return the fields that are there by their names in a graph."""
    named: dict[str, Tensor | None] = {name: getattr(output, name, None) for name in OWN}
    for group in (output.latent, output.trace):
        if group is not None:
            named |= group._asdict()
    return {name: tensor for name, tensor in named.items() if tensor is not None}


def unflatten(named: Mapping[str, Tensor]) -> OnnxOutput:
    """Return the output that has these fields; the rest of it is None."""
    own = {name: named[name] for name in OWN if name in named}
    return OnnxOutput(**own, latent=_group(Latent, named), trace=_group(Trace, named))


def _group(cls: Any, named: Mapping[str, Tensor]) -> Any:
    values = [named.get(name) for name in cls._fields]
    return None if all(value is None for value in values) else cls(*values)


def probes(model: Model) -> tuple[str, ...]:
    """Return the names of what every graph of a model computes, whether it is an output or not."""
    config = model.config
    return () if config.glimpses is None else ("memory_input", *(RECALL + head.name for head in config.heads))


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return outputs and probes, each once, in the order in which they are computed."""
    given = dict.fromkeys(names)
    order = list(AXES)
    place = {name: float(order.index("mu")) - 0.5 if name.startswith(RECALL) else order.index(name) for name in given}
    return tuple(sorted(given, key=place.__getitem__))


def axes(name: str) -> str:
    """Return the letters of the axes of an output or a probe."""
    return "b r m" if name.startswith(RECALL) else AXES[name]
