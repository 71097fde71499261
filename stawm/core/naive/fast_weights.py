"""The slow, obvious twin of `stawm.core.fast_weights`: one synapse at a time."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.core.fast_weights import DenseState, FactoredState, Rates, State
from stawm.core.naive.tables import one_by_one, table
from stawm.core.stacks import Form


def init_dense(
    batch: int, m: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
) -> DenseState:
    """Return A = 0."""
    return DenseState(torch.tensor([[[0.0] * m] * m] * batch, device=device, dtype=dtype).view(batch, m, m))


def init_factored(
    batch: int, m: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
) -> FactoredState:
    """Return no rows."""
    return FactoredState(torch.tensor([[]] * batch, device=device, dtype=dtype).view(batch, 0, m))


def write(state: State, e: Float[Tensor, "b m"], rates: Rates) -> State:
    """Return the matrix with each synapse changed, or the rows with one more."""
    if isinstance(state, FactoredState):
        return FactoredState(torch.stack([torch.stack([*old, row]) for old, row in zip(state.E, e, strict=True)]))
    return DenseState(_changed(state.A, e, rates))


def _changed(A: Tensor, e: Tensor, rates: Rates) -> Tensor:
    """λ A_ij + η e_i e_j."""
    return table(lambda b, i, j: rates.decay * A[b, i, j] + rates.eta * e[b, i] * e[b, j], *A.shape)


@one_by_one
def read(state: State, q: Float[Tensor, "b *k m"], rates: Rates) -> Float[Tensor, "b *k m"]:
    """Return Σ_j A_ij q_j."""
    A = matrix(state, rates)
    return table(lambda b, i: sum(A[b, i, j] * q[b, j] for j in range(q.shape[1])), *q.shape)


def matrix(state: State, rates: Rates) -> Float[Tensor, "b m m"]:
    """Return A: of rows, by writing them one after the other."""
    if isinstance(state, DenseState):
        return state.A
    batch, rows, m = state.E.shape
    A = init_dense(batch, m, dtype=state.E.dtype).A
    for s in range(rows):
        A = _changed(A, state.E[:, s], rates)
    return A


def to_dense(state: State, rates: Rates) -> DenseState:
    """Return the memory as its matrix."""
    return DenseState(matrix(state, rates))


def unroll(
    E: Float[Tensor, "b n m"],
    Q: Float[Tensor, "b k m"],
    reads: Sequence[int],
    rates: Rates,
    state: State | None = None,
    *,
    form: Form = "auto",
) -> tuple[Float[Tensor, "b k m"], State]:
    """Write one after the other; read where it is asked for. Whatever the form, it keeps the matrix."""
    batch, n, m = E.shape
    after: list[State] = [init_dense(batch, m, dtype=E.dtype) if state is None else to_dense(state, rates)]
    for t in range(n):
        after.append(write(after[-1], E[:, t], rates))
    answers = [read(after[r], Q[:, k], rates) for k, r in enumerate(reads)]
    return torch.stack(answers, dim=1), after[-1]


def contributions(E: Float[Tensor, "b n m"], q: Float[Tensor, "b m"], rates: Rates) -> Float[Tensor, "b n m"]:
    """Return what q reads where one write alone stores something, and later ones let it fade."""
    batch, n, m = E.shape
    empty = init_dense(batch, m, dtype=E.dtype).A
    alone: list[Tensor] = []
    for t in range(n):
        e = E[:, t]
        alone = [_changed(own, 0 * e, rates) for own in alone] + [_changed(empty, e, rates)]
    return torch.stack([read(DenseState(own), q, rates) for own in alone], dim=1)


def bound(t: int, e: float, decay: float, eta: float, start: float = 0.0) -> float:
    """Return the bound, write by write."""
    norm = start
    for _ in range(t):
        norm = decay * norm + eta * e * e
    return norm
