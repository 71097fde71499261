"""Text that is shown is one line without control codes, and values that are written are strict JSON."""

import json
import math
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stawm import text


@given(st.text())
def test_nothing_that_steers_is_left_and_plain_text_stays(said: str):
    shown = text.one_line(said)
    assert not any(unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") for sign in shown)
    assert len(shown.splitlines()) <= 1
    assert text.one_line(shown) == shown
    assert text.lines(said).replace("\n", "\\n").replace("\t", "\\t") == shown


@pytest.mark.parametrize("name", ["cat", "größer", "猫", "η|e|²", "a　b", "👍", "[red]x[/]"])
def test_names_of_every_language_stay_what_they_are(name: str):
    assert text.one_line(name) == name


def test_a_report_is_cleaned_wherever_a_text_stands_in_it():
    class Pair(NamedTuple):
        name: str
        count: int

    @dataclass(frozen=True)
    class Report:
        names: tuple[str, ...]
        inner: Any
        path: Path
        pair: Pair
        other: object

    other = object()
    hostile, shown = "a\n\x1b[2Jb", "a\\n\\x1b[2Jb"
    report = Report((hostile,), {hostile: [hostile, 1]}, Path(hostile), Pair(hostile, 2), other)
    assert text.cleaned(report) == Report((shown,), {shown: [shown, 1]}, Path(shown), Pair(shown, 2), other)
    assert report.names == (hostile,), "the report itself is left alone"


@given(
    st.recursive(st.floats() | st.none() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)
def test_what_is_no_number_is_null(value: Any):
    def same(a: Any, b: Any) -> bool:
        if isinstance(a, float):
            return b is None if not math.isfinite(a) else a == b
        if isinstance(a, dict):
            return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
        return len(a) == len(b) and all(map(same, a, b)) if isinstance(a, list) else a == b

    assert same(value, json.loads(json.dumps(text.strict(value), allow_nan=False)))
