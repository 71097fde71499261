"""Natural order, edit distance and suggestions."""

import string
from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from stawm.catalog.suggest import did_you_mean, edit_distance, natural_key, nearest

words = st.text(alphabet="abc-", max_size=6)


def naive_distance(a: str, b: str) -> int:
    """The definition: the cheapest of deleting, inserting, substituting and swapping at the ends."""

    @cache
    def d(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        best = min(d(i - 1, j) + 1, d(i, j - 1) + 1, d(i - 1, j - 1) + (a[i - 1] != b[j - 1]))
        if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
            best = min(best, d(i - 2, j - 2) + 1)
        return best

    return d(len(a), len(b))


@given(words, words)
def test_edit_distance_is_its_definition(a: str, b: str) -> None:
    assert edit_distance(a, b) == naive_distance(a, b) == edit_distance(b, a)


def test_numbers_in_names_count_as_numbers() -> None:
    names = ["draw-10", "draw-8", "draw", "a2b10", "a2b9", "draw-8b"]
    assert sorted(names, key=natural_key) == ["a2b9", "a2b10", "draw", "draw-8", "draw-8b", "draw-10"]


@given(st.lists(st.text(max_size=8)))
def test_any_names_can_be_ordered(names: list[str]) -> None:
    assert len(sorted(names, key=natural_key)) == len(names)


def test_every_name_one_slip_away_is_suggested() -> None:
    candidates = [f"stawm-{c}" for c in string.ascii_lowercase]
    assert nearest("stawm-", candidates, limit=2) == candidates
    assert nearest("stawm-", [*candidates, "another"], limit=2) == candidates


def test_case_and_hyphens_do_not_count() -> None:
    assert nearest("FAST_WEIGHTS", ["gated-delta", "fast-weights"]) == ["fast-weights"]


def test_far_names_are_not_suggested() -> None:
    assert nearest("crop", ["hebb-rosenblatt", "fast-weights"]) == []


def test_suggestions_as_a_sentence() -> None:
    assert did_you_mean([]) == ""
    assert did_you_mean(["a", "b"]) == " Did you mean 'a' or 'b'?"
