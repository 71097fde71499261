"""Heads that are asked by cues, which are given after looking, and what a cue may be."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from stawm.errors import shown
from stawm.heads.base import Carried, Fields, Head
from stawm.heads.config import prefix
from stawm.heads.cues import CUE, by_head, count_of, refusal, shape_of

Cue: TypeAlias = Shaped[Tensor, "..."] | Shaped[np.ndarray, "..."] | Sequence[Any]
"""Questions: numbers from 0, (k,) for all images or (b, k); or vectors, (k, d) for all images or (b, k, d)."""
Cues: TypeAlias = Cue | Mapping[str, Cue]
"""The questions of all heads that take some, or by their names."""


class CuedHead(Head):
    """A head that is asked by cues: what is read depends on what is asked, and that is known after looking.

    It reads once, after the last glimpse, all questions of an image in one pass; the axis k of what it is given has a
    read for each question.

    Attributes:
        cues: How many questions there are, where they are numbered; else None.
        cue_size: How many numbers a question is made of, where it is a vector; else None.
    """

    cues: int | None
    cue_size: int | None

    @abstractmethod
    def beside(self, context: Float[Tensor, "b f"]) -> Float[Tensor, "b m"] | None:
        """Return what the context of the image gives to every query; None where it gives nothing."""

    @abstractmethod
    def ask(self, beside: Float[Tensor, "b m"] | None, cue: Shaped[Tensor, "b k *d"]) -> Float[Tensor, "b k m"]:
        """Return the queries.

        Args:
            beside: What `beside` gave.
            cue: The questions of each image, by numbers of whatever type, or as vectors.
        """

    def reads(self, glimpses: int, *, every: bool = False) -> Sequence[int]:
        """Read once, after the last glimpse."""
        return (glimpses,)

    def conclude(self, carried: Carried) -> Fields:
        """Return what was kept of every question."""
        return dict(carried)


def cued(heads: Mapping[str, Head]) -> dict[str, CuedHead]:
    """Return the heads that are asked by cues, by name."""
    return {name: head for name, head in heads.items() if isinstance(head, CuedHead)}


def input_name(head: Any) -> str:
    """Return what the questions of a head are called among the inputs of a graph."""
    return prefix(head.config) + CUE


def share_cues(
    heads: Mapping[str, Any], given: Cues | None, batch: int, like: Tensor
) -> dict[str, Shaped[Tensor, "b k *d"]]:
    """Return the questions of each head.

    Args:
        heads: The heads that are asked by cues, or whatever else has ``cues`` and ``cue_size``, by name.
        given: What is asked; every numbered question, in order, where left out.
        batch: b.
        like: A tensor of the type and on the device of the model's features.

    Raises:
        InputError: There is no head to ask, or what is given is no legal cue.
    """
    shared = by_head(heads, given).items()
    return {name: settle(own, name, heads[name], batch, like) for name, own in shared}


def settle(given: Cue | None, name: str, head: Any, batch: int, like: Tensor) -> Shaped[Tensor, "b k *d"]:
    """Return the questions of one head, for each image.

    Args:
        given: What is asked; every numbered question, in order, where left out.
        name: What the head is called.
        head: The head, or whatever else has ``cues`` and ``cue_size``.
        batch: b.
        like: A tensor of the type and on the device that vectors shall have.

    Raises:
        InputError: What is given is no legal cue.
    """
    if given is None:
        return torch.arange(count_of(name, head, batch), device=like.device).expand(batch, -1)
    try:
        cue = torch.as_tensor(given, device=like.device)
    except (TypeError, ValueError, RuntimeError):
        raise refusal(name, head, batch, shown(given)) from None
    whole = not (cue.is_floating_point() or cue.is_complex() or cue.dtype == torch.bool)
    right = whole if head.cue_size is None else cue.is_floating_point()
    cue = cue.expand(shape_of(name, head, batch, cue.shape, cue.dtype, right))
    if head.cue_size is not None:
        return cue.to(like)
    if not torch.compiler.is_compiling() and bool(((cue < 0) | (cue >= head.cues)).any()):
        raise refusal(name, head, batch, f"numbers from {int(cue.min())} to {int(cue.max())}")
    return cue
