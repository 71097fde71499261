"""The thumbnail against its twin, and against what a mean of areas must be."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stawm.core import thumbnail as fast
from stawm.core.naive import thumbnail as naive
from tests.core.twins import EXACT, assert_twins
from tests.strategies import assert_near, normal, seeds

sides = st.integers(3, 9)


@settings(max_examples=15)
@given(seed=seeds, height=sides, width=sides, side=st.integers(1, 3))
@example(seed=0, height=8, width=4, side=3)
def test_a_thumbnail_is_its_twin(seed: int, height: int, width: int, side: int):
    (image,) = normal(seed, (2, 2, height, width))
    assert_twins(lambda x: (fast.shrink(x, side),), lambda x: (naive.shrink(x, side),), image)


@given(seed=seeds, height=st.integers(12, 300), width=st.integers(12, 300))
def test_the_mean_of_a_thumbnail_is_that_of_the_image(seed: int, height: int, width: int):
    (image,) = normal(seed, (1, 1, height, width))
    assert_near(fast.shrink(image, 12).mean(), image.mean(), EXACT)


@pytest.mark.parametrize("times", [1, 2, 3, 5, 8, 341])
def test_where_pixels_divide_it_is_the_mean_of_blocks(times: int):
    (image,) = normal(1, (1, 2, 12 * times, 12))
    assert_near(fast.shrink(image, 12), F.avg_pool2d(image, (times, 1)), EXACT)


def test_single_precision_loses_no_more_than_a_few_digits_on_a_large_image():
    (image,) = normal(2, (1, 1, 4096, 33))
    # F has the size of 4096 pixels and a window 1/32 of that: its ends, rounded once each, differ by 32 times more.
    bound = 8 * 32 * torch.finfo(torch.float32).eps * float(image.abs().max())
    assert_near(fast.shrink(image.float(), 32).double(), fast.shrink(image, 32), bound)
