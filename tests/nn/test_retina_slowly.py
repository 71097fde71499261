"""The retina against patches that are cut pixel by pixel (Mnih et al. 2014, section 3.1)."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from stawm.nn.locators.retina import Retina
from tests.strategies import assert_near, normal, seeds

SIDE, GLIMPSE = 32, 4


def patches(image: Tensor, left: int, top: int, scales: int) -> Tensor:
    """Cut a patch, one twice as wide around it and so on; bring all to one size by means; outside it is black."""
    channels, side, _ = image.shape
    found = []
    for scale in range(scales):
        block = 2**scale
        x0, y0 = left - GLIMPSE * (block - 1) // 2, top - GLIMPSE * (block - 1) // 2
        patch = torch.zeros(channels, GLIMPSE, GLIMPSE, dtype=image.dtype)
        for i in range(GLIMPSE * block):
            for j in range(GLIMPSE * block):
                y, x = y0 + i, x0 + j
                if 0 <= x < side and 0 <= y < side:
                    patch[:, i // block, j // block] += image[:, y, x] / block**2
        found.append(patch)
    return torch.cat(found)


@settings(max_examples=15)
@given(seed=seeds, scales=st.integers(1, 3), column=st.integers(0, 7), row=st.integers(0, 7))
def test_the_retina_is_its_slow_twin(seed: int, scales: int, column: int, row: int):
    (image,) = normal(seed, (1, 2, SIDE, SIDE))
    config = Retina.Config(scales=scales, width=GLIMPSE / SIDE, antialias=True)
    retina = Retina(config, glimpse_size=GLIMPSE, image_size=(SIDE, SIDE)).double()
    left, top = GLIMPSE * column - 2 * (scales > 1), GLIMPSE * row - 2 * (scales > 1)  # where cells of all scales meet
    place = torch.tensor([[2 * (corner + GLIMPSE / 2) / SIDE - 1 for corner in (left, top)]], dtype=torch.float64)
    assert_near(retina.glimpse(image, place)[0], patches(image[0], left, top, scales), 1e-12)


@pytest.mark.parametrize("scales", [2, 3, 4])
def test_scales_nest(scales: int):
    """Each view's middle is the view before at half the resolution, and its frame twice as wide around the same."""
    (image,) = normal(0, (1, 1, 64, 64))
    config = Retina.Config(scales=scales, width=8 / 64, antialias=True)
    retina = Retina(config, glimpse_size=8, image_size=(64, 64)).double()
    pose = torch.zeros(1, 2, dtype=torch.float64)
    views = retina.glimpse(image, pose).unflatten(1, (scales, 1))[0]
    frames = retina.frames(pose)[0]
    for scale in range(scales - 1):
        coarse = torch.nn.functional.avg_pool2d(views[scale], 2)
        assert_near(views[scale + 1][:, 2:6, 2:6], coarse, 1e-12)
        assert_near(frames[scale + 1], 2 * frames[scale], 1e-12)
