"""The gated delta rule: S ← α S (I - β k kᵀ) + β v kᵀ, read as S q.

Yang, Kautz and Hatamizadeh (2025), "Gated Delta Networks: Improving Mamba2 with Delta Rule", section 3.1. First
everything fades to the share α, then the delta rule (`stawm.core.delta`) replaces what stands under the key. α = 1 is
the delta rule, β = 0 forgetting alone.

Solved at once as the delta rule is, with Dₜₛ = Π_{s<r<t} αᵣ for what is left of write s after t writes and γₜ = Π_{r<t}
αᵣ for what is left of the start: uₜ = βₜ (vₜ - γₜ₊₁ S₀ kₜ - αₜ Σ_{s<t} Dₜₛ (kₛ·kₜ) uₛ), and a read is γₜ S₀ q + Σ_{s<t}
Dₜₛ (kₛ·q) uₛ. The products D are multiplied up, never divided, so α = 0 is exact and has its right gradient.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.core import delta
from stawm.core.chunks import in_chunks, unit_lower_inverse
from stawm.core.delta import State, init_state, matrix, read
from stawm.core.stacks import check_stack, retraced

CHUNK = 32


def write(
    state: State,
    k: Float[Tensor, "b m"],
    v: Float[Tensor, "b m"],
    beta: Float[Tensor, "b"],
    alpha: Float[Tensor, "b"],
) -> State:
    """Return the memory after it faded and a value was written under a key.

    Args:
        state: The memory.
        k: The key.
        v: The value.
        beta: β, how much of the way from what the key reads to the value, for |k| = 1.
        alpha: α, the share of the memory that is kept.
    """
    return delta.write(State(alpha[:, None, None] * state.S), k, v, beta)


def unroll(
    K: Float[Tensor, "b n m"],
    V: Float[Tensor, "b n m"],
    beta: Float[Tensor, "b n"],
    alpha: Float[Tensor, "b n"],
    Q: Float[Tensor, "b k m"],
    reads: Sequence[int],
    state: State | None = None,
) -> tuple[Float[Tensor, "b k m"], State]:
    """Write a whole stack and read after chosen writes, as `stawm.core` says, of keys K, values V, β and α of each."""
    check_stack(K, Q, reads)
    if K.shape[1] == 0:
        return delta.unroll(K, V, beta, Q, reads, state)
    return in_chunks(_chunk, (K, V, beta, alpha), Q, reads, state, CHUNK)


def contributions(
    K: Float[Tensor, "b n m"],
    V: Float[Tensor, "b n d"],
    beta: Float[Tensor, "b n"],
    alpha: Float[Tensor, "b n"],
    q: Float[Tensor, "b m"],
) -> Float[Tensor, "b n d"]:
    """Return what each write gives to the read of q, as `stawm.core` says: of the delta rule's, what did not fade."""
    return retraced(K, V, beta, alpha, q)


def bound(t: int, v: float, beta: float, alpha: float, k: float = 1.0, start: float = 0.0) -> float:
    """Return what |S|, in the Frobenius norm, cannot exceed after t writes.

    Args:
        t: How many writes.
        v: The greatest |v|.
        beta: The greatest β.
        alpha: The greatest α, at most 1.
        k: The greatest |k|.
        start: |S₀|.

    Returns:
        The bound; infinite where β|k|² exceeds 2.
    """
    if beta * k * k <= 1:
        return (alpha ** (2 * t) * start**2 + beta * v * v * sum(alpha ** (2 * s) for s in range(t))) ** 0.5
    return alpha**t * start + beta * v * k * sum(alpha**s for s in range(t)) if beta * k * k <= 2 else float("inf")


def _chunk(
    K: Tensor, V: Tensor, beta: Tensor, alpha: Tensor, Q: Tensor, reads: Sequence[int], state: State | None
) -> tuple[Tensor, State]:
    n = K.shape[1]
    left = _left(alpha)
    gamma, D = left[:, :, :1], left[:, :, 1:]
    missing = V if state is None else V - gamma[:, 1:] * (K @ state.S.mT)
    A = (alpha * beta)[:, :, None] * D[:, :n] * (K @ K.mT)
    U = unit_lower_inverse(A) @ (beta[:, :, None] * missing)
    S = (D[:, n, :, None] * U).mT @ K
    S = S if state is None else gamma[:, n:] * state.S + S
    if not reads:
        return Q, State(S)
    Y = ((Q @ K.mT) * torch.stack([D[:, r] for r in reads], dim=1)) @ U
    if state is not None:
        Y = Y + torch.stack([gamma[:, r] for r in reads], dim=1) * (Q @ state.S.mT)
    return Y, State(S)


def _left(alpha: Tensor) -> Tensor:
    """What is left after t writes (row t) of the start (column 0) and of each write s (column s + 1)."""
    unit = torch.eye(alpha.shape[1] + 1, dtype=alpha.dtype, device=alpha.device)
    rows = [unit[0] + 0 * alpha[:, :1]]
    for t in range(alpha.shape[1]):
        rows.append(alpha[:, t : t + 1] * rows[t] + unit[t + 1])
    return torch.stack(rows, dim=1)


__all__ = ["State", "bound", "contributions", "init_state", "matrix", "read", "unroll", "write"]
