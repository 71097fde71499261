"""The bound on how much more one way errs than another: what it counts, how it moves, how often it holds."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stawm.errors import InputError
from stawm.training.paired import check_certainty, least_images, more_errors

counts = st.integers(0, 40)


@given(counts, counts, st.floats(0.5, 0.999))
def test_it_is_never_less_than_was_counted_and_grows_with_certainty(lost: int, won: int, certainty: float):
    bound = more_errors(lost, won, 1000, certainty)
    assert (lost - won) / 1000 <= bound <= 1
    assert bound <= more_errors(lost, won, 1000, min(0.9999, certainty + 0.0005))
    assert bound < more_errors(lost + 1, won, 1000, certainty)


@given(st.floats(1e-4, 0.2), st.floats(0.6, 0.999))
def test_fewer_images_than_the_least_cannot_show_it(share: float, certainty: float):
    least = least_images(share, certainty)
    assert more_errors(0, 0, least, certainty) <= share + 1e-12
    assert least == 1 or more_errors(0, 0, least - 1, certainty) > share - 1e-12


def test_it_holds_about_as_often_as_it_says():
    """Of 2,000 draws of 5,000 images of which 0.3 % are lost and 0.1 % won, the truth is 0.2 points."""
    kinds = torch.multinomial(
        torch.tensor([0.996, 0.003, 0.001]), 2000 * 5000, replacement=True, generator=torch.Generator().manual_seed(0)
    ).view(2000, 5000)
    lost, won = (kinds == 1).sum(dim=1).tolist(), (kinds == 2).sum(dim=1).tolist()
    held = sum(more_errors(a, b, 5000, 0.95) >= 0.002 for a, b in zip(lost, won, strict=True)) / 2000
    assert abs(held - 0.95) < 5 * (0.95 * 0.05 / 2000) ** 0.5, "five standard deviations of so many draws"


@pytest.mark.parametrize("certainty", [0.4, 1.0, 1.5, float("nan")])
def test_what_is_no_certainty_is_refused(certainty: float):
    with pytest.raises(InputError, match=r"certainty must be a probability from 0\.5 to below 1"):
        check_certainty(certainty)
