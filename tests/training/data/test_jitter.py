"""Brightness, contrast and saturation change by a factor each, as torchvision's functions change them."""

import torch
from torch import Tensor
from torchvision.transforms.functional import adjust_brightness, adjust_contrast, adjust_saturation, rgb_to_grayscale

from stawm.training.data.augment import jitter

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
