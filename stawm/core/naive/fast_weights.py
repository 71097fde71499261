"""The slow, obvious twin of `stawm.core.fast_weights`: one synapse at a time."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.core.fast_weights import DenseState, FactoredState, Rates, S, State
from stawm.core.stacks import Form


def init_dense(
    batch: int, m: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
) -> DenseState:
    """Return A = 0."""
    return DenseState(torch.tensor([[[0.0] * m] * m] * batch, device=device, dtype=dtype).view(batch, m, m))


def init_factored(
    batch: int, m: int, slots: int = 0, *, device: torch.device | None = None, dtype: torch.dtype | None = None
) -> FactoredState:
    """Return rows of zeros."""
    return FactoredState(torch.tensor([[[0.0] * m] * slots] * batch, device=device, dtype=dtype).view(batch, slots, m))


def write(state: S, e: Float[Tensor, "b m"], rates: Rates) -> S:
    """Return λ A_ij + η e_i e_j synapse by synapse, or the rows with one more."""
    batch = len(e)
    if isinstance(state, FactoredState):
        return FactoredState(torch.stack([torch.stack([*state.E[b], e[b]]) for b in range(batch)]))
    return DenseState(torch.stack([_faded_and_grown(state.A[b], e[b], rates) for b in range(batch)]))


def _faded_and_grown(A: Tensor, e: Tensor, rates: Rates) -> Tensor:
    m = len(e)
    return _table([[rates.decay * A[i, j] + rates.eta * e[i] * e[j] for j in range(m)] for i in range(m)])


def read(state: State, q: Float[Tensor, "b m"], rates: Rates) -> Float[Tensor, "b m"]:
    """Return Σ_j A_ij q_j."""
    A = matrix(state, rates)
    batch, m = q.shape
    return _table([[sum(A[b, i, j] * q[b, j] for j in range(m)) for i in range(m)] for b in range(batch)])


def matrix(state: State, rates: Rates) -> Float[Tensor, "b m m"]:
    """Return A: of rows, by writing them one after the other."""
    if isinstance(state, DenseState):
        return state.A
    batch, rows, m = state.E.shape
    memory = init_dense(batch, m, dtype=state.E.dtype)
    for s in range(rows):
        memory = write(memory, state.E[:, s], rates)
    return memory.A


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
    memory: State = init_dense(batch, m, dtype=E.dtype) if state is None else to_dense(state, rates)
    after = [memory]
    for t in range(n):
        after.append(write(after[-1], E[:, t], rates))
    answers = [read(after[r], Q[:, k], rates) for k, r in enumerate(reads)]
    return torch.stack(answers, dim=1), after[-1]


def _table(rows: list[list[Tensor]]) -> Tensor:
    """Put numbers, given row by row, into one tensor."""
    return torch.stack([torch.stack(row) for row in rows])
