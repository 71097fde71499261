"""DRAW's filters against their twin, and what the paper says of them."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from stawm.core import affine, pyramid
from stawm.core import filterbank as fast
from stawm.core.naive import filterbank as naive
from tests.core.twins import EXACT, assert_twins
from tests.strategies import assert_near, normal, seeds

sides = st.integers(1, 5)


def both(call: Callable[..., Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The same call to the functions and to their twins."""
    return partial(call, fast), partial(call, naive)


def pose(x: float = 0, y: float = 0, log_variance: float = 0, log_spacing: float = 0, log_gain: float = 0) -> Tensor:
    return torch.tensor([[x, y, log_variance, log_spacing, log_gain]], dtype=torch.float64)


@settings(max_examples=10)
@given(seed=seeds, glimpse=st.integers(1, 3), height=sides, width=sides)
def test_functions_are_their_twins(seed: int, glimpse: int, height: int, width: int):
    poses, image, sketch = normal(seed, (2, 5), (2, 2, height, width), (2, 2, glimpse, glimpse))
    poses = poses / 2
    form = (glimpse, height, width)
    shape = both(lambda m, p: (m.spacing(p, *form), *m.centre(p, height, width), *m.filters(p, *form)))
    assert_twins(*shape, poses)
    assert_twins(*both(lambda m, x, p: (m.read(x, p, glimpse),)), image, poses)
    assert_twins(*both(lambda m, x, p: (m.place(x, p, height, width),)), sketch, poses)


@given(seed=seeds, glimpse=st.integers(1, 6), height=st.integers(1, 9), width=st.integers(1, 9), far=st.floats(0, 1e3))
def test_weights_are_positive_and_sum_to_one_wherever_the_filters_are(
    seed: int, glimpse: int, height: int, width: int, far: float
):
    (poses,) = normal(seed, (3, 5))
    poses[:, :2] *= far
    for bank in fast.filters(poses, glimpse, height, width):
        assert bank.ge(0).all()
        assert torch.allclose(bank.sum(dim=-1), torch.ones_like(bank[..., 0]), rtol=0, atol=1e-14)


def test_gradients_stay_finite_far_outside_and_with_needle_sharp_filters():
    poses = torch.tensor([[90.0, -90, -30, 3, 0], [0, 0, 30, -30, 2]], requires_grad=True)
    fast.read(torch.rand(2, 1, 8, 8), poses, 4).sum().backward()
    assert poses.grad is not None
    assert poses.grad.isfinite().all()


any_number = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(
    numbers=st.lists(any_number, min_size=5, max_size=5),
    seed=seeds,
    glimpse=st.integers(1, 5),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
)
@example([0, 0, 44, 0, 0], 0, 4, 8, 8)
@example([0, 0, -1e30, 0, 0], 0, 4, 8, 8)
@example([0, 0, 0, 0, 88], 0, 4, 8, 8)
@example([0, 0, 0, 0, -200], 0, 4, 8, 8)
@example([0, 0, 0, -89, 0], 0, 4, 8, 8)
@example([0, 0, 0, 100, 0], 0, 4, 8, 8)
@example([3e38, -3e38, -3e38, 3e38, 3e38], 0, 5, 9, 7)
@example([0, 0, -3e38, -3e38, 3e38], 0, 4, 8, 8)
def test_every_finite_pose_gives_finite_glimpses_sketches_and_gradients(
    numbers: list[float], seed: int, glimpse: int, height: int, width: int
):
    image, sketch = (x.float() for x in normal(seed, (1, 2, height, width), (1, 2, glimpse, glimpse)))
    for call, seen in (
        (lambda x, p: fast.read(x, p, glimpse), image.requires_grad_()),
        (lambda x, p: fast.place(x, p, height, width), sketch.requires_grad_()),
    ):
        pose = torch.tensor([numbers], dtype=torch.float32, requires_grad=True)
        found = call(seen, pose)
        found.sum().backward()
        assert all(x is not None and x.isfinite().all() for x in (found, pose.grad, seen.grad))


@settings(max_examples=10)
@given(numbers=st.lists(any_number, min_size=5, max_size=5), seed=seeds)
@example([0, 0, 50, 0, 0], 0)
@example([0.3, -0.2, -50, 0, 0], 0)
@example([0, 0, 0, -60, 0], 0)
@example([0, 0, 0, 12, 0], 0)
@example([0, 0, 0, 0, -45], 0)
def test_numbers_beyond_the_range_are_those_of_the_twin(numbers: list[float], seed: int):
    image, sketch = normal(seed, (1, 1, 3, 4), (1, 1, 2, 2))
    poses = torch.tensor([numbers], dtype=torch.float64)
    assert_twins(*both(lambda m, x, p: (m.read(x, p, 2),)), image, poses)
    assert_twins(*both(lambda m, x, p: (m.place(x, p, 3, 4),)), sketch, poses)


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("value", [-29.9, -3.0, 0.1, 3.0, 9.9])
def test_within_the_range_a_pose_is_taken_as_it_is(number: int, value: float, monkeypatch: pytest.MonkeyPatch):
    """The bounds cut nothing that could be of use: a log σ² of 30 is a σ of three million pixels."""
    image, poses = torch.rand(1, 1, 6, 6), torch.tensor([[0.1, -0.2, 0.3, -0.4, 0.5]])
    poses[0, number] = value
    bounded = (fast.read(image, poses, 4), fast.place(image, poses, 7, 9))
    monkeypatch.setattr(fast, "FAR", math.inf)
    for name in ("LOG_VARIANCE", "LOG_SPACING", "LOG_GAIN"):
        monkeypatch.setattr(fast, name, (-math.inf, math.inf))
    free = (fast.read(image, poses, 4), fast.place(image, poses, 7, 9))
    assert all(map(torch.equal, bounded, free))


def test_needle_sharp_filters_on_every_pixel_are_the_image():
    image = torch.rand(1, 2, 4, 4, dtype=torch.float64)
    assert torch.equal(fast.read(image, pose(log_variance=-10), 4), image)
    assert torch.equal(fast.place(image, pose(log_variance=-10), 4, 4), image)


def test_filters_stand_where_the_paper_says():
    # 3 filters on a 9x5 image: δ = (9 - 1)/(3 - 1) e^{log δ̃} = 4 · ½; g_x = 5/2 + ½, g_y = 9/2 + ½, of pixels from 1.
    given_pose = pose(log_spacing=-torch.tensor(2.0).log().item(), log_variance=-12)
    along, down = fast.filters(given_pose, 3, 9, 5)
    assert along[0].argmax(dim=1).tolist() == [0, 2, 4]
    assert down[0].argmax(dim=1).tolist() == [2, 4, 6]


@pytest.mark.parametrize(("moved", "axis"), [(pose(x=0.5, log_variance=-12), 0), (pose(y=0.5, log_variance=-12), 1)])
def test_x_moves_along_the_width_and_y_along_the_height(moved: Tensor, axis: int):
    places = [bank[0].argmax().item() + 1 for bank in fast.filters(moved, 1, 7, 7)]
    assert places[axis] == 6  # (7 + 1)/2 · 1.5
    assert places[1 - axis] == 4


@given(seed=seeds)
def test_placing_is_the_transpose_of_reading(seed: int):
    poses, image, sketch = normal(seed, (2, 5), (2, 1, 6, 5), (2, 1, 3, 3))
    poses[:, 4] = 0
    read, placed = fast.read(image, poses, 3), fast.place(sketch, poses, 6, 5)
    assert_near((read * sketch).sum((1, 2, 3)), (placed * image).sum((1, 2, 3)), EXACT)


@given(seed=seeds, log_gain=st.floats(-3, 3))
def test_gain_multiplies_what_is_read_and_divides_what_is_placed(seed: int, log_gain: float):
    image, sketch = normal(seed, (1, 1, 5, 5), (1, 1, 3, 3))
    gain = torch.tensor(log_gain, dtype=torch.float64).exp()
    loud = pose(log_gain=log_gain)
    assert_near(fast.read(image, loud, 3), gain * fast.read(image, pose(), 3), EXACT)
    assert_near(fast.place(sketch, loud, 5, 5) * gain, fast.place(sketch, pose(), 5, 5), EXACT)


def test_gradients_are_those_of_finite_differences():
    poses, image, sketch = normal(7, (2, 5), (2, 1, 4, 5), (2, 1, 3, 3))
    leaves = [x.requires_grad_() for x in (image, sketch, poses / 2)]
    run = lambda image, sketch, poses: (fast.read(image, poses, 3), fast.place(sketch, poses, 4, 5))  # noqa: E731
    assert torch.autograd.gradcheck(run, leaves)


WINDOW = affine.concentric(affine.base_grid(12, 12, dtype=torch.float64), 2)


def scenery(height: int, width: int) -> Tensor:
    """Waves that are as long for every size, and a slope."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    x, y = 40 * x.double() / max(height, width), 40 * y.double() / max(height, width)
    return torch.stack([torch.sin(x / 4) + torch.cos(y / 6 + x / 9), x - 2 * y])[None]


@settings(max_examples=10)
@given(seed=seeds)
def test_wider_views_are_their_twins(seed: int):
    (poses,) = normal(seed, (2, 5))
    assert_twins(*both(lambda m, p: (m.widened(p, 2),)), poses)


@pytest.mark.parametrize("size", [(40, 40), (60, 80)])
@pytest.mark.parametrize("log_variance", [-0.5, 0.7])
def test_averages_are_near_the_filters_over_every_pixel(size: tuple[int, int], log_variance: float):
    """Inside the image, with filters that are as wide as the gaps between them, or wider."""
    image, where = scenery(*size), pose(0.05, -0.03, log_variance, -2.5, 0.2)
    whole = pyramid.build(image, "border")
    ours, twin = (m.average(whole, where, WINDOW, 6, (40, 40), views=2) for m in (fast, naive))
    assert ours.shape == (1, 2, 12, 6)
    assert_near(ours[:, 1], twin[:, 1], 0.01)
    assert_near(ours[:, 0], twin[:, 0], 0.05)


def test_averages_are_alike_whatever_the_size_of_the_image():
    where = pose(0.1, 0.1, 0.0, -2.0)
    small, large = (
        fast.average(pyramid.build(scenery(side, side), "border"), where, WINDOW[:, :12], 6, (40, 40))
        for side in (80, 320)
    )
    assert_near(small, large, 0.02)


def test_averages_have_gradients_in_every_number_of_the_pose():
    whole, where = pyramid.build(scenery(64, 48), "border"), pose(0.1, -0.2, 0.5, -1.7, 0.3).requires_grad_()
    run = partial(fast.average, whole, base=WINDOW[:, :12], glimpse=6, made_for=(40, 40))
    assert torch.autograd.gradcheck(run, (where,))
    (slope,) = torch.autograd.grad(run(where).square().sum(), where)
    assert slope.ne(0).all()
