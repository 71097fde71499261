"""Augmentation does what its fields say, and no more."""

import math
from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from stawm.training.data.augment import Augmentation, augment, jitter, random_poses, random_warp


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def in_pixels(poses: torch.Tensor, h: int, w: int) -> torch.Tensor:
    """The linear part of a pose between pixel coordinates, where turns keep angles."""
    scale = torch.tensor([w, h], dtype=poses.dtype)
    return poses[:, :, :2] * scale[:, None] / scale[None, :]


def test_nothing_is_changed_by_default():
    images = torch.rand(4, 3, 7, 5)
    assert torch.equal(augment(images, Augmentation()), images)


@given(st.integers(0, 2**31), st.floats(1, 180), st.integers(2, 9), st.integers(2, 9))
def test_a_turn_is_a_turn_no_further_than_allowed(seed: int, rotation: float, h: int, w: int):
    like = torch.zeros((), dtype=torch.float64)
    poses = random_poses(20, (h, w), Augmentation(rotation=rotation), generator(seed), like)
    turns = in_pixels(poses, h, w)
    identity = torch.eye(2, dtype=torch.float64).expand(20, 2, 2)
    torch.testing.assert_close(turns @ turns.transpose(1, 2), identity, rtol=0, atol=1e-12)
    angles = torch.atan2(turns[:, 1, 0], turns[:, 0, 0]).abs()
    assert angles.max() <= math.radians(rotation) * (1 + 1e-12)
    assert torch.linalg.det(turns).min() > 0
    assert not poses[:, :, 2].any()


@given(st.integers(0, 2**31), st.floats(0.01, 0.9))
def test_scale_changes_all_directions_alike(seed: int, scale: float):
    poses = random_poses(20, (8, 5), Augmentation(scale=scale), generator(seed), torch.zeros((), dtype=torch.float64))
    factors = in_pixels(poses, 8, 5)[:, 0, 0]
    assert torch.allclose(in_pixels(poses, 8, 5), factors[:, None, None] * torch.eye(2, dtype=torch.float64))
    assert (1 / factors >= 1 - scale - 1e-12).all()
    assert (1 / factors <= 1 + scale + 1e-12).all()


def test_images_grow_as_often_as_they_shrink():
    poses = random_poses(500, (8, 5), Augmentation(scale=0.3), generator(), torch.zeros((), dtype=torch.float64))
    factors = 1 / poses[:, 0, 0]
    assert 0.7 <= factors.min() < 0.72
    assert 1.28 < factors.max() <= 1.3


def test_every_whole_shift_of_a_crop_is_as_likely():
    poses = random_poses(2500, (8, 5), Augmentation(crop=2), generator(), torch.zeros((), dtype=torch.float64))
    for shifts, side in zip(poses[:, :, 2].T, (5, 8), strict=True):
        pixels = (shifts * side / 2).round().long() + 2
        assert (torch.bincount(pixels, minlength=5) - 500).abs().max() < 120  # 500 of each, six deviations of 20


def test_shear_keeps_areas():
    poses = random_poses(500, (8, 5), Augmentation(shear=30), generator(), torch.zeros((), dtype=torch.float64))
    sheared = in_pixels(poses, 8, 5)
    torch.testing.assert_close(torch.linalg.det(sheared), torch.ones(500, dtype=torch.float64))
    angles = sheared[:, 0, 1].atan().rad2deg()
    assert -30 <= angles.min() < -28
    assert 28 < angles.max() <= 30  # that 500 angles stay below 28 has a chance of (29/30)^500 = 4e-8


@given(st.integers(0, 2**31), st.floats(0, 90), st.booleans())
def test_a_mirrored_turn_keeps_right_angles(seed: int, rotation: float, flip: bool):
    like = torch.zeros((), dtype=torch.float64)
    found = in_pixels(random_poses(30, (7, 4), Augmentation(rotation=rotation, flip=flip), generator(seed), like), 7, 4)
    identity = torch.eye(2, dtype=torch.float64).expand(30, 2, 2)
    torch.testing.assert_close(found @ found.transpose(1, 2), identity, rtol=0, atol=1e-12)
    assert (torch.linalg.det(found) < 0).any() == flip


def test_a_shift_is_no_further_than_allowed():
    poses = random_poses(500, (8, 4), Augmentation(shift=0.25), generator(), torch.zeros(()))
    assert 0.4 < poses[:, :, 2].abs().max() <= 0.5
    assert torch.equal(poses[:, :, :2], torch.eye(2).expand(500, 2, 2))


def test_a_crop_is_a_shift_by_whole_pixels():
    images = torch.rand(200, 2, 9, 6, dtype=torch.float64)
    cropped = augment(images, Augmentation(crop=2), generator())
    padded = F.pad(images, (2, 2, 2, 2))
    found = set()
    for i in range(len(images)):
        shifts = [
            (dy, dx)
            for dy in range(5)
            for dx in range(5)
            if torch.allclose(padded[i, :, dy : dy + 9, dx : dx + 6], cropped[i], atol=1e-12, rtol=0)
        ]
        assert len(shifts) == 1
        found.add(shifts[0])
    assert len(found) == 25


def test_half_of_the_images_are_mirrored():
    images = torch.rand(400, 1, 3, 4, dtype=torch.float64)
    flipped = augment(images, Augmentation(flip=True), generator())
    same = [torch.allclose(a, b, atol=1e-12, rtol=0) for a, b in zip(flipped, images, strict=True)]
    mirrored = [torch.allclose(a, b.flip(-1), atol=1e-12, rtol=0) for a, b in zip(flipped, images, strict=True)]
    assert all(a != b for a, b in zip(same, mirrored, strict=True))
    assert 140 < sum(mirrored) < 260  # six standard deviations of 400 fair coins


@pytest.mark.parametrize("channels", [1, 3])
def test_jitter_changes_brightness_contrast_and_saturation_within_reach(channels: int):
    images = torch.full((300, channels, 2, 2), 0.4, dtype=torch.float64)
    changed = jitter(images, 0.25, generator())
    factors = changed / 0.4  # uniform images have no contrast and no saturation: brightness is all that shows
    assert 0.75 <= factors.min() < 0.78
    assert 1.22 < factors.max() <= 1.25
    bright = torch.rand(50, channels, 4, 4)
    assert jitter(bright, 1.0, generator()).min() >= 0
    assert jitter(bright, 1.0, generator()).max() <= 1


def test_jitter_without_reach_changes_nothing():
    images = torch.rand(5, 3, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(jitter(images, 0.0, generator()), images, rtol=0, atol=1e-15)


def test_each_image_has_its_own_amounts_and_a_seed_repeats_them():
    images = torch.rand(1, 3, 8, 8).expand(6, 3, 8, 8)
    everything = Augmentation(rotation=20, shift=0.1, scale=0.1, shear=5, crop=1, flip=True, jitter=0.2)
    changed = augment(images, everything, generator(3))
    assert torch.equal(changed, augment(images, everything, generator(3)))
    assert len({tuple(image.flatten().tolist()) for image in changed}) == 6
    assert not torch.equal(changed, augment(images, everything, generator(4)))


def test_a_warp_is_smooth_and_as_large_as_asked():
    images = torch.zeros(400, 1, 28, 28, dtype=torch.float64)
    warp = random_warp(images, 0.03, generator())
    knots = warp[:, ::27, ::27].flatten()  # the corners are points of the lattice: Gaussian, of deviation 2 * 0.03
    assert abs(knots.std().item() - 0.06) < 4 * 0.06 / math.sqrt(2 * len(knots))
    assert warp.diff(dim=1).square().mean() < warp.square().mean() / 10


def test_a_warp_bends_between_the_points_of_its_lattice_too():
    """Bicubic: a bilinear one would be straight there, and have a kink at each."""
    warp = random_warp(torch.zeros(20, 1, 41, 41, dtype=torch.float64), 0.03, generator())
    bent = warp.diff(n=2, dim=2).abs() > 1e-6
    assert bent.double().mean() > 0.9


def test_a_warp_moves_what_it_displaces():
    ramp = torch.linspace(0, 1, 32, dtype=torch.float64).view(1, 1, 1, 32).expand(5, 1, 32, 32)
    warped = augment(ramp, Augmentation(elastic=0.02), generator(3))
    random_poses(5, (32, 32), Augmentation(), replay := generator(3), ramp)
    displaced = ramp + 32 / 31 * random_warp(ramp, 0.02, replay)[:, None, :, :, 0] / 2
    inner = (slice(None), slice(None), slice(8, -8), slice(8, -8))
    torch.testing.assert_close(warped[inner], displaced[inner], rtol=0, atol=1e-9)


@pytest.mark.parametrize("resampling", ["bilinear", "nearest", "bicubic"])
def test_resampling_keeps_to_what_there_is(resampling: Literal["bilinear", "nearest", "bicubic"]):
    images = torch.rand(6, 1, 9, 9)
    turned = augment(images, Augmentation(rotation=20, resampling=resampling), generator())
    assert 0 <= turned.min() <= turned.max() <= 1
    copied = torch.isin(turned, torch.cat([images.flatten(), torch.zeros(1)])).all()
    assert copied == (resampling == "nearest")


def test_bilinear_blurs_and_the_others_do_not():
    """By the energy of the differences of neighbours, of which bilinear loses a third, as it does of digits."""
    images = torch.rand(20, 1, 40, 40, generator=generator())

    def energy(x: torch.Tensor) -> float:
        inner = x[:, :, 12:-12, 12:-12]  # what a turn does not bring in from outside
        return (inner.diff(dim=2).square().mean() + inner.diff(dim=3).square().mean()).item() / energy_before

    energy_before = 1.0
    energy_before = energy(images)
    found = {}
    for how in ("bilinear", "nearest", "bicubic"):
        found[how] = energy(augment(images, Augmentation(rotation=20, resampling=how), generator(1)))
    assert found["bilinear"] < 0.7 * found["bicubic"]
    assert 0.9 < found["nearest"] < 1.1
