"""The delta rule: S ← S (I - β k kᵀ) + β v kᵀ, read as S q.

The rule of Widrow and Hoff (1960) as the write of a memory: Schlag, Irie and Schmidhuber (2021), "Linear Transformers
Are Secretly Fast Weight Programmers", section 4.2. What stands under the key k is replaced by the value v, to the share
β |k|²: S + β (v - S k) kᵀ is one step of gradient descent on |v - S k|² / 2.

Linear in S, so a whole stack is solved at once (Yang, Wang, Zhang, Shen and Kim 2024, section 3): each write adds
uₜ kₜᵀ with uₜ = βₜ (vₜ - S₀ kₜ - Σ_{s<t} (kₛ·kₜ) uₛ), a unit lower triangular system in the u, and every read is
S₀ q + Σ_{s<t} (kₛ·q) uₛ. Up to `CHUNK` writes are solved together, so the cost is about 4nm(n + k) operations besides
2nm² for the state that comes out, against 5nm² and n + 1 matrices for the loop.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.core.chunks import earlier, in_chunks, unit_lower_inverse
from stawm.core.stacks import attend, check_stack, of_any_number, retraced

CHUNK = 32


class State(NamedTuple):
    """The memory as its matrix S, from keys of m numbers to values of d; a memory module has d = m."""

    S: Float[Tensor, "b d m"]


def init_state(batch: int, m: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None) -> State:
    """Return the empty memory, which reads zeros."""
    return State(torch.zeros(batch, m, m, device=device, dtype=dtype))


def write(state: State, k: Float[Tensor, "b m"], v: Float[Tensor, "b m"], beta: Float[Tensor, "b"]) -> State:
    """Return the memory after a value was written under a key.

    Args:
        state: The memory.
        k: The key.
        v: The value.
        beta: β, how much of the way from what the key reads to the value, for |k| = 1.
    """
    u = beta[:, None] * (v - read(state, k))
    return State(torch.addcmul(state.S, u[:, :, None], k[:, None, :]))


@of_any_number
def read(state: State, q: Float[Tensor, "b *k m"]) -> Float[Tensor, "b *k d"]:
    """Return S q."""
    return q @ state.S.mT


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
    """Write a whole stack and read after chosen writes, as `stawm.core` says, of keys K, values V and β of each."""
    check_stack(K, Q, reads)
    return in_chunks(_chunk, (K, V, beta), Q, reads, state, CHUNK)


def contributions(
    K: Float[Tensor, "b n m"],
    V: Float[Tensor, "b n d"],
    beta: Float[Tensor, "b n"],
    q: Float[Tensor, "b m"],
) -> Float[Tensor, "b n d"]:
    """Return what each write gives to the read of q, as `stawm.core` says: βₛ vₛ (kₛ · Π_{r>s} (I - βᵣ kᵣ kᵣᵀ) q).

    A value that a later write replaced altogether gives nothing any more.
    """
    return retraced(K, V, beta, torch.ones_like(beta), q)


def bound(t: int, v: float, beta: float, k: float = 1.0, start: float = 0.0) -> float:
    """Return what |S|, in the Frobenius norm, cannot exceed after t writes.

    While 0 ≤ β|k|² ≤ 2 a write moves no two memories apart. Up to 1 it also mixes what the key reads
    with the value instead of overshooting, so that |S'|² ≤ |S|² + β|v|².

    Args:
        t: How many writes.
        v: The greatest |v|.
        beta: The greatest β.
        k: The greatest |k|.
        start: |S₀|.

    Returns:
        The bound; infinite where β|k|² exceeds 2.
    """
    if beta * k * k <= 1:
        return (start**2 + t * beta * v * v) ** 0.5
    return start + t * beta * v * k if beta * k * k <= 2 else float("inf")


def _chunk(
    K: Tensor, V: Tensor, beta: Tensor, Q: Tensor, reads: Sequence[int], state: State | None
) -> tuple[Tensor, State]:
    n = K.shape[1]
    seen = earlier(n, K)
    missing = V if state is None else V - K @ state.S.mT
    U = unit_lower_inverse(beta[:, :, None] * (K @ K.mT) * seen[:n]) @ (beta[:, :, None] * missing)
    S = U.mT @ K if state is None else state.S + U.mT @ K
    if not reads:
        return Q, State(S)
    Y = attend(Q, K, U, torch.stack([seen[r] for r in reads]))
    return Y if state is None else Y + Q @ state.S.mT, State(S)
