"""The affine glimpse against its twin and against what a person expects of flips, shifts and turns."""

from collections.abc import Callable
from functools import partial
from typing import Any, get_args

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from stawm.core import affine as fast
from stawm.core.naive import affine as naive
from tests.core.twins import EXACT, assert_twins
from tests.strategies import assert_near, normal, seeds

EPS = torch.finfo(torch.float64).eps
IDENTITY = torch.tensor([[1.0, 0, 0, 0, 1, 0]], dtype=torch.float64)
corners = pytest.mark.parametrize("align_corners", [False, True])
sides = st.integers(1, 7)


def both(call: Callable[..., Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The same call to the functions and to their twins."""
    return partial(call, fast), partial(call, naive)


def look(image: Tensor, pose: Tensor, size: tuple[int, int] | None = None, **options: Any) -> Tensor:
    base = fast.base_grid(*(size or image.shape[2:]), dtype=image.dtype)
    return fast.sample(image, fast.grid(pose, base), **options)


def pose(*numbers: float) -> Tensor:
    return torch.tensor([numbers], dtype=torch.float64)


@corners
@given(height=sides, width=sides)
def test_base_grid_is_its_twin(align_corners: bool, height: int, width: int):
    ours, twin = (m.base_grid(height, width, align_corners=align_corners, dtype=torch.float64) for m in (fast, naive))
    assert torch.allclose(ours, twin, rtol=0, atol=2 * EPS)


@corners
def test_single_precision_coordinates_are_the_exact_ones_rounded_once(align_corners: bool):
    for side in range(1, 65):
        single, double = (
            fast.base_grid(side, side, align_corners=align_corners, dtype=t) for t in (torch.float32, torch.float64)
        )
        assert torch.equal(single, double.float())


@corners
@given(seed=seeds, height=st.integers(2, 7), width=st.integers(2, 7))  # PyTorch warns of sides of 1
def test_grid_is_that_of_pytorch(align_corners: bool, seed: int, height: int, width: int):
    (poses,) = normal(seed, (3, 6))
    ours = fast.grid(poses, fast.base_grid(height, width, align_corners=align_corners, dtype=torch.float64))
    theirs = F.affine_grid(poses.view(3, 2, 3), [3, 1, height, width], align_corners=align_corners)
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-12)


@settings(max_examples=10)
@given(seed=seeds, height=sides, width=sides)
def test_grid_transform_and_invert_are_their_twins(seed: int, height: int, width: int):
    poses, base, points = normal(seed, (2, 6), (3, height, width), (3, 2))
    assert_twins(*both(lambda m, p, x: (m.grid(p, x),)), poses, base)
    assert_twins(*both(lambda m, p, x: (m.transform(p, x),)), poses, points)
    regular = IDENTITY + poses.tanh() / 3
    assert_twins(*both(lambda m, p: (m.invert(p),)), regular)


@corners
@pytest.mark.parametrize("padding", get_args(fast.Padding))
@settings(max_examples=6)
@given(seed=seeds, height=st.integers(1, 4), width=st.integers(1, 4))
def test_sample_is_its_twin(align_corners: bool, padding: Any, seed: int, height: int, width: int):
    image, grid = normal(seed, (2, 2, height, width), (2, 3, 2, 2))
    options = {"align_corners": align_corners, "padding": padding}
    assert_twins(*both(lambda m, i, g: (m.sample(i, g, **options),)), image, 1.5 * grid)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_corners_are_their_twins_and_the_edges_of_the_image(dtype: torch.dtype):
    """Clockwise from the top left, as the first and last pixel's centres are where corners are aligned."""
    like = torch.zeros(3, dtype=dtype)
    found, twin = fast.corners(like), naive.corners(like)
    assert found.dtype == twin.dtype == dtype
    assert torch.equal(found, twin)
    ends = fast.base_grid(2, 2, align_corners=True, dtype=dtype)[:2].permute(1, 2, 0)
    assert torch.equal(found, torch.stack([ends[0, 0], ends[0, 1], ends[1, 1], ends[1, 0]]))


@given(seed=seeds, height=st.sampled_from([1, 2, 4, 8]), width=st.sampled_from([1, 2, 4, 8]))
def test_the_identity_gives_the_image_itself(seed: int, height: int, width: int):
    (image,) = normal(seed, (1, 2, height, width))
    assert torch.equal(look(image, IDENTITY), image)  # the coordinates of these sides are exact


@corners
@given(seed=seeds, side=st.integers(2, 40))
def test_the_identity_gives_any_image_up_to_rounding(align_corners: bool, seed: int, side: int):
    (image,) = normal(seed, (1, 1, side, side))
    base = fast.base_grid(side, side, align_corners=align_corners, dtype=torch.float64)
    seen = fast.sample(image, fast.grid(IDENTITY, base), align_corners=align_corners)
    # A coordinate of size 1 is off by an ulp or two, so a position by `side` times that, between pixels that differ.
    assert torch.allclose(seen, image, rtol=0, atol=8 * side * EPS * float(image.abs().max()))


def test_poses_flip_turn_and_shift():
    image = torch.arange(32.0, dtype=torch.float64).view(1, 2, 4, 4)
    assert torch.equal(look(image, pose(-1, 0, 0, 0, 1, 0)), image.flip(3))
    assert torch.equal(look(image, pose(1, 0, 0, 0, -1, 0)), image.flip(2))
    assert torch.equal(look(image, pose(0, 1, 0, 1, 0, 0)), image.transpose(2, 3))
    assert torch.equal(look(image, pose(0, 1, 0, -1, 0, 0)), image.rot90(-1, (2, 3)))
    right, down = look(image, pose(1, 0, 0.5, 0, 1, 0)), look(image, pose(1, 0, 0, 0, 1, 0.5))  # one pixel of four
    assert torch.equal(right, F.pad(image[..., 1:], (0, 1)))
    assert torch.equal(down, F.pad(image[..., 1:, :], (0, 0, 0, 1)))


def test_a_window_of_half_the_size_is_cut_out_exactly():
    image = torch.arange(64.0, dtype=torch.float64).view(1, 1, 8, 8)
    seen = look(image, pose(0.5, 0, 0.25, 0, 0.5, -0.25), (4, 4))
    assert torch.equal(seen, image[:, :, 1:5, 3:7])


def test_outside_is_what_the_padding_says():
    image = torch.rand(1, 1, 4, 4, dtype=torch.float64)
    far = pose(1, 0, 5, 0, 1, 0)
    assert not look(image, far).any()
    assert torch.equal(look(image, far, padding="border"), image[..., -1:].expand_as(image))
    mirrored = look(image, pose(1, 0, 2, 0, 1, 0), padding="reflection")
    assert torch.equal(mirrored, image.flip(3))


@given(seed=seeds)
def test_the_inverse_takes_back(seed: int):
    poses, points = normal(seed, (4, 6), (5, 2))
    there = torch.stack([fast.transform(p[None], points)[0] for p in poses])
    back = torch.cat([fast.transform(fast.invert(p[None]), there[i]) for i, p in enumerate(poses)])
    worst = max(torch.linalg.cond(p.view(2, 3)[:, :2]).item() for p in poses)
    reach = float(there.abs().max() + poses.abs().max())
    # The adjugate and the determinant lose digits in proportion to the condition, twice in applying it.
    assert torch.allclose(back, points.expand_as(back), rtol=0, atol=64 * EPS * (1 + worst) ** 2 * (1 + reach))


def test_a_flat_pose_has_no_inverse():
    assert not fast.invert(pose(1, 2, 0, 2, 4, 0)).isfinite().any()


@corners
def test_gradients_are_those_of_finite_differences(align_corners: bool):
    image, poses = normal(5, (2, 2, 5, 4), (2, 6))
    base = fast.base_grid(3, 3, align_corners=align_corners, dtype=torch.float64)
    poses = IDENTITY + poses.tanh() / 3

    def run(image: Tensor, poses: Tensor) -> Tensor:
        return fast.sample(image, fast.grid(poses, base), align_corners=align_corners)

    assert torch.autograd.gradcheck(run, (image.requires_grad_(), poses.requires_grad_()))


def test_a_pose_moves_only_its_own_image():
    image, poses = normal(3, (3, 1, 4, 4), (3, 6))
    alone = torch.cat([look(image[i : i + 1], poses[i : i + 1]) for i in range(3)])
    assert_near(look(image, poses), alone, EXACT)
