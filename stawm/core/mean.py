"""A bag, the control without order: ē = the mean of what was written, read as V ReLU(A ē + B q).

What any memory has to beat: Zaheer et al. (2017), "Deep Sets", in its simplest form. The mean of e is all that is kept,
so nothing is known of the order of writes, and of what belongs to what only as much as a sum tells; but the read-out
has a hidden layer, which no memory here has. An empty memory has the mean 0.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.core.stacks import check_stack, decay_rows, of_any_number


class Weights(NamedTuple):
    """What is learned.

    Attributes:
        A: From what is kept to the hidden layer.
        B: From the query to the hidden layer.
        V: From the hidden layer to what is read.
    """

    A: Float[Tensor, "h m"]
    B: Float[Tensor, "h m"]
    V: Float[Tensor, "m h"]


class State(NamedTuple):
    """The memory as a sum and a count.

    Attributes:
        S: The sum of what was written, (b, m).
        count: How often there was a write, (b, 1).
    """

    S: Float[Tensor, "b m"]
    count: Float[Tensor, "b 1"]


def init_state(batch: int, m: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None) -> State:
    """Return the memory of nothing."""
    S, count = (torch.zeros(batch, width, device=device, dtype=dtype) for width in (m, 1))
    return State(S, count)


def write(state: State, e: Float[Tensor, "b m"]) -> State:
    """Return the memory after one write."""
    return State(state.S + e, state.count + 1)


@of_any_number
def read(state: State, q: Float[Tensor, "b *k m"], weights: Weights) -> Float[Tensor, "b *k m"]:
    """Return V ReLU(A ē + B q)."""
    return read_out(_mean(state)[:, None] @ weights.A.mT, q, weights.B, weights.V)


def read_out(
    kept: Float[Tensor, "b #k h"], Q: Float[Tensor, "b k m"], B: Float[Tensor, "h m"], V: Float[Tensor, "m h"]
) -> Float[Tensor, "b k m"]:
    """Return V ReLU(a + B q), with a what is kept as the hidden layer sees it: the controls read so."""
    return (kept + Q @ B.mT).relu() @ V.mT


def matrix(state: State, weights: Weights) -> Float[Tensor, "b m m"]:
    """Return the derivative of the read at q = 0: V diag(1 where A ē > 0) B."""
    return slope(_mean(state) @ weights.A.mT, weights.B, weights.V)


def slope(kept: Float[Tensor, "b h"], B: Float[Tensor, "h m"], V: Float[Tensor, "m h"]) -> Float[Tensor, "b m m"]:
    """Return the derivative of `read_out` at q = 0."""
    return (V * (kept > 0).to(V)[:, None]) @ B


def unroll(
    E: Float[Tensor, "b n m"],
    Q: Float[Tensor, "b k m"],
    reads: Sequence[int],
    weights: Weights,
    state: State | None = None,
) -> tuple[Float[Tensor, "b k m"], State]:
    """Write a whole stack and read after chosen writes, as `stawm.core` says: all sums are one product."""
    check_stack(E, Q, reads)
    n = E.shape[1]
    whole = E.sum(dim=1)
    after = State(whole, 0 * whole[:, :1] + n) if state is None else State(state.S + whole, state.count + n)
    if not reads:
        return Q, after
    seen = decay_rows(torch.ones((), device=E.device, dtype=E.dtype), n, reads)
    sums, counts = seen @ E, seen.sum(dim=1, keepdim=True)
    if state is not None:
        sums, counts = state.S[:, None] + sums, state.count[:, :, None] + counts
    means = sums / counts.clamp(min=1)
    return read_out(means @ weights.A.mT, Q, weights.B, weights.V), after


def bound(e: float, q: float, a: float, b: float, v: float) -> float:
    """Return what the length of a read cannot exceed: |V| (|A| |e| + |B| |q|), for ever, as a mean is no longer than e.

    Args:
        e: The greatest |e|.
        q: The greatest |q|.
        a: |A|, its largest singular value.
        b: |B|.
        v: |V|.
    """
    return v * (a * e + b * q)


def _mean(state: State) -> Tensor:
    return state.S / state.count.clamp(min=1)


__all__ = ["State", "Weights", "bound", "init_state", "matrix", "read", "read_out", "slope", "unroll", "write"]
