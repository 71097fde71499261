"""An LSTM over what is written, the control with order but without a matrix: read as V ReLU(A h + B q).

Hochreiter and Schmidhuber (1997), "Long Short-Term Memory", with the forget gate of Gers et al. (2000), as PyTorch has
it: (i, f, g, o) = U e + R h + b, c ← σ(f) c + σ(i) tanh(g), h ← σ(o) tanh(c), from c = h = 0. The read-out is that of
the other control (`stawm.core.mean`). What all writes ask of the gates is one product over the whole stack.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.core.mean import read_out, slope
from stawm.core.stacks import check_stack, of_any_number, step_through


class Weights(NamedTuple):
    """What is learned.

    Attributes:
        U: From what is written to the gates, in the order i, f, g, o.
        R: From h to the gates.
        b: What is added to the gates.
        A: From h to the hidden layer of the read-out.
        B: From the query to it.
        V: From it to what is read.
    """

    U: Float[Tensor, "4h m"]
    R: Float[Tensor, "4h h"]
    b: Float[Tensor, "4h"]
    A: Float[Tensor, "p h"]
    B: Float[Tensor, "p m"]
    V: Float[Tensor, "m p"]


class State(NamedTuple):
    """The memory as what an LSTM carries.

    Attributes:
        h: Its output, (b, h).
        c: Its cell, (b, h).
    """

    h: Float[Tensor, "b h"]
    c: Float[Tensor, "b h"]


def init_state(
    batch: int, width: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
) -> State:
    """Return the memory before any write."""
    h = torch.zeros(batch, width, device=device, dtype=dtype)
    return State(h, h.clone())


def write(state: State, e: Float[Tensor, "b m"], weights: Weights) -> State:
    """Return the memory after one write."""
    return _step(state, e @ weights.U.mT + weights.b, weights)


@of_any_number
def read(state: State, q: Float[Tensor, "b *k m"], weights: Weights) -> Float[Tensor, "b *k m"]:
    """Return V ReLU(A h + B q)."""
    return read_out(state.h[:, None] @ weights.A.mT, q, weights.B, weights.V)


def matrix(state: State, weights: Weights) -> Float[Tensor, "b m m"]:
    """Return the derivative of the read at q = 0: V diag(1 where A h > 0) B."""
    return slope(state.h @ weights.A.mT, weights.B, weights.V)


def unroll(
    E: Float[Tensor, "b n m"],
    Q: Float[Tensor, "b k m"],
    reads: Sequence[int],
    weights: Weights,
    state: State | None = None,
) -> tuple[Float[Tensor, "b k m"], State]:
    """Write a whole stack and read after chosen writes, as `stawm.core` says."""
    check_stack(E, Q, reads)

    def step(state: "State | None", gates: Tensor) -> State:
        return _first_step(gates) if state is None else _step(state, gates, weights)

    def answer(state: "State | None", q: Tensor) -> Tensor:
        return (q @ weights.B.mT).relu() @ weights.V.mT if state is None else read(state, q, weights)

    Y, after = step_through((E @ weights.U.mT + weights.b,), Q, reads, state, step, answer)
    return Y, after or init_state(E.shape[0], weights.R.shape[1], device=E.device, dtype=E.dtype)


def bound(width: int, q: float, a: float, b: float, v: float) -> float:
    """Return what the length of a read cannot exceed: |V| (|A| √width + |B| |q|), as no number of h is beyond 1.

    Args:
        width: How many numbers h has.
        q: The greatest |q|.
        a: |A|, its largest singular value.
        b: |B|.
        v: |V|.
    """
    return v * (a * width**0.5 + b * q)


def _first_step(gates: Tensor) -> State:
    """The write into an empty memory, of which no zeros are made."""
    i, _, g, o = gates.chunk(4, dim=1)
    c = i.sigmoid() * g.tanh()
    return State(o.sigmoid() * c.tanh(), c)


def _step(state: State, gates: Tensor, weights: Weights) -> State:
    i, f, g, o = (gates + state.h @ weights.R.mT).chunk(4, dim=1)
    c = f.sigmoid() * state.c + i.sigmoid() * g.tanh()
    return State(o.sigmoid() * c.tanh(), c)


__all__ = ["State", "Weights", "bound", "init_state", "matrix", "read", "unroll", "write"]
