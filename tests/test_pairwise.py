"""A pairwise cover holds every pair, in few combinations, and is the same every time."""

from itertools import combinations, product

from hypothesis import given
from hypothesis import strategies as st

from tests.pairwise import cover

SIZES = st.lists(st.integers(1, 6), min_size=2, max_size=5)


@given(SIZES)
def test_every_two_values_of_different_choices_meet(sizes: list[int]):
    choices = {f"c{i}": [f"{i}{k}" for k in range(size)] for i, size in enumerate(sizes)}
    found = cover(**choices)
    assert all(made.keys() == choices.keys() for made in found)
    for a, b in combinations(choices, 2):
        assert {(made[a], made[b]) for made in found} == set(product(choices[a], choices[b]))


@given(SIZES)
def test_it_takes_no_more_than_twice_as_many_as_the_two_longest_choices_need(sizes: list[int]):
    *_, shorter, longer = sorted(sizes)
    found = cover(**{f"c{i}": range(size) for i, size in enumerate(sizes)})
    assert shorter * longer <= len(found) <= max(2 * shorter * longer, 1)


def test_it_is_the_same_every_time_and_takes_values_that_are_equal_for_two():
    choices = {"a": [{}, {}], "b": [1, 2, 3], "c": "xy"}
    assert cover(**choices) == cover(**choices)
    assert len(cover(**choices)) == 6
