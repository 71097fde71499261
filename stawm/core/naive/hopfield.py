"""The slow, obvious twin of `stawm.core.hopfield`: one pattern at a time."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.core.hopfield import Rates, State
from stawm.core.naive.tables import one_by_one


def init_state(batch: int, m: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None) -> State:
    """Return no patterns."""
    nothing = torch.tensor([[]] * batch, device=device, dtype=dtype)
    return State(nothing.view(batch, 0, m), nothing.view(batch, 0))


def write(state: State, e: Float[Tensor, "b m"]) -> State:
    """Return the patterns with one more."""
    held = torch.ones((), dtype=e.dtype)
    return State(
        torch.stack([torch.stack([*patterns, new]) for patterns, new in zip(state.E, e, strict=True)]),
        torch.stack([torch.stack([*valid, held]) for valid in state.valid]),
    )


@one_by_one
def read(state: State, q: Float[Tensor, "b *k m"], rates: Rates) -> Float[Tensor, "b *k m"]:
    """Return Σ p_s e_s, p_s = exp(β e_s · q) / Σ exp(β e_r · q) over the patterns that are there."""
    return torch.stack([_retrieve(_held(state, b), q[b], rates) for b in range(len(q))])


def _held(state: State, b: int) -> list[Tensor]:
    return [e for e, valid in zip(state.E[b], state.valid[b], strict=True) if valid]


def _retrieve(patterns: list[Tensor], q: Tensor, rates: Rates) -> Tensor:
    return torch.stack(_weighed(patterns, q, rates)).sum(dim=0) if patterns else 0 * q


def _weighed(patterns: list[Tensor], q: Tensor, rates: Rates) -> list[Tensor]:
    scores = [torch.stack([x * y for x, y in zip(e, q, strict=True)]).sum() * rates.beta for e in patterns]
    weights = [1 / sum(torch.exp(other - score) for other in scores) for score in scores]
    return [p * e for p, e in zip(weights, patterns, strict=True)]


def contributions(E: Float[Tensor, "b n m"], q: Float[Tensor, "b m"], rates: Rates) -> Float[Tensor, "b n m"]:
    """Return p_s e_s of each pattern."""
    return torch.stack([torch.stack(_weighed([*E[b]], q[b], rates)) for b in range(len(E))])


def matrix(state: State, rates: Rates) -> Float[Tensor, "b m m"]:
    """Return the derivative of the read at q = 0, by automatic differentiation."""
    batch, _, m = state.E.shape
    zero = torch.zeros(m, dtype=state.E.dtype)
    return torch.stack(
        [torch.func.jacrev(lambda q, b=b: _retrieve(_held(state, b), q, rates))(zero) for b in range(batch)]
    )


def unroll(
    E: Float[Tensor, "b n m"],
    Q: Float[Tensor, "b k m"],
    reads: Sequence[int],
    rates: Rates,
    state: State | None = None,
) -> tuple[Float[Tensor, "b k m"], State]:
    """Write one after the other; read where it is asked for."""
    after = [init_state(len(E), E.shape[2], dtype=E.dtype) if state is None else state]
    for t in range(E.shape[1]):
        after.append(write(after[-1], E[:, t]))
    answers = [read(after[r], Q[:, k], rates) for k, r in enumerate(reads)]
    return torch.stack(answers, dim=1), after[-1]


def bound(e: float, beta: float) -> float:
    """Return β times the greatest variance of patterns no longer than e: half of them at e, half at -e."""
    return beta * (e**2 / 2 + (-e) ** 2 / 2)
