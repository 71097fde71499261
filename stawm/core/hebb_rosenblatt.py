"""The Hebb-Rosenblatt memory: W ← (1-δ) W + η e φ(W e + θ e)ᵀ from W = 0, read as W q.

Harris, Niranjan and Hare (2019), "A Biologically Inspired Visual Working Memory for Deep Networks", Eq. 2. That
equation, and orientation "paper", project with W e. Eq. 8 of its Appendix A projects with Wᵀ e: orientation
"appendix", W ← (1-δ) W + η e φ(Wᵀ e + θ e)ᵀ, read as Wᵀ q. The two are different memories (docs/errata.md).

W has two exact forms. Unrolled, W_t = η Σₛ (1-δ)^(t-1-s) eₛ fₛᵀ with fₛ the responses φ(…), so the dense matrix
(b, m, m) and the rows e, f (b, t, m) are the same memory. A write costs about 5m² operations in the dense form and
4tm in the factored one; kept for the gradient, n writes cost n·m² against 2n·m numbers.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.core.activations import Phi, relu6
from stawm.core.stacks import (
    Form,
    Scalar,
    as_scalar,
    attend,
    check_stack,
    decay_rows,
    is_factored,
    of_any_number,
    powers,
    step_through,
    terms,
)

Orientation: TypeAlias = Literal["paper", "appendix"]


class Rates(NamedTuple):
    """The three rates: how much fades, how much is learned, how much of the input passes by.

    Attributes:
        delta: δ, the share of W that a write takes away.
        eta: η, the size of the increment.
        theta: θ, the share of e that a neuron of the second layer gets besides W e.
    """

    delta: Scalar
    eta: Scalar
    theta: Scalar


class DenseState(NamedTuple):
    """The memory as its matrix."""

    W: Float[Tensor, "b m m"]


class FactoredState(NamedTuple):
    """The memory as what was written, newest last; rows of zeros are empty slots and change nothing.

    Attributes:
        E: The inputs e, (b, t, m).
        F: The responses f = φ(W e + θ e), (b, t, m).
    """

    E: Float[Tensor, "b t m"]
    F: Float[Tensor, "b t m"]


State: TypeAlias = DenseState | FactoredState


def init_dense(
    batch: int, m: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
) -> DenseState:
    """Return the empty memory as a matrix."""
    return DenseState(torch.zeros(batch, m, m, device=device, dtype=dtype))


def init_factored(
    batch: int, m: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
) -> FactoredState:
    """Return the empty memory as rows, of which there are none."""
    empty = torch.zeros(batch, 0, m, device=device, dtype=dtype)
    return FactoredState(empty, empty.clone())


def respond(
    state: State, e: Float[Tensor, "b m"], rates: Rates, orientation: Orientation = "paper", phi: Phi = relu6
) -> Float[Tensor, "b m"]:
    """Return f = φ(W e + θ e), what the second layer answers to a stimulus."""
    return phi(read(state, e, rates, orientation) + as_scalar(rates.theta, e) * e)


def write(
    state: State, e: Float[Tensor, "b m"], rates: Rates, orientation: Orientation = "paper", phi: Phi = relu6
) -> State:
    """Return the memory, in the form it has, after one write."""
    f = respond(state, e, rates, orientation, phi)
    if isinstance(state, FactoredState):
        return _append(state, e[:, None], f[:, None])
    return _change(state, e, f, rates)


@of_any_number
def read(
    state: State, q: Float[Tensor, "b *k m"], rates: Rates, orientation: Orientation = "paper"
) -> Float[Tensor, "b *k m"]:
    """Return W q: linear, without φ, and without θ q, so that reading cannot be the identity."""
    return _read_all(state, q, rates, orientation)


def matrix(state: State, rates: Rates) -> Float[Tensor, "b m m"]:
    """Return W itself, as the paper writes it, whatever the form and the orientation."""
    if isinstance(state, DenseState):
        return state.W
    E, F = state
    return E.mT @ (_weights(E, rates).mT * F)


def to_dense(state: State, rates: Rates) -> DenseState:
    """Return the same memory in the dense form."""
    return state if isinstance(state, DenseState) else DenseState(matrix(state, rates))


def settle(state: State, form: Form, n: int, rates: Rates) -> State:
    """Return the same memory in the form that it shall have after n further writes."""
    if isinstance(state, FactoredState) and is_factored(form, state.E.shape[1] + n, state.E.shape[2]):
        return state
    return to_dense(state, rates)


def normalise(e: Float[Tensor, "*b m"], rates: Rates, c: float) -> Float[Tensor, "*b m"]:
    """Return e, scaled down where that is needed to hold η |e|² ≤ c δ.

    With c < 1 and a φ of slope at most 1 a write is then a contraction (`stawm.core.stability`).
    """
    excess = as_scalar(rates.eta, e) * e.square().sum(-1, keepdim=True) / (c * as_scalar(rates.delta, e))
    return e * excess.clamp(min=1).rsqrt()


def unroll(
    E: Float[Tensor, "b n m"],
    Q: Float[Tensor, "b k m"],
    reads: Sequence[int],
    rates: Rates,
    state: State | None = None,
    *,
    orientation: Orientation = "paper",
    phi: Phi = relu6,
    form: Form = "auto",
) -> tuple[Float[Tensor, "b k m"], State]:
    """Write a whole stack and read after chosen writes, as `stawm.core` says.

    The orientation "paper" projects with W, "appendix" with Wᵀ; phi is the response function. The form "factored"
    keeps rows and never builds W, "dense" builds it; "auto" is factored while the memory has fewer than 2m rows.
    A dense state stays dense.
    """
    check_stack(E, Q, reads)
    state = None if state is None else settle(state, form, E.shape[1], rates)
    if isinstance(state, DenseState) or (state is None and not is_factored(form, *E.shape[1:])):
        return _unroll_dense(E, Q, reads, rates, state, orientation, phi)
    F = _responses(E, rates, state, orientation, phi)
    after = FactoredState(E, F) if state is None else _append(state, E, F)
    if not reads:
        return Q, after
    rows = after.E.shape[1]
    D = decay_rows(1 - as_scalar(rates.delta, E), rows, [rows - E.shape[1] + r for r in reads])
    return attend(Q, *_keys_values(after, orientation), as_scalar(rates.eta, E) * D), after


def contributions(
    E: Float[Tensor, "b n m"],
    q: Float[Tensor, "b m"],
    rates: Rates,
    orientation: Orientation = "paper",
    phi: Phi = relu6,
) -> Float[Tensor, "b n m"]:
    """Return what each write gives to the read of q, as `stawm.core` says: η (1-δ)^(n-1-s) eₛ (fₛ·q)."""
    state = FactoredState(E, _responses(E, rates, None, orientation, phi))
    return terms(q, *_keys_values(state, orientation), _weights(E, rates))


def _append(state: FactoredState, E: Tensor, F: Tensor) -> FactoredState:
    return FactoredState(torch.cat([state.E, E], dim=1), torch.cat([state.F, F], dim=1))


def _keys_values(state: FactoredState, orientation: Orientation) -> tuple[Tensor, Tensor]:
    """W q = Σ e (f·q): f is the key and e the value; Wᵀ q = Σ f (e·q) has them the other way round."""
    E, F = state
    return (F, E) if orientation == "paper" else (E, F)


def _weights(E: Tensor, rates: Rates) -> Tensor:
    """What a row counts for by its age: η (1-δ)^(t-1-s)."""
    t = E.shape[1]
    return as_scalar(rates.eta, E) * decay_rows(1 - as_scalar(rates.delta, E), t, [t])


def _read_all(state: State, Q: Tensor, rates: Rates, orientation: Orientation) -> Tensor:
    if isinstance(state, DenseState):
        return Q @ (state.W.mT if orientation == "paper" else state.W)
    return attend(Q, *_keys_values(state, orientation), _weights(state.E, rates))


def _responses(E: Tensor, rates: Rates, state: FactoredState | None, orientation: Orientation, phi: Phi) -> Tensor:
    """Return all f of a stack: A holds the inputs a = θ e + W e of the stimuli to come, and each write adds to them."""
    n = E.shape[1]
    decays = powers(1 - as_scalar(rates.delta, E), n)[:, None]
    learned = as_scalar(rates.eta, E) * decays
    A = as_scalar(rates.theta, E) * E
    if state is not None:
        A = A + decays * _read_all(state, E, rates, orientation)
    responses, later = [], E
    for rest in reversed(range(n)):
        (a, A), (e, later) = A.split([1, rest], dim=1), later.split([1, rest], dim=1)
        f = phi(a)
        responses.append(f)
        key, value = (f, e) if orientation == "paper" else (e, f)
        A = torch.baddbmm(A, (later @ key.mT) * learned[:rest], value)
    return torch.cat(responses, dim=1) if responses else E


def _unroll_dense(
    E: Tensor,
    Q: Tensor,
    reads: Sequence[int],
    rates: Rates,
    state: DenseState | None,
    orientation: Orientation,
    phi: Phi,
) -> tuple[Tensor, DenseState]:
    def write_dense(dense: "DenseState | None", e: Tensor) -> DenseState:
        empty = dense is None
        f = phi(as_scalar(rates.theta, e) * e) if empty else respond(dense, e, rates, orientation, phi)
        return _change(dense, e, f, rates)

    def read_dense(dense: "DenseState | None", q: Tensor) -> Tensor:
        return torch.zeros_like(q) if dense is None else read(dense, q, rates, orientation)

    Y, after = step_through((E,), Q, reads, state, write_dense, read_dense)
    return Y, after or init_dense(E.shape[0], E.shape[2], device=E.device, dtype=E.dtype)


def _change(state: DenseState | None, e: Tensor, f: Tensor, rates: Rates) -> DenseState:
    """Return (1-δ) W + η e fᵀ; of the empty memory, None, only the second part."""
    learned, f = (as_scalar(rates.eta, e) * e)[:, :, None], f[:, None, :]
    if state is None:
        return DenseState(learned * f)
    return DenseState(torch.addcmul((1 - as_scalar(rates.delta, e)) * state.W, learned, f))
