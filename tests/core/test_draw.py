"""DRAW's equations against their twins, and what its bound promises."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stawm.core import draw as fast
from stawm.core.latent import joint_kl
from stawm.core.naive import draw as naive
from tests.core.twins import EXACT, assert_twins
from tests.strategies import assert_near, normal, seeds

sides = st.integers(1, 4)


def both(call: Callable[..., Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The same call to the functions and to their twins."""
    return partial(call, fast), partial(call, naive)


@settings(max_examples=15)
@given(seed=seeds, b=sides, c=sides, height=sides, width=sides, n=sides, k=sides)
def test_functions_are_their_twins(seed: int, b: int, c: int, height: int, width: int, n: int, k: int):
    image, canvas, mu, logvar = normal(seed, (b, c, height, width), (b, c, height, width), (b, n, k), (b, n, k))
    image = image.sigmoid()
    assert_twins(*both(lambda m, x, y: (m.missing(x, y), m.seen(x, y), m.surprise(y, x))), image, canvas)
    assert_twins(*both(lambda m, *x: (m.divergence(*x),)), mu, logvar)
    assert_twins(*both(lambda m, x, y, *z: (m.bound(y, x, *z),)), image, canvas, mu, logvar)


@given(seed=seeds, n=sides, k=sides)
def test_the_divergence_is_the_joint_one(seed: int, n: int, k: int):
    mu, logvar = normal(seed, (3, n, k), (3, n, k))
    assert_near(fast.divergence(mu, logvar), joint_kl(mu, logvar), EXACT)


@given(seed=seeds, scale=st.sampled_from([0.0, 1e-30, 1e-8, 1e-7, 1e-6, 1e-4, 1e-2, 1.0, 20.0]))
@example(0, 1e-7)
def test_the_divergence_is_never_negative_also_where_single_precision_cannot_tell_it_from_zero(seed: int, scale: float):
    mu, logvar = normal(seed, (4, 3, 5), (4, 3, 5), dtype=torch.float32)
    assert fast.divergence(mu * scale, logvar * scale).ge(0).all()
    assert fast.divergence(torch.zeros_like(mu), logvar * scale).ge(0).all()


def test_the_divergence_of_the_prior_from_itself_is_zero():
    assert not fast.divergence(torch.zeros(2, 3, 4), torch.zeros(2, 3, 4)).any()


@given(seed=seeds)
def test_surprise_is_that_of_independent_coins(seed: int):
    canvas, pixels = normal(seed, (3, 1, 4, 4), (3, 1, 4, 4))
    image = (pixels > 0).double()
    coins = torch.distributions.Bernoulli(logits=canvas)
    assert_near(fast.surprise(canvas, image), -coins.log_prob(image).sum(dim=(1, 2, 3)), EXACT)


def test_a_pixel_that_is_surely_wrong_costs_what_it_is_wrong_by():
    """In single precision S(60) is 1, and log(1 - S(60)) would be minus infinity."""
    canvas = torch.tensor([60.0, -60.0]).view(2, 1, 1, 1).requires_grad_()
    image = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1)
    cost = fast.surprise(canvas, image)
    assert cost.tolist() == [60, 60]
    cost.sum().backward()
    assert canvas.grad is not None
    assert canvas.grad.flatten().tolist() == [1, -1]


def test_an_empty_grey_canvas_costs_a_bit_a_pixel():
    image = torch.tensor([0.0, 1.0, 1.0, 0.0]).view(1, 1, 2, 2).double()
    cost = fast.bound(torch.zeros_like(image), image, *torch.zeros(2, 1, 3, 2).double())
    assert_near(cost, 4 * torch.tensor([2.0]).double().log(), EXACT)
