"""Oja's subspace rule: y = S x, S ← S + η y (x - Sᵀ y)ᵀ, read as S q.

Oja (1989), "Neural networks, principal components, and subspaces"; for a single neuron Oja (1982), "Simplified neuron
model as a principal component analyzer". Hebb's growth y xᵀ less what is explained already: the rows of S become an
orthonormal basis of the subspace that the inputs mostly lie in, so what is read is the query in the terms of what was
written. S = 0 stays 0, so the rule takes a start S₀ other than zero, which is what an empty memory reads with. Nor does
an orthogonal S change, for with SᵀS = I everything is explained.

Cubic in S, so writes follow one another, but each adds only y zᵀ with z = η (x - Sᵀ y). Unrolled, Sₜ x = S₀ x + Σ_{s<t}
(zₛ·x) yₛ and Sₜᵀ y = S₀ᵀ y + Σ_{s<t} (yₛ·y) zₛ: with one S₀ for the whole batch, no (b, m, m) is built but the S that
comes out. That costs about 4nm operations a write besides two products with S₀, against 6m² for the loop over matrices.
`CHUNK` writes are taken together, and S is built between them. The state is that of the delta rule: S, (b, d, m), has a
row for each of d neurons; a memory module has d = m.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.core.chunks import earlier, in_chunks
from stawm.core.delta import State, matrix, read
from stawm.core.plasticity import Rates
from stawm.core.stacks import as_scalar, check_stack

CHUNK = 64


def init_state(batch: int, start: Float[Tensor, "d m"]) -> State:
    """Return the memory before any write: S₀ for every image."""
    return State(start.expand(batch, *start.shape))


def write(state: State, x: Float[Tensor, "b m"], rates: Rates) -> State:
    """Return the memory after it saw x."""
    y = read(state, x)
    z = as_scalar(rates.eta, x) * (x - (y[:, None] @ state.S)[:, 0])
    return State(torch.addcmul(state.S, y[:, :, None], z[:, None, :]))


def unroll(
    E: Float[Tensor, "b n m"],
    Q: Float[Tensor, "b k m"],
    reads: Sequence[int],
    start: Float[Tensor, "d m"],
    rates: Rates,
    state: State | None = None,
) -> tuple[Float[Tensor, "b k d"], State]:
    """Write a whole stack and read after chosen writes, as `stawm.core` says; the empty memory reads with S₀."""
    check_stack(E, Q, reads)

    def part(X: Tensor, Q: Tensor, reads: Sequence[int], state: "State | None") -> tuple[Tensor, State]:
        return _chunk(X, Q, reads, start if state is None else state.S, rates)

    return in_chunks(part, (E,), Q, reads, state, CHUNK)


def contributions(
    E: Float[Tensor, "b n m"], q: Float[Tensor, "b m"], start: Float[Tensor, "d m"], rates: Rates
) -> tuple[Float[Tensor, "b n d"], Float[Tensor, "b d"]]:
    """Return what each write gives to the read of q, as `stawm.core` says, and what is left of S₀ q.

    A write is S ← (I - η y yᵀ) S + η y xᵀ: it stores η y xᵀ, and takes its own direction y away from all before it.
    """
    eta, met = as_scalar(rates.eta, E), E @ q[:, :, None]
    found = (q @ start.mT)[:, None]  # of S₀ first, then of each write
    for t, y in enumerate(_answers(E, start, eta)[0].unbind(1)):
        left = found - eta * (found @ y[:, :, None]) * y[:, None]
        found = torch.cat([left, eta * met[:, t, :, None] * y[:, None]], dim=1)
    return found[:, 1:], found[:, 0]


def bound(c: float, start: float) -> float:
    """Return what |S|, its largest singular value, cannot exceed, for ever.

    Where η|x|² ≤ c at every write, |S|² ≤ 1 + c/2 is kept up, and so is any greater bound up to 2: with
    K = S Sᵀ ≤ ρ I, a = u·y and B = ρ I - K, every unit vector u has uᵀK'u = ρ - uᵀBu + 2η a uᵀBy
    - 2η(ρ-1) a² + η²|x - Sᵀy|² a² ≤ ρ + η a² (η|x|² - 2(ρ-1)), by Cauchy and Schwarz, and ρ ≤ 2.

    Args:
        c: The greatest η|x|².
        start: |S₀|.

    Returns:
        The bound; infinite where c > 2 or |S₀|² > 2.
    """
    return max(start * start, 1 + c / 2) ** 0.5 if 0 <= c <= 2 and start * start <= 2 else float("inf")


def _chunk(X: Tensor, Q: Tensor, reads: Sequence[int], S: Tensor, rates: Rates) -> tuple[Tensor, State]:
    """A short stack from S, which is (m, m) for the whole batch or one for each image."""
    Y, Z = _answers(X, S, as_scalar(rates.eta, X))
    after = State(S + Y.mT @ Z)
    if not reads:
        return Q @ S.mT, after
    seen = earlier(X.shape[1], X)
    return Q @ S.mT + ((Q @ Z.mT) * torch.stack([seen[r] for r in reads])) @ Y, after


def _answers(X: Tensor, S: Tensor, eta: Tensor) -> tuple[Tensor, Tensor]:
    """What each write of a short stack adds: y zᵀ."""
    X0 = X @ S.mT
    Y, Z = X0[:, :0], X[:, :0]
    for t in range(X.shape[1]):
        x, y = X[:, t : t + 1], X0[:, t : t + 1]
        y = y + (x @ Z.mT) @ Y if t else y
        back = y @ S + (y @ Y.mT) @ Z if t else y @ S
        z = eta * (x - back)
        Y, Z = (torch.cat([Y, y], dim=1), torch.cat([Z, z], dim=1)) if t else (y, z)
    return Y, Z


__all__ = ["Rates", "State", "bound", "contributions", "init_state", "matrix", "read", "unroll", "write"]
