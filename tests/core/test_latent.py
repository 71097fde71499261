"""The latent's noise and divergences against their twins, PyTorch's distributions and each other."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Normal, kl_divergence

from stawm.core import latent as fast
from stawm.core.naive import latent as naive
from stawm.errors import InputError
from tests.core.twins import EXACT, assert_twins
from tests.strategies import assert_near, normal, seeds

sides = st.integers(1, 4)


def both(call: Callable[..., Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The same call to the functions and to their twins."""
    return partial(call, fast), partial(call, naive)


@settings(max_examples=15)
@given(seed=seeds, b=sides, n=sides, k=sides)
def test_functions_are_their_twins(seed: int, b: int, n: int, k: int):
    mu, logvar, eps = normal(seed, (b, n, k), (b, n, k), (b, n, k))
    assert_twins(*both(lambda m, *x: (m.reparameterise(*x),)), mu, logvar, eps)
    assert_twins(*both(lambda m, *x: (m.kl(*x),)), mu[:, 0], logvar[:, 0])
    assert_twins(*both(lambda m, *x: (m.joint_kl(*x),)), mu, logvar)


@given(seed=seeds, k=sides)
def test_kl_is_that_of_the_distributions(seed: int, k: int):
    mu, logvar = normal(seed, (3, k), (3, k))
    posterior, prior = Normal(mu, (logvar / 2).exp()), Normal(torch.zeros_like(mu), torch.ones_like(mu))
    assert_near(fast.kl(mu, logvar), kl_divergence(posterior, prior).sum(dim=1), EXACT)


@given(seed=seeds, n=sides, k=sides)
def test_the_joint_divergence_is_the_sum_and_that_of_the_concatenation(seed: int, n: int, k: int):
    mu, logvar = normal(seed, (3, n, k), (3, n, k))
    joint = fast.joint_kl(mu, logvar)
    assert_near(joint, sum((fast.kl(mu[:, t], logvar[:, t]) for t in range(n)), torch.zeros(3)), EXACT)
    assert_near(joint, fast.kl(mu.flatten(1), logvar.flatten(1)), EXACT)


@given(seed=seeds)
def test_the_divergence_is_positive_and_zero_for_the_prior(seed: int):
    mu, logvar = normal(seed, (4, 3), (4, 3))
    assert fast.kl(mu, logvar).gt(0).all()
    assert not fast.kl(torch.zeros(2, 3), torch.zeros(2, 3)).any()
    assert not fast.joint_kl(torch.zeros(2, 3, 4), torch.zeros(2, 3, 4)).any()


def test_noise_is_scaled_by_the_deviation():
    drawn = fast.reparameterise(torch.tensor([1.0]), torch.tensor([4.0]).log(), torch.tensor([3.0]))
    assert torch.allclose(drawn, torch.tensor([7.0]))


def test_wrong_shapes_are_named():
    two, three = torch.zeros(2, 3), torch.zeros(2, 3, 4)
    with pytest.raises(InputError, match=r"mu and logvar must be of one shape; got mu \(2, 3\), logvar \(2, 4\)"):
        fast.kl(two, torch.zeros(2, 4))
    with pytest.raises(InputError, match=r"mu and logvar and eps must be of one shape; .* eps \(1, 3\)"):
        fast.reparameterise(two, two, torch.zeros(1, 3))
    with pytest.raises(InputError, match=r"must have the axes \(b, k\); got the shape \(2, 3, 4\)"):
        fast.kl(three, three)
    with pytest.raises(InputError, match=r"must have the axes \(b, n, k\); got the shape \(2, 3\)"):
        fast.joint_kl(two, two)
    with pytest.raises(InputError, match="one shape"):
        fast.joint_kl(three, two)
