"""What values annotations allow."""

import math
from typing import Annotated, Any, Literal, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stawm.configuration.fields import (
    AT_LEAST_ONE,
    FRACTION,
    NON_NEGATIVE,
    POSITIVE,
    Interval,
    coerce,
    describe_hint,
    fits,
)


@pytest.mark.parametrize(
    ("interval", "inside", "outside"),
    [
        (POSITIVE, [5e-324, 1, 1e308], [0, -1, math.inf, math.nan]),
        (NON_NEGATIVE, [0, 0.0, 7], [-5e-324, math.inf, math.nan]),
        (FRACTION, [0, 0.5, 1], [-0.1, 1.0000001, math.nan]),
        (AT_LEAST_ONE, [1, 10**9], [0, -1, 10**400]),
        (Interval(0, 1, open_high=True), [0, 0.999], [1]),
        (Interval(), [0, -1e300], [math.inf, -math.inf, math.nan]),
    ],
)
def test_intervals(interval: Interval, inside: list[float], outside: list[float]) -> None:
    assert all(x in interval for x in inside)
    assert not any(x in interval for x in outside)


def test_intervals_in_words() -> None:
    assert str(FRACTION) == "[0, 1]"
    assert str(POSITIVE) == "(0, inf)"
    assert str(Interval()) == "(-inf, inf)"
    assert str(Interval(0, 1, open_high=True)) == "[0, 1)"
    assert str(Interval(0.25, 2**32 - 1)) == "[0.25, 4294967295]", "whole numbers are written whole"


FRACTION_OR_NULL = Optional[Annotated[float, FRACTION]]  # noqa: UP045  (Annotated has no | for the checker)

FITTING: list[tuple[Any, list[Any], list[Any]]] = [
    (int, [0, -3, 10**30], [True, 1.0, "1", None]),
    (float, [0, 1.5, -2], [True, math.nan, math.inf, 10**400, "1", None]),
    (bool, [True, False], [0, 1, "true", None]),
    (str, ["", "x"], [1, None, b"x"]),
    (FRACTION_OR_NULL, [0, 1, 0.5, None], [2, True, "0"]),
    (Annotated[int | None, AT_LEAST_ONE], [1, None], [0, 1.5]),
    (Literal["a", 1], ["a", 1], ["b", True, 1.0, None]),
    (tuple[int, int], [(1, 2)], [(1,), (1, 2, 3), [1, 2], (1, "2")]),
    (tuple[Annotated[float, POSITIVE], ...], [(), (1, 2.5)], [(0,), (1, None), [1]]),
    (list[int], [[], [1]], [(), None]),
    (dict, [{}, {"a": 1}], [[], None]),
    (Any, [None, 1, object()], []),
]


@pytest.mark.parametrize(("hint", "fitting", "unfit"), FITTING, ids=lambda x: str(x)[:30])
def test_what_fits(hint: Any, fitting: list[Any], unfit: list[Any]) -> None:
    assert all(fits(value, hint) for value in fitting)
    assert not any(fits(value, hint) for value in unfit)


def test_what_fits_in_words() -> None:
    assert describe_hint(FRACTION_OR_NULL) == "a number in [0, 1] or None (null)"
    assert describe_hint(tuple[int, int]) == "a list of 2: an integer, an integer"
    assert describe_hint(tuple[str, ...]) == "a list of strings"
    assert describe_hint(Literal["a", 1]) == "one of 'a', 1"
    assert describe_hint(bool) == "a boolean"


def test_coercion_is_what_json_needs_and_no_more() -> None:
    assert coerce([1, [2, 3]], tuple[int, tuple[float, ...]]) == (1, (2.0, 3.0))
    assert type(coerce(1, float)) is float
    assert type(coerce(1, FRACTION_OR_NULL)) is float
    assert coerce(None, float | None) is None
    assert coerce("1", float) == "1"
    assert coerce(True, float) is True
    assert coerce(1.0, int) == 1.0
    assert coerce(10**400, float) == 10**400
    assert coerce([1, 2, 3], tuple[int, int]) == (1, 2, 3)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(json, st.sampled_from([hint for hint, _, _ in FITTING]))
def test_no_json_value_breaks_the_checks(value: Any, hint: Any) -> None:
    once = coerce(value, hint)
    assert fits(once, hint) in (True, False)
    if fits(value, hint):
        assert fits(once, hint)
        assert once == value
