"""What may be asked of an export; needs no PyTorch."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

PRECISIONS = ("fp32", "fp16", "int8")
Kind = Literal["rollout", "step"]


class Plan(NamedTuple):
    """What is asked of an export.

    Attributes:
        kind: One graph of all glimpses, or three of one glimpse.
        glimpses: How many are taken, or there is room for; None for a baseline.
        fields: The outputs.
        sample: Whether the random numbers are inputs.
        weights: How weights are stored; of ``"fp16"`` they are rounded, and computed with in float32 all the same.
        steered: Whether where it looks and what is written are inputs, of a step graph.
    """

    kind: Kind
    glimpses: int | None
    fields: tuple[str, ...]
    sample: bool
    weights: Literal["fp32", "fp16"] = "fp32"
    steered: bool = False


def one_of(names: Sequence[str]) -> str:
    """Return what a message says of some legal names.

    Examples:
        >>> one_of(("fp32", "fp16", "int8"))
        "'fp32', 'fp16' or 'int8'"
    """
    *first, last = map(repr, names)
    return f"{', '.join(first)} or {last}"
