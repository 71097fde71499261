"""The slow, obvious twin of `stawm.core.recurrent`: one neuron at a time."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.core.naive.mean import read_out, slope
from stawm.core.naive.tables import one_by_one, table
from stawm.core.recurrent import State, Weights


def init_state(
    batch: int, width: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
) -> State:
    """Return h = c = 0."""
    zeros = torch.tensor([[0.0] * width] * batch, device=device, dtype=dtype).view(batch, width)
    return State(zeros, zeros.clone())


def write(state: State, e: Float[Tensor, "b m"], weights: Weights) -> State:
    """Return c_j = σ(f_j) c_j + σ(i_j) tanh(g_j) and h_j = σ(o_j) tanh(c_j), neuron by neuron."""
    batch, width = state.h.shape
    U, R, bias = weights[:3]

    def gate(b: int, row: int) -> Tensor:
        given = sum(U[row, j] * e[b, j] for j in range(e.shape[1]))
        return given + sum(R[row, j] * state.h[b, j] for j in range(width)) + bias[row]

    def cell(b: int, j: int) -> Tensor:
        i, f, g = (gate(b, j + part * width) for part in range(3))
        return torch.sigmoid(f) * state.c[b, j] + torch.sigmoid(i) * torch.tanh(g)

    c = table(cell, batch, width)
    h = table(lambda b, j: torch.sigmoid(gate(b, j + 3 * width)) * torch.tanh(c[b, j]), batch, width)
    return State(h, c)


@one_by_one
def read(state: State, q: Float[Tensor, "b *k m"], weights: Weights) -> Float[Tensor, "b *k m"]:
    """Return Σ_p V_ip max(0, Σ_j A_pj h_j + Σ_j B_pj q_j)."""
    return read_out(_kept(state, weights)[:, None], q[:, None], weights.B, weights.V)[:, 0]


def matrix(state: State, weights: Weights) -> Float[Tensor, "b m m"]:
    """Return Σ_p V_ip B_pj over the neurons that are active."""
    return slope(_kept(state, weights), weights.B, weights.V)


def unroll(
    E: Float[Tensor, "b n m"],
    Q: Float[Tensor, "b k m"],
    reads: Sequence[int],
    weights: Weights,
    state: State | None = None,
) -> tuple[Float[Tensor, "b k m"], State]:
    """Write one after the other; read where it is asked for."""
    after = [init_state(len(E), weights.R.shape[1], dtype=E.dtype) if state is None else state]
    for t in range(E.shape[1]):
        after.append(write(after[-1], E[:, t], weights))
    return torch.stack([read(after[r], Q[:, k], weights) for k, r in enumerate(reads)], dim=1), after[-1]


def bound(width: int, q: float, a: float, b: float, v: float) -> float:
    """Return the bound, with every number of h at 1."""
    return v * a * sum(1.0**2 for _ in range(width)) ** 0.5 + v * b * q


def _kept(state: State, weights: Weights) -> Tensor:
    batch, width = state.h.shape
    return table(lambda b, p: sum(weights.A[p, j] * state.h[b, j] for j in range(width)), batch, len(weights.A))
