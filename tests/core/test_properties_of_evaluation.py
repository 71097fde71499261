"""How the Hebb-Rosenblatt memory is evaluated: properties P17 to P28, each under its own name."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stawm.core import fast_weights, stability
from stawm.core import hebb_rosenblatt as hr
from stawm.core.activations import identity
from stawm.core.hebb_rosenblatt import DenseState, FactoredState, Rates
from stawm.nn.memories.base import Memory
from stawm.nn.memories.hebb_rosenblatt import HebbRosenblatt
from tests.strategies import (
    EPS,
    Case,
    Stack,
    assert_all_near,
    assert_near,
    cases,
    gains,
    generator,
    gradients,
    normal,
    orientations,
    rows,
    seeds,
    stacks,
)

FLOOR = 1e-12
EXACT = 1e-10
FORMS = ("dense", "factored")
PAPER = Rates(0.2, 0.4, 0.5)
FLOAT16_MAX = torch.finfo(torch.float16).max
any_raw = st.floats(allow_nan=False, allow_infinity=False, width=32)


def options(case: Case) -> dict[str, Any]:
    return {"orientation": case.orientation, "phi": case.activation.phi}


def queries(case: Case, k: int) -> Tensor:
    b, _, m = case.E.shape
    return torch.rand(b, k, m, generator=generator(case.seed + 9), dtype=torch.float64)


@given(cases(), st.data())
def test_p17_factored_is_dense(case: Case, data: st.DataObject):
    """In f, W and every read, in both precisions."""
    n = case.E.shape[1]
    reads = data.draw(st.lists(st.integers(0, n), min_size=1, max_size=4))
    Q = queries(case, len(reads))
    Y, dense = hr.unroll(case.E, Q, reads, case.rates, form="dense", **options(case))
    Z, factored = hr.unroll(case.E, Q, reads, case.rates, form="factored", **options(case))
    assert isinstance(factored, FactoredState)
    assert_near(Z, Y, EXACT)
    assert_near(hr.matrix(factored, case.rates), hr.matrix(dense, case.rates), EXACT)
    for t, W in enumerate(case.course()[:-1]):
        f = hr.respond(DenseState(W), case.E[:, t], case.rates, case.orientation, case.activation.phi)
        assert_near(factored.F[:, t], f, EXACT)
    rough = [hr.unroll(case.E.float(), Q.float(), reads, case.rates, form=f, **options(case))[0] for f in FORMS]
    assert (rough[0] - rough[1]).abs().max() <= 1e-5 * Y.max() + 1e-30


@given(cases(n=5, m=6, least_n=1))
def test_p17_gradients_of_factored_are_those_of_dense(case: Case):
    Q, reads = queries(case, 2), [case.E.shape[1], case.E.shape[1] - 1]
    inputs = (case.E, Q, *(torch.tensor(r, dtype=torch.float64) for r in case.rates))

    def run(form: Any) -> Any:
        return lambda E, Q, d, h, o: (hr.unroll(E, Q, reads, Rates(d, h, o), form=form, **options(case))[0],)

    assert_all_near(gradients(run("dense"), *inputs), gradients(run("factored"), *inputs), 1e-8)


@given(stacks(), orientations, st.sampled_from(["auto", *FORMS]), st.sampled_from([None, 0.9]), st.data())
def test_p18_unroll_is_the_loop_of_write(
    stack: Stack, orientation: Any, form: Any, normalise: float | None, data: st.DataObject
):
    """In what is read, in the state, in all gradients, and with the stack split anywhere."""
    config = HebbRosenblatt.Config(orientation=orientation, form=form, normalise=normalise)
    memory = HebbRosenblatt(config, memory_size=stack.E.shape[2]).double()

    def outcome(unroll: Any) -> tuple[list[Tensor], Sequence[Tensor]]:
        E, Q = (x.clone().requires_grad_() for x in (stack.E, stack.Q))
        Y, state = unroll(memory, E, Q, stack.reads)
        W, inputs = memory.matrix(state), [E, Q, *memory.parameters()]
        total = Y.square().sum() + W.square().sum() + 0 * E.sum()
        return [Y, W], torch.autograd.grad(total, inputs, allow_unused=True, materialize_grads=True)

    fast, loop = outcome(HebbRosenblatt.unroll), outcome(Memory.unroll)
    for a, b in zip(fast[0], loop[0], strict=True):
        assert_near(a, b, EXACT)
    assert_all_near(fast[1], loop[1], 1e-8)
    cut = data.draw(st.integers(0, stack.E.shape[1]))
    _, half = memory.unroll(stack.E[:, :cut], stack.Q[:, :0], [])
    _, state = memory.unroll(stack.E[:, cut:], stack.Q[:, :0], [], half)
    assert_near(memory.matrix(state), fast[0][1], EXACT)


@given(stacks(m=5), orientations, st.sampled_from(FORMS))
def test_p19_samples_and_neurons_are_exchangeable(stack: Stack, orientation: Any, form: Any):
    E, Q, (b, _, m) = stack.E, stack.Q, stack.E.shape
    kind: dict[str, Any] = {"orientation": orientation, "form": form}
    Y, state = hr.unroll(E, Q, stack.reads, PAPER, **kind)
    order, neurons = (
        torch.randperm(b, generator=generator(stack.seed)),
        torch.randperm(m, generator=generator(stack.seed)),
    )
    assert_near(hr.unroll(E[order], Q[order], stack.reads, PAPER, **kind)[0], Y[order], EXACT)
    permuted, after = hr.unroll(E[..., neurons], Q[..., neurons], stack.reads, PAPER, **kind)
    assert_near(permuted, Y[..., neurons], EXACT)
    assert_near(hr.matrix(after, PAPER), hr.matrix(state, PAPER)[:, neurons][:, :, neurons], EXACT)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("orientation", ["paper", "appendix"])
def test_p19_no_sample_sees_another(form: Any, orientation: Any):
    E, Q = (x.requires_grad_() for x in normal(0, (3, 4, 5), (3, 2, 5)))
    Y, state = hr.unroll(E, Q, [4, 2], PAPER, form=form, orientation=orientation)
    of_one = Y[1].square().sum() + hr.matrix(state, PAPER)[1].square().sum()
    for gradient in torch.autograd.grad(of_one, (E, Q)):
        assert gradient[1].abs().sum() > 0
        assert torch.equal(gradient[[0, 2]], torch.zeros_like(gradient[[0, 2]]))


@given(stacks(b=1, m=4, least_n=1), orientations, st.floats(0.1, 1), st.floats(0.01, 0.3), st.floats(0.1, 1))
def test_p20_linear_responses_solve_a_triangular_system(
    stack: Stack, orientation: Any, delta: float, eta: float, theta: float
):
    """With φ(x) = x: the appendix's F = θ (I - η T)⁻¹ E; Eq. 2's F = C E by a recursion over coefficients."""
    E, n = stack.E[0], stack.E.shape[1]
    gram = E @ E.T
    age = torch.arange(n)[:, None] - 1 - torch.arange(n)
    left = torch.where(age >= 0, (1 - delta) ** age.clamp(min=0).double(), 0)
    if orientation == "appendix":
        expected = theta * torch.linalg.solve(torch.eye(n, dtype=E.dtype) - eta * left * gram, E)
    else:
        C = torch.zeros(n, n, dtype=E.dtype)
        for t in range(n):
            C[t] = eta * left[t] * (C @ gram[:, t])
            C[t, t] = theta
        expected = C @ E
    written = rows(stack.E, Rates(delta, eta, theta), orientation=orientation, phi=identity)
    assert_near(written.F[0], expected, 1e-9)


@given(stacks(least_n=1), st.floats(0, 1), gains)
def test_p21_fast_weights_are_the_rule_without_projection_at_theta_one(stack: Stack, delta: float, eta: float):
    """Responses φ(θ e) with φ(x) = x: at θ = 1 Ba et al.'s A ← λA + η e eᵀ, λ = 1-δ; at θ = 0, as printed, nothing."""
    for theta, factor in ((1.0, 1.0), (0.0, 0.0)):
        without_projection = FactoredState(stack.E, identity(theta * stack.E))
        _, after = fast_weights.unroll(stack.E, stack.Q[:, :0], [], fast_weights.Rates(1 - delta, eta))
        A = factor * fast_weights.matrix(after, fast_weights.Rates(1 - delta, eta))
        assert_near(hr.matrix(without_projection, Rates(delta, eta, theta)), A, EXACT)


def test_p22_the_printed_bound_of_eq_16_fails():
    """Inside Appendix A's own hypotheses: m = 256, N = 8, e = 6 throughout."""
    E, N = torch.full((1, 8, 256), 6.0, dtype=torch.float64), 8
    Y, _ = hr.unroll(E, E[:, :1], [N], PAPER)
    printed = PAPER.eta / PAPER.delta * N**2 * 6**2 * 6
    assert printed == 27648
    assert Y.max() == pytest.approx(89718, abs=1)
    assert printed < Y.max() <= stability.read_bound(PAPER, 6, 6, 256, N) == pytest.approx(92038, abs=1)


@given(any_raw, any_raw, any_raw)
def test_p23_constrained_rates_are_legal_whatever_the_optimiser_did(delta: float, eta: float, theta: float):
    memory = HebbRosenblatt(HebbRosenblatt.Config(constrained=True, normalise=0.9), memory_size=3)
    with torch.no_grad():
        for parameter, raw in zip(memory.parameters(), (delta, eta, theta), strict=True):
            parameter.fill_(raw)
    d, h, o = torch.stack([torch.as_tensor(rate) for rate in memory.rates]).tolist()
    assert 0 < d <= 1
    assert 0 <= h < float("inf")
    assert 0 <= o < float("inf")
    _, state = memory.unroll(torch.rand(1, 2, 3), torch.zeros(1, 0, 3), [])
    assert isinstance(state, FactoredState)
    rates = Rates(torch.tensor(d, dtype=torch.float64), h, o)
    for square in state.E.double().square().sum(dim=2).flatten().tolist():
        assert h * square <= 0.9 * d * (1 + 1e-5)
        assert stability.is_contraction(rates, 1.0, square)


@given(st.integers(0, 2**16), orientations)
def test_p24_training_keeps_the_bounds(seed: int, orientation: Any):
    torch.manual_seed(seed)
    memory = HebbRosenblatt(HebbRosenblatt.Config(constrained=True, orientation=orientation), memory_size=4)
    optimiser = torch.optim.SGD(memory.parameters(), lr=1.0)
    for _ in range(5):
        Y, state = memory.unroll(torch.rand(2, 3, 4), torch.randn(2, 1, 4), [3])
        optimiser.zero_grad()
        ((Y - 5 * torch.randn_like(Y)) ** 2).mean().backward()
        optimiser.step()
    _, state = memory.unroll(6 * torch.rand(2, 5, 4), torch.zeros(2, 0, 4), [])
    W = memory.matrix(state)
    assert W.min() >= 0
    assert W.max() <= stability.elementwise_bound(memory.rates, 6, 6, 5) * (1 + 1e-5)


@given(seeds, st.integers(2, 36), st.integers(1, 64), st.floats(0, 6), orientations, st.sampled_from(["auto", *FORMS]))
def test_p25_gradients_are_finite(seed: int, n: int, m: int, bound: float, orientation: Any, form: Any):
    memory = HebbRosenblatt(HebbRosenblatt.Config(orientation=orientation, form=form), memory_size=m)
    E = (bound * torch.rand(1, n, m, generator=generator(seed))).requires_grad_()
    Y, _ = memory.unroll(E, torch.rand(1, 1, m, generator=generator(seed)), [n])
    Y.mean().backward()
    for gradient in (E.grad, *(p.grad for p in memory.parameters())):
        assert gradient is not None
        assert gradient.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("form", FORMS)
def test_p26_memory_and_reads_keep_float32(dtype: torch.dtype, form: Any):
    """Under autocast and given half-precision inputs; the read goes beyond what float16 can hold."""
    memory = HebbRosenblatt(HebbRosenblatt.Config(form=form), memory_size=256)
    E = torch.full((1, 8, 256), 6.0, dtype=dtype)
    with torch.autocast("cpu", dtype=dtype):
        Y, state = memory.unroll(E, E[:, :1], [8])
        stepped = memory.write(memory.init_state(1), E[:, 0])
        once = memory.read(stepped, E[:, 0])
        W = memory.matrix(state)
    for kept in (Y, once, W, *state, *stepped):
        assert kept.dtype == torch.float32
        assert kept.isfinite().all()
    assert Y.max() > FLOAT16_MAX
    exact, _ = memory.double().unroll(E.double(), E[:, :1].double(), [8])
    torch.testing.assert_close(Y.double(), exact, rtol=1e-5, atol=0)


@given(cases(least_n=1), st.floats(-3, 3), st.sampled_from(FORMS))
def test_p27_reading_is_linear_and_has_no_identity_term(case: Case, factor: float, form: Any):
    _, state = hr.unroll(case.E, case.E[:, :0], [], case.rates, form=form, **options(case))
    p, q = queries(case, 2).unbind(dim=1)

    def read(x: Tensor, rates: Rates = case.rates) -> Tensor:
        return hr.read(state, x, rates, case.orientation)

    scale = float(read(p).max() + read(q).max())
    assert (read(factor * p + q) - (factor * read(p) + read(q))).abs().max() <= EXACT * scale + FLOOR
    assert torch.equal(read(q, case.rates._replace(theta=7.0)), read(q))
    W = hr.matrix(state, case.rates)
    W = W if case.orientation == "paper" else W.mT
    assert (read(q) - (W @ q[:, :, None])[:, :, 0]).abs().max() <= EXACT * scale + FLOOR
    m, t = case.E.shape[2], case.E.shape[1]
    limit = stability.read_bound(case.rates, case.input_bound, case.activation.bound, m, t)
    assert read(case.input_bound * q).max() <= limit * case.slack * (1 + m * EPS) + FLOOR


@pytest.mark.parametrize("form", FORMS)
def test_p27_an_empty_memory_reads_zero(form: Any):
    memory = HebbRosenblatt(HebbRosenblatt.Config(form=form), memory_size=3)
    assert torch.equal(memory.read(memory.with_room(memory.init_state(2), 2), torch.ones(2, 3)), torch.zeros(2, 3))


@given(stacks(), st.sampled_from(["auto", *FORMS]))
def test_p28_same_input_same_bits(stack: Stack, form: Any):
    memory = HebbRosenblatt(HebbRosenblatt.Config(form=form), memory_size=stack.E.shape[2]).double()
    first, second = (memory.unroll(stack.E.clone(), stack.Q.clone(), stack.reads) for _ in range(2))
    for a, b in zip((first[0], *first[1]), (second[0], *second[1]), strict=True):
        assert torch.equal(a, b)
