"""Pairs of answers: against their twin, and as probabilities."""

from functools import partial
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stawm.core import pairs as fast
from stawm.core.naive import pairs as naive
from stawm.training.data.scene_config import SceneConfig
from tests.core.twins import EXACT, assert_twins
from tests.strategies import assert_near, normal, seeds


@given(seed=seeds, k=st.integers(1, 5))
def test_pairs_are_their_twin(seed: int, k: int):
    def call(module: Any, x: Tensor, y: Tensor) -> tuple[Tensor]:
        return (module.log_pairs(x.log_softmax(-1), y.log_softmax(-1)),)

    assert_twins(partial(call, fast), partial(call, naive), *normal(seed, (3, k), (3, k)))


@given(seed=seeds, k=st.integers(1, 12))
def test_they_are_probabilities_and_know_no_order(seed: int, k: int):
    first, second = (x.log_softmax(-1) for x in normal(seed, (3, k), (3, k)))
    found = fast.log_pairs(first, second)
    assert_near(found.exp().sum(-1), torch.ones(3, dtype=torch.float64), EXACT)
    assert_near(found, fast.log_pairs(second, first), EXACT)


def test_they_are_numbered_as_scenes_number_them():
    scenes = SceneConfig(digits=2, target="pair")
    labels = torch.tensor([[a, b] for a in range(10) for b in range(10)])
    numbers = scenes.answers(labels, 10)
    for (a, b), number in zip(labels.tolist(), numbers.tolist(), strict=True):
        sure = [torch.full((10,), -40.0, dtype=torch.float64).index_fill(0, torch.tensor(x), 0.0) for x in (a, b)]
        assert fast.log_pairs(*sure).argmax().item() == number
