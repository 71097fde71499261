"""The slow, obvious twin of `stawm.core.hebb_rosenblatt`: one synapse at a time."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from stawm.core.activations import Phi, relu6
from stawm.core.hebb_rosenblatt import DenseState, FactoredState, Orientation, Rates, State
from stawm.core.naive.tables import one_by_one, table
from stawm.core.stacks import Form


def init_dense(
    batch: int, m: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
) -> DenseState:
    """Return W = 0."""
    return DenseState(torch.tensor([[[0.0] * m] * m] * batch, device=device, dtype=dtype).view(batch, m, m))


def init_factored(
    batch: int, m: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
) -> FactoredState:
    """Return rows of zeros."""
    rows = torch.tensor([[]] * batch, device=device, dtype=dtype).view(batch, 0, m)
    return FactoredState(rows, rows.clone())


def respond(
    state: State, e: Float[Tensor, "b m"], rates: Rates, orientation: Orientation = "paper", phi: Phi = relu6
) -> Float[Tensor, "b m"]:
    """Return φ(a) neuron by neuron, a_i = θ e_i + Σ_j W_ij e_j (Eq. 9)."""
    gamma = read(state, e, rates, orientation)
    return table(lambda b, i: phi(rates.theta * e[b, i] + gamma[b, i]), *e.shape)


def write(
    state: State, e: Float[Tensor, "b m"], rates: Rates, orientation: Orientation = "paper", phi: Phi = relu6
) -> State:
    """Return the matrix with each synapse changed, or the rows with one more."""
    f = respond(state, e, rates, orientation, phi)
    if isinstance(state, FactoredState):
        return FactoredState(_one_more(state.E, e), _one_more(state.F, f))
    return DenseState(_changed(state.W, e, f, rates))


def _one_more(rows: Tensor, new: Tensor) -> Tensor:
    return torch.stack([torch.stack([*old, row]) for old, row in zip(rows, new, strict=True)])


def _changed(W: Tensor, e: Tensor, f: Tensor, rates: Rates) -> Tensor:
    """W_ij + η e_i f_j - δ W_ij (Eq. 2)."""
    delta, eta, _ = rates
    return table(lambda b, i, j: W[b, i, j] + eta * e[b, i] * f[b, j] - delta * W[b, i, j], *W.shape)


@one_by_one
def read(
    state: State, q: Float[Tensor, "b *k m"], rates: Rates, orientation: Orientation = "paper"
) -> Float[Tensor, "b *k m"]:
    """Return Σ_j W_ij q_j, or in the appendix's orientation Σ_j W_ji q_j (Eq. 8)."""
    W = matrix(state, rates)
    m = q.shape[1]
    if orientation == "paper":
        return table(lambda b, i: sum(W[b, i, j] * q[b, j] for j in range(m)), *q.shape)
    return table(lambda b, i: sum(W[b, j, i] * q[b, j] for j in range(m)), *q.shape)


def matrix(state: State, rates: Rates) -> Float[Tensor, "b m m"]:
    """Return W: of rows, by letting them change it one after the other."""
    if isinstance(state, DenseState):
        return state.W
    batch, rows, m = state.E.shape
    W = init_dense(batch, m, dtype=state.E.dtype).W
    for s in range(rows):
        W = _changed(W, state.E[:, s], state.F[:, s], rates)
    return W


def to_dense(state: State, rates: Rates) -> DenseState:
    """Return the memory as its matrix."""
    return DenseState(matrix(state, rates))


def normalise(e: Float[Tensor, "*b m"], rates: Rates, c: float) -> Float[Tensor, "*b m"]:
    """Return each e, divided where η |e|² > c δ by the root of how many times too large that is."""
    vectors = []
    for vector in e.reshape(-1, e.shape[-1]):
        times = rates.eta * sum(x * x for x in vector) / (c * rates.delta)
        vectors.append(vector / times**0.5 if times > 1 else vector)
    return torch.stack(vectors).view(e.shape)


def contributions(
    E: Float[Tensor, "b n m"],
    q: Float[Tensor, "b m"],
    rates: Rates,
    orientation: Orientation = "paper",
    phi: Phi = relu6,
) -> Float[Tensor, "b n m"]:
    """Return what q reads where one write alone stores something, and later ones let it fade."""
    batch, n, m = E.shape
    W = empty = init_dense(batch, m, dtype=E.dtype).W
    alone: list[Tensor] = []
    for t in range(n):
        e, f = E[:, t], respond(DenseState(W), E[:, t], rates, orientation, phi)
        alone = [_changed(own, e, 0 * f, rates) for own in alone] + [_changed(empty, e, f, rates)]
        W = _changed(W, e, f, rates)
    return torch.stack([read(DenseState(own), q, rates, orientation) for own in alone], dim=1)


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
    """Write one after the other; read where it is asked for. Whatever the form, it keeps the matrix."""
    batch, n, m = E.shape
    after: list[State] = [init_dense(batch, m, dtype=E.dtype) if state is None else to_dense(state, rates)]
    for t in range(n):
        after.append(write(after[-1], E[:, t], rates, orientation, phi))
    answers = [read(after[r], Q[:, k], rates, orientation) for k, r in enumerate(reads)]
    return torch.stack(answers, dim=1), after[-1]
