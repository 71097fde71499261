"""Both canvases against their twins, and the Concrete distribution at its limits."""

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from stawm.core import canvas as fast
from stawm.core.naive import canvas as naive
from tests.core.twins import EXACT, assert_twins, uniform
from tests.strategies import assert_near, normal, seeds

temperatures = st.floats(0.1, 4)


def both(call: Callable[..., Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The same call to the functions and to their twins."""
    return partial(call, fast), partial(call, naive)


def scalar(x: float, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor([x], dtype=dtype)


@settings(max_examples=10)
@given(seed=seeds, n=st.integers(1, 4), c=st.integers(1, 3), start=st.floats(-6, 6))
def test_canvases_are_their_twins(seed: int, n: int, c: int, start: float):
    (sketches,) = normal(seed, (2, n, c, 2, 2))
    (masks,) = uniform(seed + 1, (2, n, 1, 2, 2))
    assert_twins(*both(lambda m, x: (m.add(x, start),)), sketches)
    assert_twins(*both(lambda m, x, b: (m.paint(x, b),)), sketches, masks)
    layers = (sketches[:, 0], sketches[:, -1].flip(-1), masks[:, 0])
    assert_twins(*both(lambda m, *x: (m.over(*x),)), *layers)


@settings(max_examples=10)
@given(seed=seeds, n=st.integers(1, 3), c=st.integers(1, 3))
def test_one_colour_is_its_twin(seed: int, n: int, c: int):
    (sketches,), (masks,) = normal(seed, (2, n, c, 2, 3)), uniform(seed + 1, (2, n, 1, 2, 3))
    assert_twins(*both(lambda m, x, b: (m.one_colour(x, b),)), sketches, masks)


def test_one_colour_is_that_of_what_the_mask_covers_and_finite_where_it_covers_nothing():
    sketches = torch.tensor([0.25, 0.75, 9.0]).view(1, 1, 1, 3)
    mask = torch.tensor([0.5, 0.5, 0.0]).view(1, 1, 1, 3)
    assert fast.one_colour(sketches, mask).flatten().tolist() == [0.5, 0.5, 0.5]
    assert fast.one_colour(sketches, 0 * mask).flatten().tolist() == [0, 0, 0]


@settings(max_examples=8, deadline=None)
@given(seed=seeds, height=st.integers(1, 5), width=st.integers(1, 5), side=st.integers(1, 4))
def test_coarse_is_its_twin(seed: int, height: int, width: int, side: int):
    (sketches,) = normal(seed, (1, 2, height, width))
    assert_twins(*both(lambda m, x: (m.coarse(x, side),)), sketches)


@settings(max_examples=20)
@given(seed=seeds, height=st.integers(1, 9), width=st.integers(1, 9), side=st.integers(1, 9))
def test_coarse_keeps_one_colour_stays_within_what_was_there_and_shows_no_more_than_its_cells(
    seed: int, height: int, width: int, side: int
):
    (sketches,) = normal(seed, (3, height, width))
    found = fast.coarse(sketches, side)
    assert_near(fast.coarse(torch.full_like(sketches, 0.3), side), torch.full_like(sketches, 0.3), EXACT)
    assert (found.amax(dim=(1, 2)) <= sketches.amax(dim=(1, 2)) + EXACT).all()
    assert (found.amin(dim=(1, 2)) >= sketches.amin(dim=(1, 2)) - EXACT).all()
    assert torch.linalg.matrix_rank(found, atol=EXACT).max() <= side


def test_coarse_of_one_cell_is_the_mean():
    (sketches,) = normal(3, (2, 3, 8, 6))
    assert_near(fast.coarse(sketches, 1), sketches.mean(dim=(-2, -1), keepdim=True).expand_as(sketches), EXACT)


@settings(max_examples=15)
@given(seed=seeds, temperature=temperatures)
def test_concrete_is_its_twin(seed: int, temperature: float):
    p, u = uniform(seed, (2, 3), (2, 3))
    u = 0.01 + 0.98 * u
    assert_twins(*both(lambda m, p: (m.concrete(p, u, temperature),)), p)
    edges = torch.tensor([[0.0, 1.0, 0.5], [1e-20, 1 - 1e-16, 0.1]], dtype=torch.float64)
    assert_near(fast.concrete(edges, u, temperature), naive.concrete(edges, u, temperature), EXACT)


def test_addition_by_hand():
    sketches = torch.tensor([1.0, -2, 4]).view(1, 3, 1, 1, 1)
    assert fast.add(sketches, -6.0).flatten().tolist() == [-5, -7, -3]


@given(seed=seeds)
def test_addition_does_not_know_the_order(seed: int):
    (sketches,) = normal(seed, (1, 4, 1, 3, 3))
    last = fast.add(sketches, -6.0)[:, -1]
    for order in itertools.permutations(range(4)):
        assert_near(fast.add(sketches[:, list(order)], -6.0)[:, -1], last, EXACT)


def test_painting_by_hand():
    sketches = torch.tensor([1.0, 0.5, 0.25]).view(1, 3, 1, 1, 1)
    masks = torch.tensor([0.5, 1.0, 0.25]).view(1, 3, 1, 1, 1)
    assert fast.paint(sketches, masks).flatten().tolist() == [0.5, 0.5, 0.4375]


@given(seed=seeds, n=st.integers(1, 8), dtype=st.sampled_from([torch.float32, torch.float64]))
def test_a_painted_canvas_stays_within_0_and_1_exactly(seed: int, n: int, dtype: torch.dtype):
    sketches, masks = (x.to(dtype) for x in uniform(seed, (2, n, 3, 8, 8), (2, n, 1, 8, 8)))
    sketches[sketches > 0.8] = 1
    canvases = fast.paint(sketches, masks)
    assert canvases.ge(0).all()
    assert canvases.le(1).all()


@given(seed=seeds)
def test_a_full_mask_replaces_and_an_empty_one_keeps(seed: int):
    canvas, sketch = normal(seed, (2, 3, 4, 4), (2, 3, 4, 4))
    assert torch.equal(fast.over(canvas, sketch, torch.ones(2, 1, 4, 4)), sketch)
    assert torch.equal(fast.over(canvas, sketch, torch.zeros(2, 1, 4, 4)), canvas)


@given(p=st.floats(1e-6, 1 - 1e-6), u=st.floats(1e-6, 1 - 1e-6), temperature=temperatures)
def test_concrete_is_symmetric(p: float, u: float, temperature: float):
    here = fast.concrete(scalar(p), scalar(u), temperature)
    there = fast.concrete(scalar(1 - p), scalar(1 - u), temperature)
    assert torch.allclose(here + there, scalar(1), rtol=0, atol=1e-8)  # 1 - p is rounded where p is near 0


@given(p=st.floats(1e-6, 1 - 1e-6))
def test_the_median_of_concrete_at_temperature_1_is_p(p: float):
    assert torch.allclose(fast.concrete(scalar(p), scalar(0.5), 1), scalar(p), rtol=1e-9)


def test_a_known_value():
    # (logit 0.8 + logit 0.25)/2 = (ln 4 - ln 3)/2 = ln √(4/3), whose sigmoid is √(4/3)/(1 + √(4/3)).
    root = (4 / 3) ** 0.5
    assert torch.allclose(fast.concrete(scalar(0.8), scalar(0.25), 2), scalar(root / (1 + root)), rtol=1e-14)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_cold_concrete_is_bernoulli(p: float):
    u = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    cold = fast.concrete(torch.full_like(u, p), u, 1e-5)
    decided = (u - (1 - p)).abs() > 1e-3
    assert torch.equal(cold[decided].round(), (u > 1 - p).double()[decided])
    assert torch.allclose(cold[decided], cold[decided].round(), rtol=0, atol=1e-6)
    assert abs(cold.mean().item() - p) <= 1e-3


@given(low=st.floats(0, 1), high=st.floats(0, 1), u=st.floats(0.01, 0.99), temperature=temperatures)
def test_concrete_rises_with_p(low: float, high: float, u: float, temperature: float):
    low, high = sorted((low, high))
    assert fast.concrete(scalar(low), scalar(u), temperature) <= fast.concrete(scalar(high), scalar(u), temperature)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("temperature", [0.1, 1, 2])
def test_values_and_gradients_are_finite_at_the_ends(dtype: torch.dtype, temperature: float):
    ends = torch.tensor([0, 1, torch.finfo(dtype).eps, torch.finfo(dtype).tiny, 0.5], dtype=dtype)
    p, u = (x.flatten().clone() for x in torch.meshgrid(ends, ends, indexing="ij"))
    p.requires_grad_()
    drawn = fast.concrete(p, u, temperature)
    drawn.sum().backward()
    assert drawn.isfinite().all()
    assert p.grad is not None
    assert p.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_probabilities_are_cut_by_the_machines_epsilon(dtype: torch.dtype):
    cut = torch.finfo(dtype).eps
    at_zero = fast.concrete(scalar(0, dtype), scalar(0.5, dtype), 2)
    assert torch.allclose(at_zero, scalar(cut, dtype).sqrt() / (1 + scalar(cut, dtype).sqrt()), rtol=1e-5)


def test_gradients_are_those_of_finite_differences():
    sketches, noise = normal(3, (1, 3, 2, 2, 2))[0], uniform(4, (1, 3, 1, 2, 2))[0]
    chances = uniform(5, (1, 3, 1, 2, 2))[0] * 0.8 + 0.1

    def run(sketches: Tensor, chances: Tensor) -> tuple[Tensor, Tensor]:
        return fast.paint(sketches, fast.concrete(chances, noise, 2.0)), fast.add(sketches, -6.0)

    assert torch.autograd.gradcheck(run, (sketches.requires_grad_(), chances.requires_grad_()))
