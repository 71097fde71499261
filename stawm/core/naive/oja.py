"""The slow, obvious twin of `stawm.core.oja`: one connection at a time."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.core.delta import State
from stawm.core.naive.delta import matrix, read
from stawm.core.naive.tables import table
from stawm.core.plasticity import Rates


def init_state(batch: int, start: Float[Tensor, "d m"]) -> State:
    """Return S₀ for every image."""
    return State(torch.stack([start] * batch))


def write(state: State, x: Float[Tensor, "b m"], rates: Rates) -> State:
    """Return S_ij + η y_i (x_j - Σ_h y_h S_hj) connection by connection."""
    S, y = state.S, read(state, x)
    d = S.shape[1]

    def explained(b: int, j: int) -> "Tensor | float":
        return sum(y[b, h] * S[b, h, j] for h in range(d))

    return State(table(lambda b, i, j: S[b, i, j] + rates.eta * y[b, i] * (x[b, j] - explained(b, j)), *S.shape))


def unroll(
    E: Float[Tensor, "b n m"],
    Q: Float[Tensor, "b k m"],
    reads: Sequence[int],
    start: Float[Tensor, "d m"],
    rates: Rates,
    state: State | None = None,
) -> tuple[Float[Tensor, "b k d"], State]:
    """Write one after the other; read where it is asked for."""
    after = [init_state(E.shape[0], start) if state is None else state]
    for t in range(E.shape[1]):
        after.append(write(after[-1], E[:, t], rates))
    return torch.stack([read(after[r], Q[:, k]) for k, r in enumerate(reads)], dim=1), after[-1]


def contributions(
    E: Float[Tensor, "b n m"], q: Float[Tensor, "b m"], start: Float[Tensor, "d m"], rates: Rates
) -> tuple[Float[Tensor, "b n d"], Float[Tensor, "b d"]]:
    """Return what q reads where one write alone stores something, or the start does, and later ones take away."""
    state = init_state(E.shape[0], start)
    alone = [state.S]
    for t in range(E.shape[1]):
        x, y = E[:, t], read(state, E[:, t])

        def met(S: Tensor, b: int, j: int, y: Tensor = y) -> "Tensor | float":
            return sum(y[b, h] * S[b, h, j] for h in range(S.shape[1]))

        def left(S: Tensor, y: Tensor = y) -> Tensor:
            return table(lambda b, i, j: S[b, i, j] - rates.eta * y[b, i] * met(S, b, j), *S.shape)

        stored = table(lambda b, i, j, x=x, y=y: rates.eta * y[b, i] * x[b, j], *state.S.shape)
        alone = [*map(left, alone), stored]
        state = write(state, x, rates)
    begun, *each = (read(State(S), q) for S in alone)
    return torch.stack(each, dim=1), begun


def bound(c: float, start: float) -> float:
    """Return the root of the least bound of |S|² that a write keeps: 1 + c/2, or |S₀|² up to 2."""
    squared = start**2
    if not 0 <= c <= 2 or squared > 2:
        return float("inf")
    return (squared if squared > 1 + c / 2 else 1 + c / 2) ** 0.5


__all__ = ["Rates", "State", "bound", "contributions", "init_state", "matrix", "read", "unroll", "write"]
