"""The slow, obvious twin of `stawm.core.plasticity`: one connection at a time."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.core.naive.tables import one_by_one, table
from stawm.core.plasticity import Rates, State, Trace, Traced, Weights


def init_state(batch: int, m: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None) -> State:
    """Return H = 0."""
    return State(torch.tensor([[[0.0] * m] * m] * batch, device=device, dtype=dtype).view(batch, m, m))


def write(state: State, x: Float[Tensor, "b m"], weights: Weights, rates: Rates, *, trace: Trace = "hebb") -> State:
    """Let every neuron answer, then every connection note it."""
    return imprint(state, x, respond(state, x, weights), rates, trace=trace)


def respond(state: Traced, x: Float[Tensor, "b m"], weights: Weights) -> Float[Tensor, "b m"]:
    """Return tanh(Σ_j (w_ij + α_ij H_ij) x_j) neuron by neuron."""
    answers = read(state, x, weights)
    return table(lambda b, i: torch.tanh(answers[b, i]), *x.shape)


def imprint(
    state: State, x: Float[Tensor, "b m"], y: Float[Tensor, "b m"], rates: Rates, *, trace: Trace = "hebb"
) -> State:
    """Return H_ij + η (y_i x_j - H_ij), or H_ij + η y_i (x_j - y_i H_ij), connection by connection."""
    H, eta = state.H, rates.eta
    batch, m = x.shape

    def hebb(b: int, i: int, j: int) -> Tensor:
        return H[b, i, j] + eta * (y[b, i] * x[b, j] - H[b, i, j])

    def oja(b: int, i: int, j: int) -> Tensor:
        return H[b, i, j] + eta * y[b, i] * (x[b, j] - y[b, i] * H[b, i, j])

    return State(table(hebb if trace == "hebb" else oja, batch, m, m))


@one_by_one
def read(state: Traced, q: Float[Tensor, "b *k m"], weights: Weights) -> Float[Tensor, "b *k m"]:
    """Return Σ_j (w_ij + α_ij H_ij) q_j."""
    W = matrix(state, weights)
    batch, m = q.shape
    return table(lambda b, i: sum(W[b, i, j] * q[b, j] for j in range(m)), batch, m)


def matrix(state: Traced, weights: Weights) -> Float[Tensor, "b m m"]:
    """Return w_ij + α_ij H_ij."""
    w, alpha = weights
    return table(lambda b, i, j: w[i, j] + alpha[i, j] * state.H[b, i, j], *state.H.shape)


def unroll(
    E: Float[Tensor, "b n m"],
    Q: Float[Tensor, "b k m"],
    reads: Sequence[int],
    weights: Weights,
    rates: Rates,
    state: State | None = None,
    *,
    trace: Trace = "hebb",
) -> tuple[Float[Tensor, "b k m"], State]:
    """Write one after the other; read where it is asked for."""
    batch, n, m = E.shape
    after = [init_state(batch, m, dtype=E.dtype) if state is None else state]
    for t in range(n):
        after.append(write(after[-1], E[:, t], weights, rates, trace=trace))
    return torch.stack([read(after[r], Q[:, k], weights) for k, r in enumerate(reads)], dim=1), after[-1]


def contributions(
    E: Float[Tensor, "b n m"], q: Float[Tensor, "b m"], weights: Weights, rates: Rates, *, trace: Trace = "hebb"
) -> Float[Tensor, "b n m"]:
    """Return what q reads where one write alone leaves a trace, and later ones let it fade; without w q."""
    batch, n, m = E.shape
    state = empty = init_state(batch, m, dtype=E.dtype)
    alone: list[State] = []
    for t in range(n):
        x, y = E[:, t], respond(state, E[:, t], weights)
        alone = [imprint(own, 0 * x, y, rates, trace=trace) for own in alone]
        alone.append(imprint(empty, x, y, rates, trace=trace))
        state = imprint(state, x, y, rates, trace=trace)
    traces = weights._replace(w=0 * weights.w)
    return torch.stack([read(own, q, traces) for own in alone], dim=1)


def bound(t: int, x: float, y: float, eta: float, start: float = 0.0, *, trace: Trace = "hebb") -> float:
    """Return the bound of |H_ij|, write by write."""
    legal = 0 <= eta <= 1 if trace == "hebb" else 0 <= eta * y * y <= 2
    size = start if legal else float("inf")
    for _ in range(t):
        size = (1 - eta) * size + eta * x * y if legal and trace == "hebb" else size + eta * x * y
    return size
