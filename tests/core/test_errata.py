"""The paper's errors, each by a counterexample or a calculation; docs/errata.md tells them in words."""

import itertools
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from stawm.core import affine, stability
from stawm.core.activations import relu6
from stawm.core.hebb_rosenblatt import DenseState, FactoredState, Orientation, Rates, matrix, read, unroll
from tests.strategies import write

PAPER = Rates(0.2, 0.4, 0.5)


def course(E: Tensor, rates: Rates = PAPER, orientation: Orientation = "paper") -> list[Tensor]:
    """W after 0, 1, … writes of the rows of E (n, m)."""
    course = [torch.zeros(1, E.shape[1], E.shape[1], dtype=E.dtype)]
    for e in E:
        course.append(write(course[-1], e[None], rates, orientation))
    return [W[0] for W in course]


def equation_15(gamma: Tensor, E: Tensor, rates: Rates, phi: Callable[[Tensor], Tensor] = relu6) -> Tensor:
    """The right side of Eq. 15 as printed: (η/δ) Σₙ φ(θ eₙ + γₙ) mₙᵢ for every stimulus i, all neurons at once."""
    return rates.eta / rates.delta * (E @ E.T) @ phi(rates.theta * E + gamma)


def test_eq_2_and_eq_8_are_two_memories():
    """They write the same W while it is symmetric, and not after that."""
    E = torch.tensor([[1.0, 0.0], [1.0, 2.0], [2.0, 1.0]])
    eq_2, eq_8 = course(E), course(E, orientation="appendix")
    torch.testing.assert_close(eq_2[:3], eq_8[:3])
    assert (eq_2[3] - eq_8[3]).abs().max() > 0.2
    W, q = DenseState(eq_2[2][None]), torch.tensor([[1.0, 0.0]])
    assert (read(W, q, PAPER) - read(W, q, PAPER, "appendix")).abs().max() > 0.1


def test_theta_zero_is_not_fast_weights():
    """Without W e, and with φ(x) = x, the increment is η e (θ e)ᵀ: nothing at θ = 0, Ba et al.'s η e eᵀ at θ = 1."""
    e = torch.tensor([[[1.0, 2.0, 3.0]]])
    for theta, expected in ((0.0, torch.zeros(3, 3)), (1.0, 0.4 * torch.outer(e[0, 0], e[0, 0]))):
        torch.testing.assert_close(matrix(FactoredState(e, theta * e), PAPER)[0], expected)


def test_eq_14_divides_only_one_of_its_two_sums():
    """Of γ(t + (N+1)Δt) - γ(t) over N Δt, for Δt → 0: the printed η-term lacks 1/N, the printed δ-term (N+1)/N."""
    N, small = 7, 1e-7
    E = torch.rand(N + 1, 3, dtype=torch.float64)
    W, q = torch.rand(3, 3, dtype=torch.float64), torch.rand(3, dtype=torch.float64)
    moved = W[None]
    for g in E:
        step = Rates(PAPER.delta * small, PAPER.eta * small, PAPER.theta)
        moved = write(moved, g[None], step, "appendix")
    slope = (moved[0] - W).T @ q / (N * small)
    learned, gamma = PAPER.eta * relu6(PAPER.theta * E + E @ W).T @ (E @ q), W.T @ q
    torch.testing.assert_close(slope, learned / N - PAPER.delta * gamma * (N + 1) / N, rtol=1e-5, atol=1e-6)
    printed = learned - PAPER.delta * gamma
    assert (printed / slope).min() > 3


def test_eq_16_is_no_bound_on_the_memory():
    """e = 6 throughout, m = 256, N = 8: the read is 89,718 where Eq. 16 allows 27,648."""
    E = torch.full((1, 8, 256), 6.0, dtype=torch.float64)
    gamma, _ = unroll(E, E[:, :1], [8], PAPER, orientation="appendix")
    printed = PAPER.eta / PAPER.delta * 8**2 * 6**2 * 6
    assert printed == 27_648
    assert gamma.max().item() == pytest.approx(89_718, abs=1)
    assert gamma.max() <= stability.read_bound(PAPER, 6, 6, 256, 8)


def test_eq_16_does_not_follow_from_eq_15():
    """m_ij is a sum over the M neurons, not over the N stimuli: the bound is (η/δ) (N+1) M Φ₁² Φ₂."""
    N, m = 8, 256
    E, gamma = torch.full((N + 1, m), 6.0), torch.zeros(N + 1, m)
    for _ in range(3):
        gamma = equation_15(gamma, E, PAPER)
    ratio = PAPER.eta / PAPER.delta
    assert gamma.max() > ratio * N**2 * 6**2 * 6
    assert gamma.max().item() == pytest.approx(ratio * (N + 1) * m * 6**2 * 6)


def test_eta_above_delta_is_not_needed():
    """With η < δ the right side of Eq. 15 is nondecreasing too, its iteration converges, and W only grows."""
    rates = Rates(0.4, 0.2, 0.5)
    E = torch.rand(4, 3, dtype=torch.float64)
    lower = 4 * torch.rand(4, 3, dtype=torch.float64)
    higher = lower + torch.rand(4, 3, dtype=torch.float64)
    assert (equation_15(higher, E, rates) >= equation_15(lower, E, rates)).all()
    gammas = [torch.zeros(4, 3, dtype=torch.float64)]
    for _ in range(300):
        gammas.append(equation_15(gammas[-1], E, rates))
        assert (gammas[-1] >= gammas[-2]).all()
    torch.testing.assert_close(gammas[-1], gammas[-2])
    constant = course(E[:1].expand(20, -1), rates)
    assert all((after >= before).all() for before, after in itertools.pairwise(constant))


def test_eta_above_delta_is_not_enough():
    """A bounded, nonnegative φ that falls somewhere is enough to break it: that φ must not is used, not said."""

    def bump(x: Tensor) -> Tensor:
        return x.clamp(min=0) * torch.exp(-x)

    E, low = torch.ones(1, 1), torch.ones(1, 1)
    assert equation_15(2 * low, E, PAPER, bump) < equation_15(low, E, PAPER, bump)
    assert (course(torch.tensor([[1.0], [0.0]]))[2] < course(torch.tensor([[1.0]]))[1]).all()


def test_eta_above_delta_does_not_hold_the_gradient():
    """Bounded φ bounds the state. The gradient through T unsaturated writes grows as (1 - δ + η|e|²)ᵀ all the same."""
    T, e = 16, torch.full((4,), 0.5, dtype=torch.float64)
    rates = Rates(0.2, 0.9, 1e-13)
    gradient = torch.func.jacrev(lambda W: _after(W, e, rates, T))(torch.zeros(4, 4, dtype=torch.float64))
    norm = torch.linalg.matrix_norm(gradient.reshape(16, 16), 2).item()
    bound = stability.gradient_bound(rates, 1.0, [float(e.square().sum())] * T)
    assert norm == pytest.approx(bound, rel=1e-6)
    assert norm == pytest.approx(1.7**16, rel=1e-6)


def _after(W: Tensor, e: Tensor, rates: Rates, times: int) -> Tensor:
    W = W[None]
    for _ in range(times):
        W = write(W, e[None], rates)
    return W[0]


def test_delta_above_zero_is_not_enough():
    """In discrete time δ ≤ 1 is needed: at 1.5 weights fall below zero, at 2.1 silence makes them explode."""
    assert course(torch.tensor([[1.0], [0.0]]), Rates(1.5, 0.4, 0.5))[2].min() < 0
    silent = course(torch.cat([torch.ones(1, 1), torch.zeros(60, 1)]), Rates(2.1, 0.4, 0.5))
    assert silent[-1].abs().max() > 100 * silent[1].abs().max()
    steady = course(torch.cat([torch.ones(1, 1), torch.zeros(60, 1)]), PAPER)
    assert steady[-1].abs().max() < 1e-5


def test_bounds_need_no_constant_input():
    """Appendix A asks for an input that does not depend on a recurrent network. Here e is made from W itself."""
    W = torch.zeros(1, 3, 3)
    for t in range(30):
        e = relu6(1 + read(DenseState(W), torch.ones(1, 3), PAPER) - 0.1 * t)
        W = write(W, e, PAPER)
        assert W.min() >= 0
        assert W.max() <= stability.elementwise_bound(PAPER, 6, 6, t + 1) * (1 + 1e-6)


def test_eq_25_counts_one_term_too_few():
    """The sums run over the N + 1 glimpses 0 to N; of so many standard normals the KL is 0, not 1/2."""
    N = 5
    mu, sigma = torch.zeros(N + 1), torch.ones(N + 1)
    printed = -0.5 * (N + (sigma**2).log().sum() - (mu**2).sum() - (sigma**2).sum())
    right = -0.5 * (1 + (sigma**2).log() - mu**2 - sigma**2).sum()
    assert printed == 0.5
    assert right == 0


def test_at_the_identity_sampling_has_one_slope_to_each_side():
    """A glimpse of the image's size samples at pixels' centres, where autograd gives the slope to one side."""
    random = np.random.RandomState(0)
    image, weight = (torch.from_numpy(random.standard_normal((1, 1, 8, 8))) for _ in range(2))
    base = affine.base_grid(8, 8, dtype=torch.float64)

    identity, right = torch.tensor([[[1.0, 0, 0, 0, 1, 0]], [[0, 0, 1.0, 0, 0, 0]]], dtype=torch.float64)

    def seen(shift: Tensor) -> Tensor:
        return (affine.sample(image, affine.grid(identity + shift * right, base)) * weight).sum()

    at = torch.zeros((), dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(seen(at), at)
    step = torch.tensor(2.0**-10, dtype=torch.float64)  # a 256th of a pixel: to each side it is a straight line
    forward, backward = (seen(step) - seen(at)) / step, (seen(at) - seen(-step)) / step
    torch.testing.assert_close(slope, forward, rtol=1e-9, atol=1e-9)
    assert [round(each.item(), 1) for each in (forward, backward)] == [92.2, -11.9]


def test_every_test_is_told_in_words(pytestconfig: pytest.Config):
    told = re.findall(r"`(test_\w+)`", (pytestconfig.rootpath / "docs" / "errata.md").read_text())
    here = [name for name in globals() if name.startswith("test_") and name != "test_every_test_is_told_in_words"]
    assert set(told) == set(here)
