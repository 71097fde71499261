"""Differentiable plasticity: y = tanh((w + α∘H) x), H ← (1-η) H + η y xᵀ from H = 0, read as (w + α∘H) q.

Miconi, Stanley and Clune (2018), "Differentiable plasticity: training plastic neural networks with backpropagation",
Eq. 1 and 2; with trace "oja" their Eq. 3, H ← H + η y (x - y H)ᵀ elementwise: Hᵢⱼ ← Hᵢⱼ + η yᵢ (xⱼ - yᵢ Hᵢⱼ). Each
connection has a fixed weight w, a trace H of what its two neurons did together, and a coefficient α: how plastic it is.
Here i is the neuron that receives and j the one that sends, so that reading is a product with a matrix; the paper
writes the two indices the other way round. An empty memory reads w q.

Both traces are sums of rank one whose rows fade on their own: Hᵢⱼ = Σₛ zₛᵢ xₛⱼ, where a write multiplies every zₛ by
1-η (Hebb) or by 1 - η y² (Oja) and adds η y. So (α∘H) q = Σₛ zₛ ∘ α (xₛ∘q), products with one matrix α for the whole
batch, and no (b, m, m) is built but the H that comes out. That costs nm² operations a write in place of about 8m², but
in matrix products and not in passes over memory; `CHUNK` writes are taken together, and H is built between them.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.core.chunks import in_chunks
from stawm.core.stacks import Scalar, as_scalar, check_stack, of_any_number

Trace: TypeAlias = Literal["hebb", "oja"]
CHUNK = 16


class Weights(NamedTuple):
    """What is learned between episodes and fixed within one.

    Attributes:
        w: The fixed weights, (m, m).
        alpha: α, how plastic each connection is, (m, m).
    """

    w: Float[Tensor, "m m"]
    alpha: Float[Tensor, "m m"]


class Rates(NamedTuple):
    """The one rate: η, how fast the trace follows."""

    eta: Scalar


class State(NamedTuple):
    """The memory as its trace H, from the neurons that send to those that receive."""

    H: Float[Tensor, "b m m"]


@runtime_checkable
class Traced(Protocol):
    """Any state with such a trace: this one, and those of `stawm.core.backpropamine`."""

    @property
    def H(self) -> Float[Tensor, "b m m"]:
        """The trace, (b, m, m)."""
        ...


def init_state(batch: int, m: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None) -> State:
    """Return the memory without a trace, which reads w q."""
    return State(torch.zeros(batch, m, m, device=device, dtype=dtype))


def write(state: State, x: Float[Tensor, "b m"], weights: Weights, rates: Rates, *, trace: Trace = "hebb") -> State:
    """Return the memory after the network answered x and its connections noted it."""
    return imprint(state, x, respond(state, x, weights), rates, trace=trace)


def respond(state: Traced, x: Float[Tensor, "b m"], weights: Weights) -> Float[Tensor, "b m"]:
    """Return y = tanh((w + α∘H) x), what the neurons that receive do."""
    return read(state, x, weights).tanh()


def imprint(
    state: State, x: Float[Tensor, "b m"], y: Float[Tensor, "b m"], rates: Rates, *, trace: Trace = "hebb"
) -> State:
    """Return the memory after x and y occurred together."""
    grown = (as_scalar(rates.eta, y) * y)[:, :, None]
    return State(torch.addcmul(_kept(y, rates, trace) * state.H, grown, x[:, None, :]))


@of_any_number
def read(state: Traced, q: Float[Tensor, "b *k m"], weights: Weights) -> Float[Tensor, "b *k m"]:
    """Return (w + α∘H) q."""
    return q @ weights.w.mT + q @ (weights.alpha * state.H).mT


def matrix(state: Traced, weights: Weights) -> Float[Tensor, "b m m"]:
    """Return w + α∘H."""
    return weights.w + weights.alpha * state.H


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
    """Write a whole stack and read after chosen writes, as `stawm.core` says.

    The trace "hebb" fades at the same rate everywhere, "oja" as fast as the receiving neuron is active.
    """
    check_stack(E, Q, reads)

    def part(X: Tensor, Q: Tensor, reads: Sequence[int], state: "State | None") -> tuple[Tensor, State]:
        return _chunk(X, Q, reads, weights, rates, state, trace)

    return in_chunks(part, (E,), Q, reads, state, CHUNK)


def contributions(
    E: Float[Tensor, "b n m"], q: Float[Tensor, "b m"], weights: Weights, rates: Rates, *, trace: Trace = "hebb"
) -> Float[Tensor, "b n m"]:
    """Return what each write gives to the read of q, as `stawm.core` says; the rest of the read is w q."""
    w, alpha = weights
    Z = E[:, :0]
    for t in range(E.shape[1]):
        y = _recall(E[:, t], E[:, :t], Z, 1.0, w, alpha, None).tanh()
        Z = torch.cat([Z * _kept(y, rates, trace).mT, (as_scalar(rates.eta, y) * y)[:, None]], dim=1)
    return Z * ((E * q[:, None]) @ alpha.mT)


def bound(t: int, x: float, y: float, eta: float, start: float = 0.0, *, trace: Trace = "hebb") -> float:
    """Return what no |Hᵢⱼ| can exceed after t writes.

    The Hebb trace is a mean of products, so it stays within x·y for ever. The Oja trace has no such
    limit: where a neuron answers weakly its trace moves towards xⱼ/yᵢ.

    Args:
        t: How many writes.
        x: The greatest |xⱼ|.
        y: The greatest |yᵢ|; 1 for tanh.
        eta: η.
        start: The greatest |Hᵢⱼ| before them.
        trace: Which trace.

    Returns:
        The bound; infinite where η lies outside [0, 1], or η y² outside [0, 2] for the Oja trace.
    """
    if trace == "oja":
        return start + t * eta * x * y if 0 <= eta * y * y <= 2 else float("inf")
    if not 0 <= eta <= 1:
        return float("inf")
    return (1 - eta) ** t * start + eta * x * y * sum((1 - eta) ** s for s in range(t))


def _kept(y: Tensor, rates: Rates, trace: Trace) -> Tensor:
    """The share of each row of H that a write keeps, (b, m, 1), or (1, 1, 1) where it is the same for all."""
    eta = as_scalar(rates.eta, y)[None, None, None]
    return 1 - eta if trace == "hebb" else 1 - eta * y.square()[:, :, None]


def _chunk(
    X: Tensor, Q: Tensor, reads: Sequence[int], weights: Weights, rates: Rates, state: State | None, trace: Trace
) -> tuple[Tensor, State]:
    """A short stack: H = γ∘H₀ + Σₛ zₛ xₛᵀ, with γ and Z one number, or one for each row of H."""
    w, alpha = weights
    n, eta = X.shape[1], as_scalar(rates.eta, X)
    start = None if state is None else (alpha * state.H).mT
    gamma: Tensor | float = 1.0
    Z = X[:, :0]
    answers: dict[int, Tensor] = {}
    for t in range(n + 1):
        for k in (k for k, r in enumerate(reads) if r == t):
            answers[k] = _recall(Q[:, k], X[:, :t], Z, gamma, w, alpha, start)
        if t < n:
            y = _recall(X[:, t], X[:, :t], Z, gamma, w, alpha, start).tanh()
            kept = _kept(y, rates, trace)
            gamma = gamma * kept
            Z = torch.cat([Z * kept.mT, (eta * y)[:, None]], dim=1) if t else (eta * y)[:, None]
    H = Z.mT @ X
    H = H if state is None else gamma * state.H + H
    return torch.stack([answers[k] for k in range(len(reads))], dim=1) if reads else Q, State(H)


def _recall(
    q: Tensor, X: Tensor, Z: Tensor, gamma: Tensor | float, w: Tensor, alpha: Tensor, start: Tensor | None
) -> Tensor:
    """(w + α∘H) q, without H."""
    y = q @ w.mT
    if X.shape[1] > 0:
        y = y + (Z * ((X * q[:, None]) @ alpha.mT)).sum(dim=1)
    if start is not None:
        before = q[:, None] @ start
        y = y + (gamma * before.mT)[:, :, 0]
    return y
