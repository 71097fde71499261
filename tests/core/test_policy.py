"""Policies: densities, REINFORCE against its twin, and against the gradient that it estimates."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from stawm.core import affine
from stawm.core import policy as fast
from stawm.core.naive import policy as naive
from tests.core.twins import EXACT, assert_twins
from tests.strategies import assert_near, generator, normal, seeds

sigmas = st.floats(0.02, 3)
DRAWN = 20_000
ERRORS = 4.5
"""Standard errors within which a mean is taken for right; 7 in a million fall outside, and the draws are fixed."""


def both(call: Callable[..., Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The same call to the functions and to their twins."""
    return partial(call, fast), partial(call, naive)


@settings(max_examples=20)
@given(seed=seeds, p=st.integers(1, 4), sigma=sigmas)
def test_functions_are_their_twins(seed: int, p: int, sigma: float):
    mean, noise = normal(seed, (3, p), (3, p))
    assert_twins(*both(lambda m, x, y: (m.sample(x, sigma, y),)), mean, noise)
    near = mean + 2 * sigma * noise.clamp(-2, 2)  # beyond it the density itself, which the twin takes, underflows
    assert_twins(*both(lambda m, x, y: (m.log_density(x, y, sigma),)), near, mean)


@settings(max_examples=20)
@given(seed=seeds, n=st.integers(1, 4))
def test_losses_are_their_twins(seed: int, n: int):
    log_prob, baseline, reward = normal(seed, (3, n), (3, n), (3,))
    assert_twins(*both(lambda m, x: (m.reinforce(x, reward, baseline),)), log_prob)
    assert_twins(*both(lambda m, x: (m.baseline_error(reward, x),)), baseline)


@settings(max_examples=20)
@given(seed=seeds, n=st.integers(1, 5), d=st.integers(1, 3), margin=st.floats(0.5, 2))
def test_the_loss_on_places_is_its_twin(seed: int, n: int, d: int, margin: float):
    frames, low, sides = normal(seed, (2, n, 4, 2), (2, d, 2), (2, d, 2))
    boxes = torch.cat([low, low + sides.abs() + 0.1], dim=-1)
    size = torch.tensor([7.0, 5.0], dtype=torch.float64)
    assert_twins(*both(lambda m, x, y: (m.around(x, y, margin),)), boxes, size)
    assert_twins(*both(lambda m, x, y: (m.places_error(x, m.around(y, size, margin)),)), frames, boxes)


@given(seed=seeds)
def test_of_an_affine_pose_the_loss_on_places_is_the_squared_error_of_its_numbers(seed: int):
    (pose,) = normal(seed, (3, 6))
    box, size = torch.tensor([[[2.0, 4.0, 6.0, 6.0]]], dtype=torch.float64), torch.tensor([10.0, 20.0]).double()
    expected = (pose - torch.tensor([0.4, 0.0, -0.2, 0.0, 0.2, -0.5], dtype=torch.float64)).square().sum(dim=1).mean()
    frames = affine.transform(pose, torch.tensor([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=torch.float64))
    assert_near(fast.places_error(frames[:, None], fast.around(box, size, 1.0).expand(3, -1, -1, -1)), expected, EXACT)


def test_things_are_looked_at_from_left_to_right():
    boxes, size = torch.tensor([[[6, 0, 8, 2], [1, 7, 3, 9]]]).double(), torch.tensor([10.0, 10.0]).double()
    squares = fast.around(boxes, size, 1.0)
    assert fast.places_error(squares[:, [1, 1, 0, 0]], squares) == 0
    assert fast.places_error(squares[:, [0, 0, 1, 1]], squares) > 0


@given(count=st.integers(1, 60))
def test_a_raster_is_its_twin(count: int):
    places = fast.raster(count)
    assert_near(places, naive.raster(count), EXACT)
    assert len({(x, y) for x, y in places.tolist()}) == count
    assert places.abs().max() < 1


@settings(max_examples=20)
@given(sigma=sigmas, mu=st.floats(-2, 2))
def test_probabilities_integrate_to_one(sigma: float, mu: float):
    side = torch.linspace(-8, 8, 101, dtype=torch.float64) * sigma  # the error of a sum falls faster than any power
    step = (side[1] - side[0]).item()
    x, y = torch.meshgrid(side + mu, side - mu, indexing="ij")
    pose = torch.stack([x, y], dim=-1)
    mean = torch.tensor([mu, -mu], dtype=torch.float64).expand_as(pose)
    density = fast.log_density(pose, mean, sigma).exp()
    assert density.sum().item() * step**2 == pytest.approx(1, abs=1e-9)


@given(seed=seeds, sigma=sigmas)
def test_the_density_is_that_of_pytorch(seed: int, sigma: float):
    pose, mean = normal(seed, (3, 2, 4), (3, 2, 4))
    expected = torch.distributions.Normal(mean, sigma).log_prob(pose).sum(-1)
    torch.testing.assert_close(fast.log_density(pose, mean, sigma), expected, rtol=1e-12, atol=1e-12)


ARMS, SIGMA = (0.2, 0.9), 0.3
"""What the two arms pay on average, and how far from the mean is drawn."""
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def of_arms(loss: Loss, mu: float, expected: float, *, leak: bool = False) -> tuple[float, float]:
    """The mean gradient by μ of -E[R], and its standard error.

    An action is drawn around μ: left of 0 is the first arm, right of it the second. An arm pays 1 or nothing.
    """
    random = generator(3)
    noise, luck = (torch.randn(DRAWN, 1, generator=random), torch.rand(DRAWN, generator=random))
    mean = torch.full((DRAWN, 1), mu, requires_grad=True)
    action = fast.sample(mean, SIGMA, noise)
    action = action if leak else action.detach()
    pays = torch.where(action[:, 0] > 0, ARMS[1], ARMS[0])
    log_prob = fast.log_density(action, mean, SIGMA)[:, None]
    total = loss(log_prob, (luck < pays).float(), torch.full((DRAWN, 1), expected))
    (gradient,) = torch.autograd.grad(total * DRAWN, mean)
    return gradient.mean().item(), gradient.std().item() / math.sqrt(DRAWN)


def truth(mu: float) -> float:
    """The same in closed form: -E[R] = -r_0 - (r_1 - r_0) Φ(μ/σ)."""
    density = math.exp(-((mu / SIGMA) ** 2) / 2) / (SIGMA * math.sqrt(2 * math.pi))
    return -(ARMS[1] - ARMS[0]) * density


def is_right(loss: Loss, mu: float, expected: float, **how: bool) -> bool:
    mean, error = of_arms(loss, mu, expected, **how)
    return abs(mean - truth(mu)) <= ERRORS * error + 1e-9


@pytest.mark.parametrize("expected", [0.0, 0.5, -3.0], ids=["without a baseline", "with one", "with a bad one"])
@pytest.mark.parametrize("mu", [-0.4, 0.0, 0.2])
def test_the_mean_of_reinforce_is_the_gradient(mu: float, expected: float):
    assert is_right(fast.reinforce, mu, expected)


def test_a_baseline_makes_it_more_exact():
    assert of_arms(fast.reinforce, 0.1, 0.6)[1] < 0.8 * of_arms(fast.reinforce, 0.1, 0.0)[1]


def test_a_wrong_sign_is_caught():
    assert not is_right(lambda *given: -fast.reinforce(*given), 0.0, 0.5)


def test_a_leaking_gradient_is_caught():
    assert not is_right(fast.reinforce, 0.2, 0.5, leak=True)


def test_a_baseline_that_is_learned_by_reinforce_is_caught():
    log_prob, baseline, reward = normal(0, (3, 2), (3, 2), (3,))
    baseline.requires_grad_()
    reward.requires_grad_()
    assert not fast.reinforce(log_prob, reward, baseline).requires_grad
    (fast.baseline_error(reward, baseline)).backward()
    assert reward.grad is None
