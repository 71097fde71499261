"""Slot attention against its twin, and what holds of it for any slots."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stawm.core import slots as fast
from stawm.core.naive import slots as naive
from tests.core.twins import EXACT, assert_twins
from tests.strategies import assert_near, normal, seeds

few = st.integers(1, 3)


def both(call: Callable[..., Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The same call to the functions and to their twins."""
    return partial(call, fast), partial(call, naive)


@settings(max_examples=5, deadline=None)
@given(seed=seeds, n=st.integers(2, 3), p=st.integers(2, 4), d=few)
def test_functions_are_their_twins(seed: int, n: int, p: int, d: int):
    queries, keys, values = normal(seed, (2, n, d), (2, p, d), (2, p, d))
    pictures, alphas = normal(seed + 1, (2, n, d, 1, p), (2, n, 1, 1, p))
    assert_twins(*both(lambda m, q, k: (m.attend(q, k),)), queries, keys)
    assert_twins(*both(lambda m, a, v: (m.gather(a, v),)), fast.attend(queries, keys), values)
    assert_twins(*both(lambda m, u, a: m.blend(u, a)), pictures, alphas)


@settings(max_examples=20)
@given(seed=seeds, n=few, p=st.integers(1, 6), d=few)
def test_a_place_is_shared_out_whole_and_slots_have_no_order(seed: int, n: int, p: int, d: int):
    queries, keys, values = normal(seed, (2, n, d), (2, p, d), (2, p, d))
    shares, order = fast.attend(queries, keys), torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    assert_near(shares.sum(dim=1), torch.ones(2, p, dtype=shares.dtype), EXACT)
    assert_near(fast.attend(queries[:, order], keys), shares[:, order], EXACT)
    assert_near(fast.gather(shares[:, order], values), fast.gather(shares, values)[:, order], EXACT)


@settings(max_examples=20)
@given(seed=seeds, n=few, p=st.integers(1, 6), d=few)
def test_what_a_slot_is_given_lies_within_the_values_also_where_it_won_nothing(seed: int, n: int, p: int, d: int):
    (values,) = normal(seed, (2, p, d))
    given_to = fast.gather(torch.zeros(2, n, p, dtype=values.dtype), values)
    assert_near(given_to, values.mean(dim=1, keepdim=True).expand(-1, n, -1), EXACT)


@settings(max_examples=20)
@given(seed=seeds, n=few)
def test_masks_share_out_every_pixel_and_equal_pictures_stay_as_they_are(seed: int, n: int):
    picture, alphas = normal(seed, (2, 1, 3, 2, 2), (2, n, 1, 2, 2))
    blended, masks = fast.blend(picture.expand(-1, n, -1, -1, -1), alphas)
    assert_near(masks.sum(dim=1), torch.ones(2, 1, 2, 2, dtype=masks.dtype), EXACT)
    assert_near(blended, picture[:, 0], EXACT)
