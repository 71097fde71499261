"""Modern Hopfield retrieval: what is written is kept as it is, E ← E ∪ {e}; read Σₛ softmaxₛ(β eₛ · q) eₛ.

Ramsauer et al. (2020), "Hopfield Networks is All You Need", Eq. 3: one step of the update rule, which with
β = 1/√m is the attention of transformers with the stored patterns as keys and values. The read lies in the convex
hull of the patterns. A memory of nothing reads as zero.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from stawm.core.stacks import Scalar, as_scalar, check_stack, decay_rows, of_any_number


class Rates(NamedTuple):
    """The one constant: β, the inverse temperature, how sharply a read picks the pattern nearest to the query."""

    beta: Scalar


class State(NamedTuple):
    """The stored patterns, newest last.

    Attributes:
        E: The patterns, (b, t, m); an empty slot holds zeros.
        valid: 1 where a slot holds a pattern and 0 where it is empty, (b, t).
    """

    E: Float[Tensor, "b t m"]
    valid: Float[Tensor, "b t"]


def init_state(batch: int, m: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None) -> State:
    """Return a memory of nothing."""
    E, valid = (torch.zeros(batch, 0, *width, device=device, dtype=dtype) for width in ((m,), ()))
    return State(E, valid)


def write(state: State, e: Float[Tensor, "b m"]) -> State:
    """Return the memory with one more pattern."""
    return _append(state, e[:, None])


@of_any_number
def read(state: State, q: Float[Tensor, "b *k m"], rates: Rates) -> Float[Tensor, "b *k m"]:
    """Return the mean of the patterns, weighted by the softmax of β e·q."""
    return _retrieve(q, state.E, state.valid[:, None], rates)


def matrix(state: State, rates: Rates) -> Float[Tensor, "b m m"]:
    """Return the derivative of the read at q = 0: β times the covariance of the patterns."""
    count = state.valid.sum(dim=1)[:, None, None].clamp(min=1)
    mean = state.E.sum(dim=1, keepdim=True) / count
    centred = (state.E - mean) * state.valid[:, :, None]
    return as_scalar(rates.beta, mean) * (centred.mT @ centred) / count


def unroll(
    E: Float[Tensor, "b n m"],
    Q: Float[Tensor, "b k m"],
    reads: Sequence[int],
    rates: Rates,
    state: State | None = None,
) -> tuple[Float[Tensor, "b k m"], State]:
    """Write a whole stack and read after chosen writes, as `stawm.core` says, in one masked attention."""
    check_stack(E, Q, reads)
    after = State(E, torch.ones_like(E[..., 0])) if state is None else _append(state, E)
    if not reads:
        return Q, after
    before, rows = after.E.shape[1] - E.shape[1], after.E.shape[1]
    seen = decay_rows(torch.ones((), device=E.device, dtype=E.dtype), rows, [before + r for r in reads])[None]
    valid = seen if state is None else seen * after.valid[:, None]
    return _retrieve(Q, after.E, valid, rates), after


def contributions(E: Float[Tensor, "b n m"], q: Float[Tensor, "b m"], rates: Rates) -> Float[Tensor, "b n m"]:
    """Return what each pattern gives to the read of q, as `stawm.core` says: softmaxₛ(β eₛ·q) eₛ."""
    return _weights(q[:, None], E, torch.ones_like(E[:, None, :, 0]), rates)[:, 0, :, None] * E


def bound(e: float, beta: float) -> float:
    """Return what the read's derivative by the query, |∂y/∂q|, cannot exceed: β |e|² of the greatest |e|.

    The read itself is a mean of patterns, so it is no longer than the longest of them.
    """
    return beta * e**2


def _append(state: State, E: Tensor) -> State:
    valid = functional.pad(state.valid, (0, E.shape[1]), value=1.0)
    return State(torch.cat([state.E, E], dim=1), valid)


def _retrieve(Q: Tensor, E: Tensor, valid: Tensor, rates: Rates) -> Tensor:
    return _weights(Q, E, valid, rates) @ E


def _weights(Q: Tensor, E: Tensor, valid: Tensor, rates: Rates) -> Tensor:
    """Attend with scores of what is not there set to the lowest number, and its weight to zero."""
    scores = as_scalar(rates.beta, Q) * (Q @ E.mT)
    lowest = torch.finfo(scores.dtype).min
    return scores.masked_fill(valid == 0, lowest).softmax(dim=-1) * valid
