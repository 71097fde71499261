"""Dice: numbers that belong to a key, whatever is rolled beside it."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stawm.training.data.dice import Dice, keys

PUBLISHED = (0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F)
"""What SplitMix64 gives first of seed 0, by its authors' code."""


def test_the_numbers_are_those_of_splitmix64():
    rolled = Dice(torch.zeros(1, dtype=torch.int64)).uniform(3)
    assert rolled[0].tolist() == [(bits >> 11) * 2.0**-53 for bits in PUBLISHED]


@settings(max_examples=10)
@given(st.integers(0, 2**64), st.integers(0, 1000), st.lists(st.integers(0, 50), min_size=1, unique=True))
def test_a_key_belongs_to_its_thing_alone(seed: int, epoch: int, some: list[int]):
    whole = keys(seed, epoch, torch.arange(51))
    assert torch.equal(whole[some], keys(seed, epoch, torch.tensor(some)))
    assert len(whole.unique()) == 51
    assert torch.equal(Dice(whole).uniform(2, 3)[some], Dice(whole[some]).uniform(2, 3))


def test_seed_and_epoch_decide():
    index = torch.arange(9)
    found = [keys(seed, epoch, index) for seed, epoch in ((0, 0), (0, 1), (1, 0), (1, 1))]
    assert len(torch.cat(found).unique()) == 36


def test_each_roll_is_new_and_they_are_uniform():
    dice = Dice(keys(0, 0, torch.arange(2000)))
    first, second = dice.uniform(5), dice.uniform(5)
    assert not (first == second).any()
    numbers = torch.cat([first, second]).flatten()
    assert 0 <= numbers.min() < numbers.max() < 1
    deviation = (1 / 12 / len(numbers)) ** 0.5  # of the mean of as many numbers
    assert abs(numbers.mean() - 0.5) < 5 * deviation
    between = torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1]
    assert abs(between) < 5 * first.numel() ** -0.5


def test_whole_numbers_are_below_their_bounds_and_reach_all():
    rolled = Dice(keys(3, 0, torch.arange(500))).below(torch.tensor([1, 2, 7]), 3)
    assert [column.unique().tolist() for column in rolled.T] == [[0], [0, 1], [*range(7)]]
