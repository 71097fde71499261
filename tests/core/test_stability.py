"""The bounds' own numbers, where they meet simpler sums, and what they refuse; that they hold is in test_properties."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stawm.core import hebb_rosenblatt as hr
from stawm.core import stability
from stawm.core.activations import ACTIVATIONS
from stawm.core.hebb_rosenblatt import Rates
from stawm.errors import InputError
from tests.strategies import deltas, gains

PAPER = Rates(0.2, 0.4, 0.5)


@given(deltas, st.integers(0, 40))
def test_fill_is_the_sum_of_what_is_left(delta: float, t: int):
    assert stability.fill(delta, t) == pytest.approx(sum((1 - delta) ** s for s in range(t)), rel=1e-12)
    assert stability.fill(delta, t) <= stability.fill(delta) == 1 / delta


def test_fill_keeps_its_digits_for_the_smallest_delta():
    assert stability.fill(1e-17, 5) == pytest.approx(5, rel=1e-15)
    assert stability.fill(1.0, 3) == 1
    assert stability.fill(1.0, 0) == 0


def test_the_papers_rates():
    """W ≤ 72, 59.9 after 8 writes and 42.5 after 4; reads beyond float16 for m = 256 and 1024."""
    assert stability.elementwise_bound(PAPER, 6, 6) == pytest.approx(72)
    assert stability.elementwise_bound(PAPER, 6, 6, 8) == pytest.approx(59.92, abs=0.01)
    assert stability.elementwise_bound(PAPER, 6, 6, 4) == pytest.approx(42.51, abs=0.01)
    assert stability.norm_bound(PAPER, 6, 6, 256) == pytest.approx(18_432)
    assert stability.norm_bound(PAPER, 0.5, 0.25, 3, 1) == pytest.approx(3 * 0.4 * 0.5 * 0.25)
    assert stability.read_bound(PAPER, 0.5, 0.25, 3, 1) == pytest.approx(3 * 0.4 * 0.5**2 * 0.25)
    assert stability.read_bound(PAPER, 6, 6, 256) == pytest.approx(110_592)
    assert stability.read_bound(PAPER, 6, 6, 1024) == pytest.approx(442_368)


@given(deltas, gains, st.floats(0, 100), st.integers(0, 20))
def test_a_start_fades_and_the_rest_joins_it(delta: float, eta: float, start: float, t: int):
    rates = Rates(delta, eta, 0.5)
    w = start
    for _ in range(t):
        w = (1 - delta) * w + eta * 2 * 3
    assert stability.elementwise_bound(rates, 2, 3, t, start=start) == pytest.approx(w, rel=1e-9)
    ever = stability.elementwise_bound(rates, 2, 3, start=start)
    assert ever == pytest.approx(max(start, eta * 6 / delta))


def test_factors():
    assert stability.write_factor(PAPER, 0.5, 3.0) == pytest.approx(1 - 0.2 + 0.4 * 0.5 * 3)
    assert stability.gradient_bound(PAPER, 1.0, [1.0, 0.0, 2.0]) == pytest.approx(1.2 * 0.8 * 1.6)
    assert stability.gradient_bound(PAPER, 1.0, []) == 1
    assert stability.is_contraction(PAPER, 1.0, 0.49)
    assert not stability.is_contraction(PAPER, 1.0, 0.5)


def test_learned_rates_are_taken_as_they_are():
    rates = Rates(*(torch.tensor(rate, requires_grad=True, dtype=torch.float64) for rate in PAPER))
    assert stability.elementwise_bound(rates, 6, 6) == pytest.approx(72)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stability.fill(0.0), r"delta must be a finite number in \(0, 1\]; got 0.0"),
        (lambda: stability.fill(0.5, -1), r"t, .* must be 0 or more; got -1"),
        (lambda: stability.elementwise_bound(PAPER._replace(delta=1.5), 6, 6), r"delta .* \(0, 1\]; got 1.5"),
        (lambda: stability.elementwise_bound(PAPER._replace(eta=-0.1), 6, 6), r"eta .* \[0, inf\); got -0.1"),
        (lambda: stability.elementwise_bound(PAPER._replace(theta=-1), 6, 6), r"theta .* \[0, inf\); got -1.0"),
        (lambda: stability.elementwise_bound(PAPER, -1, 6), r"input_bound .*; got -1.0"),
        (lambda: stability.elementwise_bound(PAPER, 6, math.inf), r"response_bound .*; got inf"),
        (lambda: stability.elementwise_bound(PAPER, 6, 6, start=math.nan), r"start .*; got nan"),
        (lambda: stability.norm_bound(PAPER, 6, 6, 0), r"m, .* must be 1 or more; got 0"),
        (lambda: stability.write_factor(PAPER._replace(delta=1.5), 1, 1), r"delta .* \(0, 1\]; got 1.5"),
        (lambda: stability.write_factor(PAPER, -1, 1), r"slope .*; got -1.0"),
        (lambda: stability.is_contraction(PAPER, 1, -2), r"square .*; got -2.0"),
        (lambda: stability.gradient_bound(PAPER, 1, [1, math.inf]), r"square .*; got inf"),
    ],
)
def test_a_value_out_of_range_is_named_with_its_range(call: Callable[[], Any], message: str):
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_the_constants_of_the_activations(name: str):
    """Φ is the greatest value and L the steepest slope, and neither is larger than it has to be."""
    phi, bound, lipschitz = ACTIVATIONS[name]
    x = torch.linspace(-20, 20, 4001, dtype=torch.float64, requires_grad=True)
    y = phi(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    assert slope.min() >= 0
    assert slope.max().item() == pytest.approx(lipschitz, rel=1e-6)
    if math.isfinite(bound):
        assert y.min() >= 0
        assert y.max().item() == pytest.approx(bound, rel=1e-6)
        positive = y[x >= 0]
        assert (positive[2:] + positive[:-2] <= 2 * positive[1:-1] + 1e-12).all()
    else:
        assert torch.equal(y, x)


def test_the_activations_at_points():
    x = torch.tensor([-4.0, -1.5, 0.0, 1.5, 7.0])
    expected = {
        "relu6": [0, 0, 0, 1.5, 6],
        "sigmoid": [1 / (1 + math.exp(-v)) for v in x.tolist()],
        "hard-sigmoid": [0, 0.25, 0.5, 0.75, 1],
        "identity": x.tolist(),
    }
    for name, values in expected.items():
        torch.testing.assert_close(ACTIVATIONS[name].phi(x), torch.tensor(values, dtype=x.dtype))


def test_normalised_inputs_hold_the_gradient():
    """With η|e|² ≤ c δ the gradient product is at most (1 - (1-c)δ)ᵗ, however large e was."""
    E = hr.normalise(torch.rand(1, 20, 8, dtype=torch.float64) * 30, PAPER, 0.9)
    squares = E.square().sum(dim=2)[0].tolist()
    assert stability.gradient_bound(PAPER, 1.0, squares) <= (1 - 0.1 * 0.2) ** 20 * (1 + 1e-12)
