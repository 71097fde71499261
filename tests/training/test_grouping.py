"""Groups of pixels: compared pair by pair, and found by moving one centre at a time."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stawm.training.grouping import ROUNDS, adjusted_rand, k_means

GROUPS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=2, max_size=10)


def naive_rand(found: list[int], true: list[int]) -> float:
    together = alone = other = pairs = 0
    for a, b in itertools.combinations(range(len(found)), 2):
        same, truly = found[a] == found[b], true[a] == true[b]
        together, alone, other, pairs = together + (same and truly), alone + same, other + truly, pairs + 1
    expected, most = alone * other / pairs, (alone + other) / 2
    return 1.0 if most == expected else (together - expected) / (most - expected)


@given(GROUPS)
def test_agreement_is_counted_over_pairs(points: list[tuple[int, int]]):
    found, true = (torch.tensor([groups]) for groups in zip(*points, strict=True))
    expected = naive_rand(found[0].tolist(), true[0].tolist())
    assert adjusted_rand(found, true).item() == pytest.approx(expected, abs=1e-12)
    assert adjusted_rand(found * 7 % 11, true).item() == pytest.approx(expected, abs=1e-12)


def test_a_grouping_agrees_with_itself_and_not_with_chance():
    generator = torch.Generator().manual_seed(0)
    true, other = torch.randint(3, (2, 1, 5000), generator=generator)
    assert adjusted_rand(true, true).item() == 1
    assert abs(adjusted_rand(other, true).item()) < 0.01  # a standard deviation of about 2 / 5000


def test_a_single_figure_makes_the_index_of_figures_trivial():
    """Why ARI is of all pixels where there is one figure: 1 where it is whole, else 0."""
    one = torch.zeros(2, 6, dtype=torch.long)
    assert adjusted_rand(torch.tensor([[1] * 6, [0] * 5 + [1]]), one).tolist() == [1, 0]


def naive_k_means(points: list[list[float]], count: int) -> list[int]:
    def distance(a: list[float], b: list[float]) -> float:
        return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))

    mean = [sum(axis) / len(points) for axis in zip(*points, strict=True)]
    centres = [min(points, key=lambda point: distance(point, mean))]
    while len(centres) < count:
        centres.append(max(points, key=lambda point: min(distance(point, centre) for centre in centres)))
    for _ in range(ROUNDS + 1):
        groups = [min(range(count), key=lambda k: distance(point, centres[k])) for point in points]
        for k in range(count):
            within = [point for point, group in zip(points, groups, strict=True) if group == k]
            if within:
                centres[k] = [sum(axis) / len(within) for axis in zip(*within, strict=True)]
    return groups


@pytest.mark.parametrize("count", [1, 2, 4])
def test_groups_are_those_of_the_slow_way(count: int):
    points = torch.rand(3, 40, 5, generator=torch.Generator().manual_seed(count), dtype=torch.float64)
    assert k_means(points, count).tolist() == [naive_k_means(each.tolist(), count) for each in points]
    assert torch.equal(k_means(points, count)[1], k_means(points[1:2], count)[0])


def test_groups_that_stand_apart_are_found_and_spare_ones_stay_empty():
    places = torch.tensor([0.0, 0.0, 5.0, 5.0, 9.0])[None, :, None]
    assert adjusted_rand(k_means(places, 3), torch.tensor([[0, 0, 1, 1, 2]])).item() == 1
    assert len(k_means(torch.zeros(1, 4, 2), 3).unique()) == 1
