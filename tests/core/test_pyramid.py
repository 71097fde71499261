"""The pyramid against its twin, and reads of it against the exact mean over what a glimpse's pixel covers."""

import math
from typing import Any, get_args

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from stawm.core import affine
from stawm.core import pyramid as fast
from stawm.core.naive import affine as naive_affine
from stawm.core.naive import pyramid as naive
from tests.core.twins import EXACT, assert_twins
from tests.strategies import assert_near, normal, seeds

sides = st.integers(1, 9)
paddings = pytest.mark.parametrize("padding", get_args(affine.Padding))
SIDE = 3
BASE = affine.base_grid(SIDE, SIDE, dtype=torch.float64)


def turned(scale: float, angle: float, x: float = 0.0, y: float = 0.0, stretch: float = 1.0) -> Tensor:
    """A pose that turns, and stretches along one axis."""
    c, s = scale * math.cos(angle), scale * math.sin(angle)
    return torch.tensor([[c * stretch, -s, x, s * stretch, c, y]], dtype=torch.float64)


def smooth(height: int, width: int) -> Tensor:
    """An image whose neighbouring pixels differ by less than a third."""
    y, x = torch.meshgrid(torch.arange(height).double(), torch.arange(width).double(), indexing="ij")
    return (torch.sin(x / 5) + torch.cos(y / 9 + x / 15))[None, None]


@settings(max_examples=20)
@given(seed=seeds, height=sides, width=sides)
def test_concentric_and_squared_poses_are_their_twins(seed: int, height: int, width: int):
    poses, base = normal(seed, (2, 6), (3, height, width))
    size = torch.tensor([width, height], dtype=torch.float64)
    assert_twins(lambda x: (affine.concentric(x, 3),), lambda x: (naive_affine.concentric(x, 3),), base)
    assert_twins(lambda x: (affine.squared(x, size),), lambda x: (naive_affine.squared(x, size),), poses)


def test_a_squared_pose_is_square_in_pixels_and_in_a_square_image_the_same():
    pose = turned(0.3, 0.4, 0.1, -0.2)
    corners = affine.transform(
        affine.squared(pose, torch.tensor([40.0, 10.0]).double()), BASE[:2, ::2, ::2].flatten(1).T
    )
    edges = (corners[0, [1, 3, 2, 0]] - corners[0, [0, 1, 3, 2]]) * torch.tensor([20.0, 5.0])
    assert_near(edges.norm(dim=1), edges.norm(dim=1)[:1].expand(4), EXACT)
    assert torch.equal(affine.squared(pose, torch.tensor([7.0, 7.0]).double()), pose)


@paddings
@settings(max_examples=10)
@given(seed=seeds, height=sides, width=sides)
def test_building_is_its_twin(padding: Any, seed: int, height: int, width: int):
    (image,) = normal(seed, (2, 2, height, width))
    ours, twin = (m.build(image, padding) for m in (fast, naive))
    assert torch.equal(ours.size, twin.size)
    for one, other in zip((*ours.levels, *ours.shares), (*twin.levels, *twin.shares), strict=True):
        assert_near(one, other, EXACT)


@paddings
@settings(max_examples=6)
@given(seed=seeds, height=sides, width=sides)
def test_levels_and_samples_are_their_twins(padding: Any, seed: int, height: int, width: int):
    image, poses, grid = normal(seed, (2, 2, height, width), (2, 6), (2, 4, 2, 2))
    size = torch.tensor([width, height], dtype=torch.float64)
    assert_twins(lambda p: (fast.level(p, SIDE, size, 2),), lambda p: (naive.level(p, SIDE, size, 2),), 3 * poses)
    whole, depth = fast.build(image, padding), fast.level(3 * poses, SIDE, size, 2)
    assert_twins(
        lambda g, d: (fast.sample(whole, g, d, padding=padding),),
        lambda g, d: (naive.sample(whole, g, d, padding=padding),),
        *(1.5 * grid, depth),
    )


@given(seed=seeds, angle=st.floats(-3, 3), scale=st.floats(0.001, 0.2))
def test_a_glimpse_finer_than_the_image_is_a_plain_sample(seed: int, angle: float, scale: float):
    (image,) = normal(seed, (1, 2, 11, 14))
    pose = turned(scale, angle, 0.3, -0.1)
    assert torch.equal(fast.read(fast.build(image), pose, BASE), affine.sample(image, affine.grid(pose, BASE)))


@pytest.mark.parametrize("times", [1, 2, 4, 8])
def test_blocks_of_a_power_of_two_are_averaged_exactly(times: int):
    (image,) = normal(0, (1, 2, 16 * times, 16 * times))
    middle = 2 * (4 + SIDE / 2) / 16 - 1  # of three blocks, from the fourth on
    read = fast.read(fast.build(image), turned(SIDE / 16, 0.0, middle, middle), BASE)
    assert_near(read, F.avg_pool2d(image, times)[..., 4 : 4 + SIDE, 4 : 4 + SIDE], EXACT)


@settings(max_examples=12)
@given(angle=st.floats(-3, 3), scale=st.floats(0.05, 0.25), stretch=st.floats(0.5, 1.5))
def test_a_slope_is_read_exactly(angle: float, scale: float, stretch: float):
    """The mean of a slope is its value in the middle, whatever is covered; not so next to the image's edges."""
    y, x = torch.meshgrid(torch.arange(64.0).double(), torch.arange(48.0).double(), indexing="ij")
    whole, pose = fast.build((2 * x - 3 * y)[None, None]), turned(scale, angle, 0.05, -0.1, stretch)
    middles = (affine.grid(pose, BASE) + 1) / 2 * whole.size - 0.5
    expected = 2 * middles[..., 0] - 3 * middles[..., 1]
    assert_near(fast.read(whole, pose, BASE)[:, 0], expected, 1e-9)
    # The twin's integral is a sum over points, whose pixels are off by half of one at most.
    assert_near(naive.read(whole, pose, BASE)[:, 0], expected, 0.35)


@settings(max_examples=8)
@given(angle=st.floats(-3, 3), scale=st.floats(0.02, 0.5), stretch=st.floats(0.5, 1.5))
def test_a_read_is_near_the_mean_over_what_a_pixel_covers(angle: float, scale: float, stretch: float):
    """Both are means of pixels near one place, and the pixels of this image differ by a third at each step."""
    whole, pose = fast.build(smooth(40, 56), "border"), turned(scale, angle, 0.1, 0.05, stretch)
    sides = torch.linalg.svdvals(torch.diag(whole.size) @ pose.view(2, 3)[:, :2] / SIDE).clamp(min=1)
    # Of the twin half a diagonal of what is covered; of a level at most 1.5 of its pixels, each of up to twice λ's.
    reach = sides.norm() / 2 + 1.5 * 2 * sides.square().mean().sqrt() * math.sqrt(2) + math.sqrt(2)
    ours, exact = (m.read(whole, pose, BASE, padding="border") for m in (fast, naive))
    assert float((ours - exact).abs().max()) <= float(reach) / 3


@settings(max_examples=6)
@given(seed=seeds, angle=st.floats(-3, 3), scale=st.floats(0.3, 0.6))
def test_of_noise_a_read_is_far_nearer_to_the_mean_than_a_point(seed: int, angle: float, scale: float):
    (image,) = normal(seed, (1, 8, 48, 40))
    whole, pose = fast.build(image), turned(scale, angle)
    exact = naive.read(whole, pose, BASE)
    point = affine.sample(image, affine.grid(pose, BASE))
    assert float((fast.read(whole, pose, BASE) - exact).norm()) < float((point - exact).norm()) / 2


def test_the_pose_has_a_gradient_through_the_level_too():
    (image,) = normal(4, (1, 1, 32, 32))
    base, whole = affine.concentric(BASE, 2), fast.build(image)
    pose = turned(0.4, 0.3, 0.05, 0.1).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: fast.read(whole, p, base, views=2), (pose,))
    (slope,) = torch.autograd.grad(fast.level(pose, SIDE, whole.size).sum(), pose)
    assert float(slope.abs().max()) > 0.1


@paddings
def test_an_even_image_is_even_inside_and_what_the_padding_says_far_outside(padding: Any):
    whole = fast.build(torch.full((1, 1, 13, 20), 0.7, dtype=torch.float64), padding)
    seen = fast.read(whole, turned(0.4, 0.2), BASE, padding=padding)
    far = fast.read(whole, turned(1.0, 0.0, 9.0), BASE, padding=padding)
    assert padding == "zeros" or torch.allclose(seen, torch.full_like(seen, 0.7))
    assert torch.allclose(far, torch.full_like(far, 0.0 if padding == "zeros" else 0.7))


@pytest.mark.parametrize("learns", [False, True])
@pytest.mark.parametrize("depths", [[0.0, 1.0], [1.25, 3.0], [math.nan, 0.5]])
def test_levels_that_no_view_sees_are_left_out_and_change_nothing(
    depths: list[float], learns: bool, monkeypatch: pytest.MonkeyPatch
):
    image, grid = normal(0, (2, 2, 21, 17), (2, 4, 2, 2))
    whole, outcomes = fast.build(image), []
    for every in (False, True):
        if every:
            monkeypatch.setattr(fast, "_seen_levels", lambda level, count: list(range(count)))
        points = grid.clone().requires_grad_()
        level = torch.tensor(depths).double().expand(2, 2).clone().requires_grad_(learns)
        seen = fast.sample(whole, points, level)
        seen.sum().backward()
        outcomes.append((seen.detach(), points.grad, level.grad))
    for ours, all_levels in zip(*outcomes, strict=True):
        assert (ours is None) == (all_levels is None)
        assert ours is None or torch.equal(ours.nan_to_num(7.0), all_levels.nan_to_num(7.0))


def test_only_levels_with_a_weight_or_a_gradient_are_read():
    level = torch.tensor([[0.0, 2.5]])
    assert fast._seen_levels(level, 6) == [0, 2, 3]
    assert fast._seen_levels(level.requires_grad_(), 6) == [0, 1, 2, 3]
    assert fast._seen_levels(torch.tensor([[math.nan]]), 3) == [0, 1, 2]
