"""The slow, obvious twin of `stawm.core.delta`: the matrix I - β k kᵀ written out, one entry at a time."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.core.delta import State
from stawm.core.naive.tables import one_by_one, table


def init_state(batch: int, m: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None) -> State:
    """Return S = 0."""
    return State(torch.tensor([[[0.0] * m] * m] * batch, device=device, dtype=dtype).view(batch, m, m))


def write(state: State, k: Float[Tensor, "b m"], v: Float[Tensor, "b m"], beta: Float[Tensor, "b"]) -> State:
    """Return Σ_h S_ih (δ_hj - β k_h k_j) + β v_i k_j entry by entry."""
    S = state.S
    batch, m = k.shape

    def turn(b: int, h: int, j: int) -> "Tensor | float":
        return float(h == j) - beta[b] * k[b, h] * k[b, j]

    def entry(b: int, i: int, j: int) -> Tensor:
        return sum(S[b, i, h] * turn(b, h, j) for h in range(m)) + beta[b] * v[b, i] * k[b, j]

    return State(table(entry, batch, m, m))


@one_by_one
def read(state: State, q: Float[Tensor, "b *k m"]) -> Float[Tensor, "b *k d"]:
    """Return Σ_j S_ij q_j."""
    batch, d, m = state.S.shape
    return table(lambda b, i: sum(state.S[b, i, j] * q[b, j] for j in range(m)), batch, d)


def matrix(state: State) -> Float[Tensor, "b d m"]:
    """Return S."""
    return state.S


def unroll(
    K: Float[Tensor, "b n m"],
    V: Float[Tensor, "b n m"],
    beta: Float[Tensor, "b n"],
    Q: Float[Tensor, "b k m"],
    reads: Sequence[int],
    state: State | None = None,
) -> tuple[Float[Tensor, "b k m"], State]:
    """Write one after the other; read where it is asked for."""
    batch, n, m = K.shape
    after = [init_state(batch, m, dtype=K.dtype) if state is None else state]
    for t in range(n):
        after.append(write(after[-1], K[:, t], V[:, t], beta[:, t]))
    return torch.stack([read(after[r], Q[:, k]) for k, r in enumerate(reads)], dim=1), after[-1]


def contributions(
    K: Float[Tensor, "b n m"],
    V: Float[Tensor, "b n d"],
    beta: Float[Tensor, "b n"],
    q: Float[Tensor, "b m"],
) -> Float[Tensor, "b n d"]:
    """Return what q reads where one write alone stores its value, and later ones store zeros."""
    batch, n, m = K.shape
    empty = init_state(batch, m, dtype=K.dtype)
    alone: list[State] = []
    for t in range(n):
        k, v, strength = K[:, t], V[:, t], beta[:, t]
        alone = [write(own, k, 0 * v, strength) for own in alone] + [write(empty, k, v, strength)]
    return torch.stack([read(own, q) for own in alone], dim=1)


def bound(t: int, v: float, beta: float, k: float = 1.0, start: float = 0.0) -> float:
    """Return the bound, write by write: of |S|² while β|k|² ≤ 1, of |S| while it is ≤ 2."""
    share = beta * k**2
    if share > 2:
        return float("inf")
    squared, norm = start**2, start
    for _ in range(t):
        squared, norm = squared + beta * v**2, norm + beta * v * k
    return squared**0.5 if share <= 1 else norm
