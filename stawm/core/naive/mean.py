"""The slow, obvious twin of `stawm.core.mean`: one number at a time."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.core.mean import State, Weights
from stawm.core.naive.tables import one_by_one, table


def init_state(batch: int, m: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None) -> State:
    """Return S = 0 of no writes."""
    zeros = [torch.tensor([[0.0] * width] * batch, device=device, dtype=dtype).view(batch, width) for width in (m, 1)]
    return State(*zeros)


def write(state: State, e: Float[Tensor, "b m"]) -> State:
    """Return S_i + e_i, and one write more."""
    return State(table(lambda b, i: state.S[b, i] + e[b, i], *e.shape), state.count + 1)


@one_by_one
def read(state: State, q: Float[Tensor, "b *k m"], weights: Weights) -> Float[Tensor, "b *k m"]:
    """Return Σ_h V_ih max(0, Σ_j A_hj ē_j + Σ_j B_hj q_j)."""
    batch, m = q.shape
    mean = table(lambda b, i: state.S[b, i] / (state.count[b, 0] if state.count[b, 0] >= 1 else 1.0), batch, m)
    kept = table(lambda b, h: sum(weights.A[h, j] * mean[b, j] for j in range(m)), batch, len(weights.A))
    return read_out(kept[:, None], q[:, None], weights.B, weights.V)[:, 0]


def read_out(
    kept: Float[Tensor, "b #k h"], Q: Float[Tensor, "b k m"], B: Float[Tensor, "h m"], V: Float[Tensor, "m h"]
) -> Float[Tensor, "b k m"]:
    """Return the two layers, neuron by neuron."""
    batch, k, m = Q.shape
    width = len(B)

    def hidden(b: int, c: int, h: int) -> Tensor:
        return torch.relu(kept[b, min(c, kept.shape[1] - 1), h] + sum(B[h, j] * Q[b, c, j] for j in range(m)))

    inner = table(hidden, batch, k, width)
    return table(lambda b, c, i: sum(V[i, h] * inner[b, c, h] for h in range(width)), batch, k, m)


def matrix(state: State, weights: Weights) -> Float[Tensor, "b m m"]:
    """Return the derivative at q = 0, by automatic differentiation."""
    mean = state.S / state.count.clamp(min=1)
    kept = torch.stack([weights.A @ own for own in mean]) if len(mean) else mean @ weights.A.mT
    return slope(kept, weights.B, weights.V)


def slope(kept: Float[Tensor, "b h"], B: Float[Tensor, "h m"], V: Float[Tensor, "m h"]) -> Float[Tensor, "b m m"]:
    """Return Σ_h V_ih B_hj over the neurons that are active."""
    width, m = B.shape
    active = [[bool(x > 0) for x in own] for own in kept]
    return table(
        lambda b, i, j: sum(V[i, h] * B[h, j] if active[b][h] else 0 * V[i, h] for h in range(width)), len(kept), m, m
    )


def unroll(
    E: Float[Tensor, "b n m"],
    Q: Float[Tensor, "b k m"],
    reads: Sequence[int],
    weights: Weights,
    state: State | None = None,
) -> tuple[Float[Tensor, "b k m"], State]:
    """Write one after the other; read where it is asked for."""
    after = [init_state(len(E), E.shape[2], dtype=E.dtype) if state is None else state]
    for t in range(E.shape[1]):
        after.append(write(after[-1], E[:, t]))
    return torch.stack([read(after[r], Q[:, k], weights) for k, r in enumerate(reads)], dim=1), after[-1]


def bound(e: float, q: float, a: float, b: float, v: float) -> float:
    """Return the longest hidden layer, stretched by V."""
    return v * a * e + v * b * q
