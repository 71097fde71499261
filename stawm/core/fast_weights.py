"""Fast weights: A ← λ A + η e eᵀ from A = 0, read as A q.

Ba, Hinton, Mnih, Leibo and Ionescu (2016), "Using Fast Weights to Attend to the Recent Past", Eq. 1. Unrolled,
A_t q = η Σₛ λ^(t-1-s) eₛ (eₛ · q): unnormalised attention to what was written, so a whole stack with its reads is one
masked product and A need never be built (their section 4.1). Both forms are exact: the matrix (b, m, m) and the rows
(b, t, m).

The Hebb-Rosenblatt rule becomes this one where its projection W e is removed, θ = 1 and φ(x) = x, with λ = 1 - δ.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.core.stacks import (
    Form,
    Scalar,
    as_scalar,
    attend,
    check_stack,
    decay_rows,
    is_factored,
    of_any_number,
    step_through,
    terms,
)


class Rates(NamedTuple):
    """The two rates.

    Attributes:
        decay: λ, the share of A that a write keeps.
        eta: η, the size of the increment.
    """

    decay: Scalar
    eta: Scalar


class DenseState(NamedTuple):
    """The memory as its matrix."""

    A: Float[Tensor, "b m m"]


class FactoredState(NamedTuple):
    """The memory as what was written, newest last; rows of zeros are empty slots and change nothing."""

    E: Float[Tensor, "b t m"]


State: TypeAlias = DenseState | FactoredState


def init_dense(
    batch: int, m: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
) -> DenseState:
    """Return the empty memory as a matrix."""
    return DenseState(torch.zeros(batch, m, m, device=device, dtype=dtype))


def init_factored(
    batch: int, m: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
) -> FactoredState:
    """Return the empty memory as rows, of which there are none."""
    return FactoredState(torch.zeros(batch, 0, m, device=device, dtype=dtype))


def write(state: State, e: Float[Tensor, "b m"], rates: Rates) -> State:
    """Return the memory, in the form it has, after one write."""
    if isinstance(state, FactoredState):
        return FactoredState(torch.cat([state.E, e[:, None]], dim=1))
    return _change(state, e, rates)


@of_any_number
def read(state: State, q: Float[Tensor, "b *k m"], rates: Rates) -> Float[Tensor, "b *k m"]:
    """Return A q."""
    if isinstance(state, DenseState):
        return q @ state.A.mT
    E = state.E
    return attend(q, E, E, _weights(E, rates, [E.shape[1]]))


def matrix(state: State, rates: Rates) -> Float[Tensor, "b m m"]:
    """Return A, whatever the form."""
    if isinstance(state, DenseState):
        return state.A
    E = state.E
    return E.mT @ (_weights(E, rates, [E.shape[1]]).mT * E)


def to_dense(state: State, rates: Rates) -> DenseState:
    """Return the same memory in the dense form."""
    return state if isinstance(state, DenseState) else DenseState(matrix(state, rates))


def settle(state: State, form: Form, n: int, rates: Rates) -> State:
    """Return the same memory in the form that it shall have after n further writes."""
    if isinstance(state, FactoredState) and is_factored(form, state.E.shape[1] + n, state.E.shape[2]):
        return state
    return to_dense(state, rates)


def unroll(
    E: Float[Tensor, "b n m"],
    Q: Float[Tensor, "b k m"],
    reads: Sequence[int],
    rates: Rates,
    state: State | None = None,
    *,
    form: Form = "auto",
) -> tuple[Float[Tensor, "b k m"], State]:
    """Write a whole stack and read after chosen writes, as `stawm.core` says.

    The form "factored" keeps rows, "dense" builds A; "auto" is factored while the memory has fewer than 2m rows.
    A dense state stays dense.
    """
    check_stack(E, Q, reads)
    state = None if state is None else settle(state, form, E.shape[1], rates)
    if isinstance(state, DenseState) or (state is None and not is_factored(form, *E.shape[1:])):
        return _unroll_dense(E, Q, reads, rates, state)
    after = E if state is None else torch.cat([state.E, E], dim=1)
    if not reads:
        return Q, FactoredState(after)
    before = after.shape[1] - E.shape[1]
    return attend(Q, after, after, _weights(after, rates, [before + r for r in reads])), FactoredState(after)


def contributions(E: Float[Tensor, "b n m"], q: Float[Tensor, "b m"], rates: Rates) -> Float[Tensor, "b n m"]:
    """Return what each write gives to the read of q, as `stawm.core` says: η λ^(n-1-s) eₛ (eₛ·q)."""
    return terms(q, E, E, _weights(E, rates, [E.shape[1]]))


def bound(t: int, e: float, decay: float, eta: float, start: float = 0.0) -> float:
    """Return what |A|, in the Frobenius norm, cannot exceed after t writes: λᵗ |A₀| + η |e|² (1 - λᵗ) / (1 - λ).

    Equal inputs attain it. With λ = 1 it grows without end.

    Args:
        t: How many writes.
        e: The greatest |e|.
        decay: λ, from 0 to 1.
        eta: η.
        start: |A₀|.
    """
    kept = decay**t
    return kept * start + eta * e**2 * (t if decay == 1 else (1 - kept) / (1 - decay))


def _weights(E: Tensor, rates: Rates, reads: Sequence[int]) -> Tensor:
    """What each row counts for at each read: η λ^(r-1-s)."""
    return as_scalar(rates.eta, E) * decay_rows(as_scalar(rates.decay, E), E.shape[1], reads)


def _unroll_dense(
    E: Tensor, Q: Tensor, reads: Sequence[int], rates: Rates, state: DenseState | None
) -> tuple[Tensor, DenseState]:
    def write_dense(dense: "DenseState | None", e: Tensor) -> DenseState:
        return _change(dense, e, rates)

    def read_dense(dense: "DenseState | None", q: Tensor) -> Tensor:
        return torch.zeros_like(q) if dense is None else read(dense, q, rates)

    Y, after = step_through((E,), Q, reads, state, write_dense, read_dense)
    return Y, after or init_dense(E.shape[0], E.shape[2], device=E.device, dtype=E.dtype)


def _change(state: DenseState | None, e: Tensor, rates: Rates) -> DenseState:
    """Return λ A + η e eᵀ; of the empty memory, None, only the second part."""
    learned = (as_scalar(rates.eta, e) * e)[:, :, None]
    if state is None:
        return DenseState(learned * e[:, None, :])
    return DenseState(torch.addcmul(as_scalar(rates.decay, e) * state.A, learned, e[:, None, :]))
