"""How the Hebb-Rosenblatt memory moves: properties P1 to P16, each under its own name; P17 to P28 are next door.

The setting is that of `stawm.core.stability`. Tolerances are 1 + 8(t + 2)u on a bound, u the unit roundoff, for the t
writes that rounded; where two ways of computing are compared, the rounding of sums of at most 48 terms (1e-10).
"""

import itertools
from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from stawm.core import hebb_rosenblatt as hr
from stawm.core import stability
from stawm.core.activations import ACTIVATIONS, relu6
from stawm.core.hebb_rosenblatt import DenseState, Rates
from tests.strategies import (
    EPS,
    Case,
    assert_near,
    cases,
    deltas,
    generator,
    normal,
    orientations,
    rows,
    write,
)

FLOOR = 1e-12
EXACT = 1e-10
DEFAULT = Rates(0.2, 0.4, 0.5)
FLOAT16_MAX = torch.finfo(torch.float16).max


def box(case: Case, t: int | None = None, **start: float) -> float:
    return stability.elementwise_bound(case.rates, case.input_bound, case.activation.bound, t, **start)


def random_w(case: Case, largest: float, salt: int = 1) -> Tensor:
    b, _, m = case.E.shape
    return largest * torch.rand(b, m, m, generator=generator(case.seed + salt), dtype=torch.float64)


def options(case: Case) -> dict[str, Any]:
    return {"orientation": case.orientation, "phi": case.activation.phi}


@given(cases())
def test_p01_nonnegative(case: Case):
    assert all((W >= 0).all() for W in case.course())


@given(cases())
def test_p02_box(case: Case):
    for t, W in enumerate(case.course()):
        assert W.max() <= box(case, t) * case.slack + FLOOR


@pytest.mark.parametrize("orientation", ["paper", "appendix"])
def test_p02_the_box_is_attained(orientation: Any):
    """e = Φ₁ = 6 saturates φ from the first write on where θ = 1."""
    rates = Rates(0.2, 0.4, 1.0)
    _, after = hr.unroll(torch.full((1, 5, 3), 6.0), torch.zeros(1, 0, 3), [], rates, orientation=orientation)
    for W in hr.matrix(after, rates).unbind():
        torch.testing.assert_close(W, torch.full((3, 3), stability.elementwise_bound(rates, 6, 6, 5)))


@given(cases(), st.floats(0, 1), st.floats(1, 3))
def test_p03_invariant_box(case: Case, inside: float, outside: float):
    ceiling = box(case)
    for W in case.course(random_w(case, inside * ceiling)):
        assert W.min() >= 0
        assert W.max() <= ceiling * case.slack + FLOOR
    start = outside * ceiling
    for t, W in enumerate(case.course(random_w(case, start))):
        assert W.max() <= max(start, ceiling) * case.slack + FLOOR
        assert W.max() <= box(case, t, start=start) * case.slack + FLOOR


@given(cases())
def test_p04_norms(case: Case):
    m = case.E.shape[2]
    for t, W in enumerate(case.course()):
        bound = stability.norm_bound(case.rates, case.input_bound, case.activation.bound, m, t)
        frobenius, spectral = torch.linalg.matrix_norm(W), torch.linalg.matrix_norm(W, 2)
        assert (frobenius <= bound * case.slack + FLOOR).all()
        assert (spectral <= frobenius * (1 + m * m * EPS) + FLOOR).all()
        q = case.input_bound * torch.rand(len(W), m, generator=generator(case.seed), dtype=torch.float64)
        read = hr.read(DenseState(W), q, case.rates, case.orientation)
        assert read.min() >= 0
        limit = stability.read_bound(case.rates, case.input_bound, case.activation.bound, m, t)
        assert read.max() <= limit * case.slack * (1 + m * EPS) + FLOOR


@given(cases(least_n=1))
def test_p04b_norm_by_the_norms_of_what_was_written(case: Case):
    delta, eta, _ = case.rates
    written = rows(case.E, case.rates, **options(case))
    sizes = (written.E.norm(dim=2) * written.F.norm(dim=2)).flip(1).unbind(dim=1)
    sharper = torch.stack([eta * (1 - delta) ** age * size for age, size in enumerate(sizes)]).sum(dim=0)
    norm = torch.linalg.matrix_norm(case.course()[-1])
    assert (norm <= sharper * case.slack * (1 + 48 * EPS) + FLOOR).all()


@given(cases(n=6, m=12))
def test_p05_rank(case: Case):
    for t, W in enumerate(case.course()):
        for singular in torch.linalg.svdvals(W):
            assume(singular[0] == 0 or singular[0] > 1e-200)
            assert (singular > 1e-9 * singular[0]).sum() <= min(t, len(singular))


@given(cases(least_n=1), st.data())
def test_p06_support(case: Case, data: st.DataObject):
    """A neuron that is never stimulated stores nothing and, read as in Eq. 2, never answers above φ(0)."""
    silent = data.draw(st.integers(0, case.E.shape[2] - 1))
    case.E[:, :, silent] = 0
    for W in case.course():
        assert torch.equal(W[:, silent], torch.zeros_like(W[:, silent]))
    written = rows(case.E, case.rates, **options(case))
    assert torch.equal(hr.matrix(written, case.rates)[:, silent], torch.zeros_like(case.E[:, 0]))
    if case.orientation == "paper":
        rest = case.activation.phi(torch.zeros((), dtype=torch.float64))
        assert torch.equal(written.F[:, :, silent], rest.expand(written.F.shape[:2]))


@given(cases())
def test_p07_silence(case: Case):
    W = random_w(case, box(case) + 1)
    after = case.step(W, torch.zeros_like(W[:, 0]))
    assert torch.equal(after, (1 - torch.tensor(case.rates.delta, dtype=torch.float64)) * W)


@given(cases(least_n=1))
def test_p08_first_write(case: Case):
    e = case.E[:, 0]
    f = case.activation.phi(case.rates.theta * e)
    expected = case.rates.eta * torch.einsum("bi,bj->bij", e, f)
    for orientation in ("paper", "appendix"):
        for form in ("dense", "factored"):
            kind: dict[str, Any] = {"orientation": orientation, "phi": case.activation.phi, "form": form}
            _, after = hr.unroll(e[:, None], case.E[:, :0], [], case.rates, **kind)
            assert_near(hr.matrix(after, case.rates), expected, 4 * EPS)
    if torch.equal(f, case.rates.theta * e):
        assert_near(expected, expected.mT, 4 * EPS)


@given(cases(), st.sampled_from(["W", "E", "eta", "theta", "delta"]), st.floats(0, 1))
def test_p09_order_is_preserved(case: Case, which: str, share: float):
    """W is monotone in W₀, in the inputs, in η and in θ, and antitone in δ."""
    W = random_w(case, box(case))
    lower, start = case, W
    if which == "W":
        start = share * W
    elif which == "E":
        lower = case._replace(E=share * case.E)
    elif which == "delta":
        lower = case._replace(rates=case.rates._replace(delta=case.rates.delta + share * (1 - case.rates.delta)))
    else:
        lower = case._replace(rates=case.rates._replace(**{which: share * getattr(case.rates, which)}))
    for small, large in zip(lower.course(start), case.course(W), strict=True):
        assert (small <= large + 1e-9 * box(case) + FLOOR).all()


@given(cases(least_n=1))
def test_p10_a_constant_stimulus_only_adds(case: Case):
    """For any η ≥ 0, also η < δ."""
    course = case._replace(E=case.E[:, :1].expand_as(case.E)).course()
    for before, after in itertools.pairwise(course):
        assert (after >= before - 1e-12 * box(case)).all()


@pytest.mark.parametrize("rates", [DEFAULT, Rates(0.2, 0.1, 0.5)])
def test_p10b_a_varying_stimulus_need_not(rates: Rates):
    """Silence shrinks every weight that is above zero, whichever of η and δ is the greater."""
    W = torch.ones(1, 3, 3)
    after = write(W, torch.zeros(1, 3), rates)
    assert (after < W).all()


@given(cases(b=1, n=1, m=8, least_n=1), st.floats(0.05, 1), st.floats(0.05, 2))
def test_p11_fixed_point(case: Case, delta: float, theta: float):
    """A constant stimulus has one fixed point, W* = (η/δ) e f*ᵀ, reached from zero and from the ceiling."""
    e, eta = case.E[0, 0], case.rates.eta
    e[0] = e[0].clamp(min=0.1)
    if case.orientation == "appendix":
        e.clamp_(min=0.05)
    case = case._replace(rates=Rates(delta, eta, theta), input_bound=max(case.input_bound, 0.1))
    ratio = eta / delta * float(e.square().sum())
    assume(delta * abs(1 - ratio) >= 0.04)  # the slowest mode fades as (1 - 0.04)^t
    pair, top = e.expand(2, -1), box(case)
    W = torch.stack([torch.zeros(len(e), len(e), dtype=e.dtype), torch.full((len(e), len(e)), top, dtype=e.dtype)])
    for _ in range(700):
        W = case.step(W, pair)
    assert (W[0] - W[1]).abs().max() <= 1e-8 * top
    f = hr.respond(DenseState(W), pair, case.rates, case.orientation, case.activation.phi)
    assert (W - eta / delta * torch.einsum("bi,bj->bij", pair, f)).abs().max() <= 1e-8 * top
    if case.orientation == "appendix" and case.activation.phi is relu6:
        each = (theta * e / (1 - ratio)).clamp(max=6) if ratio < 1 else torch.full_like(e, 6)
        torch.testing.assert_close(f[0], each, rtol=1e-6, atol=1e-9)


def test_p11b_a_silent_neuron_keeps_a_second_fixed_point():
    """In the appendix's orientation a neuron with e = 0 stays saturated once it is, where (η/δ)|e|² > 1."""
    e = torch.tensor([[1.0, 0.5, 0.0]] * 2)
    W = torch.stack([torch.zeros(3, 3), torch.full((3, 3), 12.0)])
    for _ in range(300):
        W = write(W, e, DEFAULT, "appendix")
    torch.testing.assert_close((W[1] - W[0]).max(), torch.tensor(12.0))
    torch.testing.assert_close(W[1][:, :2], W[0][:, :2])


def two_memories(case: Case) -> tuple[Tensor, Tensor]:
    """Two of any signs: the Lipschitz bounds need no W ≥ 0."""
    return random_w(case, 2, 2) - 1, random_w(case, 2, 3) - 1


def factors(case: Case, e: Tensor) -> Tensor:
    """The factor of one write, for each sample."""
    squares = e.square().sum(dim=1).tolist()
    each = [stability.write_factor(case.rates, case.activation.lipschitz, s) for s in squares]
    return torch.tensor(each, dtype=e.dtype)


@given(cases(least_n=1))
def test_p12_lipschitz(case: Case):
    (W, V), e = two_memories(case), case.E[:, 0]
    before, after = torch.linalg.matrix_norm(W - V), torch.linalg.matrix_norm(case.step(W, e) - case.step(V, e))
    assert (after <= factors(case, e) * before * (1 + 1e-10) + FLOOR).all()


@given(cases(least_n=1), st.floats(0.1, 0.95))
def test_p13_contraction(case: Case, c: float):
    """Writes of inputs with η L |e|² ≤ c δ bring any two memories together, as fast as the factor says."""
    case = case._replace(E=hr.normalise(case.E, case.rates._replace(eta=case.activation.lipschitz * case.rates.eta), c))
    W, V = two_memories(case)
    bound = torch.linalg.matrix_norm(W - V)
    for t, (a, b) in enumerate(zip(case.course(W), case.course(V), strict=True)):
        assert (torch.linalg.matrix_norm(a - b) <= bound * (1 + 1e-10) + FLOOR).all()
        if t < case.E.shape[1]:
            q = factors(case, case.E[:, t])
            assert (q <= 1 - (1 - c) * case.rates.delta + FLOOR).all()
            bound = bound * q


@given(cases(b=1, n=1, m=4, least_n=1), st.booleans())
def test_p14_jacobian(case: Case, linear: bool):
    case = case._replace(activation=ACTIVATIONS["identity"]) if linear else case
    m, e, slope = case.E.shape[2], case.E[:, 0], case.activation.lipschitz
    W = random_w(case, 2) - 0.5
    J = torch.func.jacrev(lambda w: case.step(w, e))(W).reshape(m * m, m * m)
    delta, eta, theta = case.rates
    squares = e[0].square()
    bound = stability.write_factor(case.rates, slope, float(squares.sum()))
    assert torch.linalg.matrix_norm(J, 2) <= bound * (1 + EXACT)
    a = (theta * e + hr.read(DenseState(W), e, case.rates, case.orientation))[0].requires_grad_()
    (slopes,) = torch.autograd.grad(case.activation.phi(a).sum(), a)
    kept = torch.tensor(1 - delta, dtype=e.dtype)
    radius = kept + eta * (slopes @ squares if case.orientation == "paper" else slopes.max() * squares.sum())
    assert_near(torch.linalg.eigvals(J).abs().max(), torch.maximum(kept, radius), 1e-6)
    if linear:
        assert_near(torch.linalg.matrix_norm(J, 2), torch.tensor(bound, dtype=e.dtype), EXACT)


@given(cases(b=1, n=4, m=3))
def test_p15_gradient_product(case: Case):
    squares = case.E[0].square().sum(dim=1).tolist()
    J = torch.func.jacrev(lambda w: case.course(w)[-1])(random_w(case, 2) - 0.5).reshape(case.E.shape[2] ** 2, -1)
    bound = stability.gradient_bound(case.rates, case.activation.lipschitz, squares)
    assert torch.linalg.matrix_norm(J, 2) <= bound * (1 + EXACT)


@given(deltas, orientations, st.integers(0, 6))
def test_p15_saturated_responses_pass_only_what_is_left(delta: float, orientation: Any, t: int):
    """With θ e > 6 everywhere ∂W_t/∂W₀ is (1-δ)ᵗ exactly."""
    E = torch.full((1, t, 2), 7.0, dtype=torch.float64)
    case = Case(E, Rates(delta, 0.4, 1.0), ACTIVATIONS["relu6"], orientation, 7.0, 0)
    J = torch.func.jacrev(lambda w: case.course(w)[-1])(torch.ones(1, 2, 2, dtype=torch.float64)).reshape(4, 4)
    assert_near(J, (1 - delta) ** t * torch.eye(4, dtype=torch.float64), 1e-14)


@given(cases(n=2, m=8, least_n=2))
def test_p16_orientations_agree_while_w_is_symmetric(case: Case):
    A, B = (case._replace(orientation=o, activation=ACTIVATIONS["relu6"]) for o in ("paper", "appendix"))
    first, second = A.course()[1:], B.course()[1:]
    assert torch.equal(first[0], second[0])
    if case.rates.theta * case.E[:, 0].max() <= 6:
        assert_near(first[0], first[0].mT, 4 * EPS)
        (q,) = normal(case.seed, first[0][:, 0].shape)
        assert_near(
            hr.read(DenseState(first[0]), q, A.rates), hr.read(DenseState(first[0]), q, A.rates, "appendix"), FLOOR
        )
        assert_near(first[1], second[1], FLOOR)


def test_p16_orientations_part_after_that():
    """Reads differ after two writes, weights after three; after a saturated first write, weights after two."""
    E = torch.tensor([[[1.0, 0.0], [1.0, 2.0], [2.0, 1.0]]])
    A, B = (Case(E, DEFAULT, ACTIVATIONS["relu6"], o, 2.0, 0).course() for o in ("paper", "appendix"))
    torch.testing.assert_close(A[2], B[2])
    assert not torch.allclose(A[2], A[2].mT, atol=0.1)
    assert not torch.allclose(A[3], B[3], atol=0.1)
    E = torch.tensor([[[20.0, 1.0], [0.5, 0.1]]])
    A, B = (Case(E, DEFAULT, ACTIVATIONS["relu6"], o, 20.0, 0).course() for o in ("paper", "appendix"))
    torch.testing.assert_close(A[1], B[1])
    assert not torch.allclose(A[2], B[2], atol=0.1)
