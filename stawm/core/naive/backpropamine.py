"""The slow, obvious twin of `stawm.core.backpropamine`: one connection at a time."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.core.backpropamine import RetroactiveState, SimpleState, State
from stawm.core.naive.plasticity import matrix, read
from stawm.core.naive.tables import table
from stawm.core.plasticity import Rates, Weights


def init_state(
    batch: int,
    m: int,
    *,
    retroactive: bool = False,
    device: torch.device | None = None,
    dtype: torch.dtype | None = None,
) -> State:
    """Return H = 0, and E = 0 in the retroactive form."""
    H = torch.tensor([[[0.0] * m] * m] * batch, device=device, dtype=dtype).view(batch, m, m)
    return RetroactiveState(H, H.clone()) if retroactive else SimpleState(H)


def write(
    state: State,
    x: Float[Tensor, "b m"],
    modulation: Float[Tensor, "b"],
    weights: Weights,
    rates: Rates,
    *,
    clip: float = 1.0,
) -> State:
    """Let every neuron answer, then change every connection by M times what it should note."""
    answers = read(state, x, weights)
    eta = rates.eta

    def together(b: int, i: int, j: int) -> Tensor:
        return torch.tanh(answers[b, i]) * x[b, j]

    def eligible(b: int, i: int, j: int) -> Tensor:
        return state.E[b, i, j] if isinstance(state, RetroactiveState) else together(b, i, j)

    def moved(b: int, i: int, j: int) -> Tensor:
        h = state.H[b, i, j] + modulation[b] * eligible(b, i, j)
        return torch.full_like(h, clip if h > 0 else -clip) if abs(h) > clip else h

    def followed(b: int, i: int, j: int) -> Tensor:
        return eligible(b, i, j) + eta * (together(b, i, j) - eligible(b, i, j))

    H = table(moved, *state.H.shape)
    return RetroactiveState(H, table(followed, *H.shape)) if isinstance(state, RetroactiveState) else SimpleState(H)


def unroll(
    E: Float[Tensor, "b n m"],
    modulation: Float[Tensor, "b n"],
    Q: Float[Tensor, "b k m"],
    reads: Sequence[int],
    weights: Weights,
    rates: Rates,
    state: State | None = None,
    *,
    clip: float = 1.0,
    retroactive: bool = False,
) -> tuple[Float[Tensor, "b k m"], State]:
    """Write one after the other; read where it is asked for."""
    batch, n, m = E.shape
    after = [init_state(batch, m, retroactive=retroactive, dtype=E.dtype) if state is None else state]
    for t in range(n):
        after.append(write(after[-1], E[:, t], modulation[:, t], weights, rates, clip=clip))
    return torch.stack([read(after[r], Q[:, k], weights) for k, r in enumerate(reads)], dim=1), after[-1]


def bound(clip: float) -> float:
    """Return the clip."""
    return clip


__all__ = ["RetroactiveState", "SimpleState", "State", "bound", "init_state", "matrix", "read", "unroll", "write"]
