"""Brightness, contrast and saturation change by a factor each, as torchvision's functions change them."""

from itertools import permutations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torchvision.transforms.functional import (
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
    rgb_to_grayscale,
)

from stawm.training.data import augment as augmentation
from stawm.training.data.augment import Augmentation, _turn_hue, augment, jitter, jitter_colours

REACH = 0.25
COUNT = 300
ROUNDED = 1e-4
"""By how much torchvision's weight of red, 0.2989, differs from BT.601's 0.299."""
LEVELS = torch.tensor([0.3, 0.4, 0.55], dtype=torch.float64)
HUES = torch.tensor([[0.50, 0.30, 0.25], [0.20, 0.65, 0.35]], dtype=torch.float64)


def drawn(image: Tensor) -> Tensor:
    return jitter(image.expand(COUNT, -1, -1, -1), REACH, torch.Generator().manual_seed(0))


def assert_spread(factors: Tensor) -> None:
    """Factors reach from 1 - REACH to 1 + REACH, and keep away from no part of it."""
    assert ((factors - 1).abs() <= REACH * (1 + 1e-2)).all()
    counts = torch.histc(factors, 10, 1 - REACH, 1 + REACH)
    assert counts.min() > 5, "each tenth of the range holds 30 of 300 on average, with a deviation of 5.2"


def assert_apart(*factors: Tensor) -> None:
    off = torch.corrcoef(torch.stack(factors)) - torch.eye(len(factors))
    assert off.abs().max() < 6 / COUNT**0.5


def test_a_grey_image_changes_in_brightness_and_contrast():
    image = LEVELS.view(1, 1, 1, 3)
    changed = drawn(image)
    brightness = changed.mean(dim=(1, 2, 3)) / LEVELS.mean()
    contrast = (changed[:, 0, 0, 1] - changed[:, 0, 0, 0]) / (brightness * (LEVELS[1] - LEVELS[0]))
    for one, b, c in zip(changed, brightness.tolist(), contrast.tolist(), strict=True):
        expected = adjust_contrast(adjust_brightness(image[0], b), c)
        torch.testing.assert_close(one, expected, rtol=0, atol=1e-12)
    assert_spread(brightness)
    assert_spread(contrast)
    assert_apart(brightness, contrast)


def test_a_colour_image_changes_in_saturation_too():
    image = HUES.T.reshape(1, 3, 1, 2)
    grey, changed = rgb_to_grayscale(image)[0, 0, 0], drawn(image)
    greys = rgb_to_grayscale(changed)[:, 0, 0]
    brightness = greys.mean(dim=1) / grey.mean()
    contrast = (greys[:, 0] - greys[:, 1]) / (brightness * (grey[0] - grey[1]))
    of_hue = (changed[:, 0, 0, 0] - changed[:, 1, 0, 0]) / (HUES[0, 0] - HUES[0, 1])
    saturation = of_hue / (brightness * contrast)
    for one, b, c, s in zip(changed, brightness.tolist(), contrast.tolist(), saturation.tolist(), strict=True):
        expected = adjust_saturation(adjust_contrast(adjust_brightness(image[0], b), c), s)
        torch.testing.assert_close(one, expected, rtol=0, atol=5 * ROUNDED)
    for factors in (brightness, contrast, saturation):
        assert_spread(factors)
    assert_apart(brightness, contrast, saturation)


def test_what_becomes_too_bright_is_cut_off_before_the_next_change():
    """The factors are those of a dark image of the same form under the same generator."""
    dark, bright = (image.view(1, 1, 1, 3) for image in (LEVELS, LEVELS + 0.44))
    changed, seen = drawn(dark), drawn(bright)
    brightness = changed.mean(dim=(1, 2, 3)) / LEVELS.mean()
    contrast = (changed[:, 0, 0, 1] - changed[:, 0, 0, 0]) / (brightness * (LEVELS[1] - LEVELS[0]))
    for one, b, c in zip(seen, brightness.tolist(), contrast.tolist(), strict=True):
        expected = adjust_contrast(adjust_brightness(bright[0], b), c)
        torch.testing.assert_close(one, expected, rtol=0, atol=1e-12)
    assert (seen == 1).any()


@given(st.integers(0, 2**31), st.floats(-0.5, 0.5))
def test_a_hue_turns_as_torchvision_turns_it(seed: int, turn: float):
    images = torch.rand(2, 3, 3, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    images[0, :, 0, 0] = 0.5  # grey has no hue
    expected = adjust_hue(images, turn)
    got = _turn_hue(images, torch.full((2, 1, 1, 1), turn, dtype=torch.float64))
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)  # torchvision counts hues in single precision


def test_hues_are_jittered_from_the_circle_and_greys_stay_grey():
    colours = jitter_colours(HUES.T.reshape(1, 3, 1, 2).expand(COUNT, -1, -1, -1), 0.0, 0.25, generator())
    greens = colours[:, 1, 0, 0]  # a red whose hue turns by up to a quarter either way
    assert 0.5 >= greens.max() > 0.49
    assert greens.min() >= 0.25 - 1e-9
    grey = torch.full((4, 3, 2, 2), 0.4, dtype=torch.float64)
    assert torch.allclose(jitter_colours(grey, 0.0, 0.5, generator()), grey)


def test_every_order_of_changes_comes_up(monkeypatch: pytest.MonkeyPatch):
    for digit, name in enumerate(("_brighten", "_contrast", "_saturate", "_turn_hue"), 1):
        monkeypatch.setattr(augmentation, name, lambda images, _, digit=digit: 10 * images + digit)
    found = jitter_colours(torch.zeros(COUNT, 3, 1, 1), 0.1, 0.1, generator())
    orders = {int("".join(map(str, order))) for order in permutations((1, 2, 3, 4))}
    assert {*found.flatten().int().tolist()} == orders


def test_a_grey_image_has_no_hue_to_jitter():
    images = torch.rand(5, 1, 4, 4)
    with_hue, without = (augment(images, Augmentation(jitter=0.2, hue=hue), generator()) for hue in (0.3, 0.0))
    assert torch.equal(with_hue, without)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
