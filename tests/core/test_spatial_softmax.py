"""Spatial softmax against its twin, and where its points are."""

from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stawm.core import spatial_softmax as fast
from stawm.core.naive import spatial_softmax as naive
from tests.core.twins import assert_twins
from tests.strategies import assert_near, normal, seeds


@settings(max_examples=10)
@given(seed=seeds, height=st.integers(1, 4), width=st.integers(1, 4), temperature=st.floats(0.2, 5))
def test_points_are_their_twins(seed: int, height: int, width: int, temperature: float):
    (maps,) = normal(seed, (2, 3, height, width))
    warm = torch.tensor(temperature, dtype=torch.float64)

    def both(module: Any) -> Any:
        return lambda a, t: tuple(module.points(a, t))

    assert_twins(both(fast), both(naive), maps, warm)


def test_a_point_is_where_the_map_is_brightest_when_it_is_cold():
    maps = torch.zeros(1, 1, 4, 8, dtype=torch.float64)
    maps[0, 0, 1, 6] = 5
    found = fast.points(maps, torch.tensor(0.01, dtype=torch.float64))
    assert_near(torch.cat(found), torch.tensor([[13 / 8 - 1], [3 / 4 - 1], [5.0]], dtype=torch.float64), 1e-9)


@given(seed=seeds)
def test_a_shifted_map_has_a_shifted_point(seed: int):
    (small,) = normal(seed, (1, 1, 2, 3))
    maps = torch.full((2, 1, 6, 8), -1e3, dtype=torch.float64)
    maps[0, :, 1:3, 1:4], maps[1, :, 3:5, 4:7] = small[0], small[0]
    x, y, value = fast.points(maps, torch.tensor(1.0, dtype=torch.float64))
    assert_near(x[1] - x[0], torch.tensor([3 * 2 / 8], dtype=torch.float64), 1e-9)
    assert_near(y[1] - y[0], torch.tensor([2 * 2 / 6], dtype=torch.float64), 1e-9)
    assert_near(value[1], value[0], 1e-9)
