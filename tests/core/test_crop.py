"""The crop against its twin and against the affine transform that it is a case of."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stawm.core import affine
from stawm.core import crop as fast
from stawm.core.naive import crop as naive
from tests.core.twins import EXACT, assert_twins
from tests.strategies import assert_near, normal, seeds


def both(call: Callable[..., Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The same call to the functions and to their twins."""
    return partial(call, fast), partial(call, naive)


@settings(max_examples=10)
@given(seed=seeds, height=st.integers(1, 5), width=st.integers(1, 5))
def test_functions_are_their_twins(seed: int, height: int, width: int):
    pose, base = normal(seed, (3, 3), (3, height, width))
    assert_twins(*both(lambda m, p, x: (m.grid(p, x),)), pose, base)
    assert_twins(*both(lambda m, p: (m.as_affine(p), m.invert(p))), pose)


@given(seed=seeds)
def test_it_is_an_affine_transform(seed: int):
    (pose,) = normal(seed, (3, 3))
    base = affine.base_grid(4, 5, dtype=torch.float64)
    assert_near(fast.grid(pose, base), affine.grid(fast.as_affine(pose), base), EXACT)
    assert_near(fast.as_affine(fast.invert(pose)), affine.invert(fast.as_affine(pose)), EXACT)
    assert_near(fast.invert(fast.invert(pose)), pose, EXACT)


def test_a_pose_is_x_then_y_then_scale():
    base = affine.base_grid(2, 2, dtype=torch.float64)
    looks = fast.grid(torch.tensor([[0.25, -0.5, 0.5]], dtype=torch.float64), base)
    assert looks[0].tolist() == [[[0.0, -0.75], [0.5, -0.75]], [[0.0, -0.25], [0.5, -0.25]]]


def test_gradients_are_those_of_finite_differences():
    (pose,) = normal(5, (2, 3))
    base = affine.base_grid(3, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda p: fast.grid(p, base), pose.requires_grad_())
