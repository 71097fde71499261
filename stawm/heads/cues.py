"""What the questions of heads may be, and whose they are; needs no PyTorch."""

from collections.abc import Mapping, Sequence
from typing import Any

from stawm.errors import InputError, shown

CUE = "cue"
"""What the questions are called among the inputs of a graph; those of a head with a label are LABEL_cue."""


def by_head(heads: Mapping[str, Any], given: Any) -> dict[str, Any]:
    """Return what was given for each head to be asked; None where nothing was.

    Args:
        heads: The heads that are asked by cues, by name.
        given: What is asked of all of them, or by their names.

    Raises:
        InputError: There is no head to ask, or none of a name.
    """
    if given is not None and not heads:
        raise InputError("This model has no head that is asked by a cue, such as 'recall'; leave out cue.")
    if not isinstance(given, Mapping):
        return dict.fromkeys(heads, given)
    strange = [name for name in given if name not in heads]
    if strange:
        raise InputError(f"There is no head {shown(strange[0])} to ask; those with cues are {', '.join(heads)}.")
    return {name: given.get(name) for name in heads}


def legal(head: Any, batch: int) -> str:
    """Say what a cue may be.

    Args:
        head: The head, or whatever else has ``cues`` and ``cue_size``.
        batch: How many images there are.
    """
    if head.cue_size is None:
        return f"numbers from 0 to {head.cues - 1}, of shape (k,) or ({batch}, k)"
    size = head.cue_size
    return f"vectors of {size} numbers, of shape (k, {size}) or ({batch}, k, {size})"


def refusal(name: str, head: Any, batch: int, got: str) -> InputError:
    """Return what to raise where a cue is not legal; the arguments are those of `shape_of`."""
    return InputError(f"The cue of the head {name!r} must be {legal(head, batch)}; got {got}.")


def count_of(name: str, head: Any, batch: int) -> int:
    """Return how many numbered questions there are, all of which are asked where no cue is given.

    Raises:
        InputError: Questions are vectors, so there must be a cue.
    """
    if head.cues is None:
        raise InputError(f"The head {name!r} needs a cue: {legal(head, batch)}.")
    return head.cues


def shape_of(name: str, head: Any, batch: int, shape: Sequence[int], dtype: Any, right: bool) -> tuple[int, ...]:
    """Return the shape of questions that are given, once each image has its own.

    Args:
        name: What the head is called.
        head: The head, or whatever else has ``cues`` and ``cue_size``.
        batch: How many images there are.
        shape: The shape of what is given.
        dtype: Its type, for the message.
        right: Whether that type is right: integers as numbers of questions, floats as vectors.

    Raises:
        InputError: What is given is no legal cue.
    """
    rest = () if head.cue_size is None else (head.cue_size,)
    whole = (batch, *shape) if len(shape) == 1 + len(rest) else tuple(shape)
    if not right or len(whole) != 2 + len(rest) or whole[0] != batch or whole[1] < 1 or whole[2:] != rest:
        raise refusal(name, head, batch, f"{str(dtype).removeprefix('torch.')} of shape {tuple(shape)}")
    return whole
