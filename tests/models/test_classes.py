"""A class of a set is the model's class of the same name, in whatever order, or none."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stawm
from stawm.errors import ConfigError, InputError
from stawm.models.classes import listed, match, note_on_places, places

TEN = tuple("0123456789")
NAMES = st.lists(st.text(min_size=1, max_size=6), unique=True, max_size=12)


@given(NAMES, st.randoms())
def test_names_are_found_in_any_order(names: list[str], random: Any):
    asked = random.sample(names, len(names))
    assert match(names, asked) == tuple(names.index(name) for name in asked)
    some = asked[: len(asked) // 2]
    assert match(names, some) == tuple(names.index(name) for name in some)


@given(NAMES, NAMES)
def test_no_class_is_taken_twice(known: list[str], asked: list[str]):
    found = [place for place in match(known, asked) if place is not None]
    assert len(found) == len(set(found))
    assert all(0 <= place < len(known) for place in found)
    assert all(known[place] in asked or place in found for place in found)


@pytest.mark.parametrize(
    ("known", "asked", "found"),
    [
        (TEN, [f"{n} - {w}" for n, w in zip("3107", ("three", "one", "zero", "seven"), strict=True)], (3, 1, 0, 7)),
        (["0 - zero", "1 - one"], ["one", "0"], (1, 0)),
        ([str(n) for n in range(12)], sorted(map(str, range(12))), (0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9)),
        ([str(n) for n in range(12)], [f"{n:03}" for n in range(12)], tuple(range(12))),
        (["00", "01"], ["1", "0"], (1, 0)),
        (["T-shirt/top", "Ankle boot"], ["ankle_boot", "t_shirt/TOP"], (1, 0)),
        (["caf\u00e9"], ["cafe\u0301"], (0,)),
        (["cat", "Cat"], ["Cat", "cat"], (1, 0)),
        (["cat", "Cat"], ["CAT"], (None,)),
        (["cat"], ["Cat", "CAT"], (None, None)),
        (["cat", "dog"], ["cat", "Cat"], (0, None)),
        (["cat", "cat"], ["cat"], (None,)),
        (["1", "2"], ["1 euro", "2 euros"], (None, None)),
        (["cat"], [], ()),
        ([], ["cat"], (None,)),
    ],
)
def test_spellings(known: list[str], asked: list[str], found: tuple[int | None, ...]):
    assert match(known, asked) == found


def test_a_name_with_very_many_digits_is_a_name_like_others():
    assert match(["9" * 5000, "1"], ["0" + "9" * 5000]) == (0,)


def test_classes_that_the_model_does_not_know_are_refused_with_both_lists():
    digits = stawm.config("stawm-digits")
    with pytest.raises(InputError) as caught:
        places(digits, ("circle", "3", "square"), "the test images")
    for words in (
        "The test images are of 3 classes (circle, 3, square)",
        "(0, 1, 2, 3, 4, 5",
        "model's: circle, square.",
    ):
        assert words in str(caught.value)


def test_numbers_hold_only_where_names_are_not_known():
    digits, nameless = stawm.config("stawm-digits"), stawm.config("stawm-digits", class_names=())
    drawing = stawm.config("stawm-digits", heads="drawing", class_names=())
    assert places(digits, ()) is places(nameless, TEN) is places(drawing, ("circle",)) is None
    assert note_on_places(digits, TEN) is note_on_places(drawing, TEN) is None
    assert note_on_places(nameless, TEN) == "classes are compared by their numbers: the model has no names for them"
    assert "the set has no names" in str(note_on_places(digits, ()))
    assert "the model and the set have no names" in str(note_on_places(nameless, ()))
    for names in (TEN[:9], (*TEN, "10")):
        with pytest.raises(InputError, match=rf"{len(names)} classes, the model tells 10 apart.*classes={len(names)}"):
            places(nameless, names)


def test_long_lists_are_cut():
    assert listed(map(str, range(22))).endswith("18, 19 and 2 more")
    assert listed([]) == ""


# Numbers and names in a configuration


@pytest.mark.parametrize("call", [stawm.config, lambda *a, **k: stawm.build(*a, **k).config])
def test_names_of_a_preset_give_way_to_another_number_of_classes(call: Any):
    small = {"memory_size": 8, "hidden_size": 12, "glimpses": 1}
    for heads in ({"heads.classification.classes": 12}, {"heads": [{"name": "classification", "classes": 12}]}):
        found = call("stawm-digits", **heads, **small)
        assert (found.classes, found.class_names) == (12, ())
    assert call("stawm-digits", **{"heads.classification.classes": 10}, **small).class_names == TEN
    assert call("stawm-digits", **{"heads.classification.dropout": 0.0}, **small).class_names == TEN
    both = call("stawm-digits", class_names=["a", "b"], **{"heads.classification.classes": 2}, **small)
    assert both.class_names == ("a", "b")


def test_names_that_are_given_do_not_give_way():
    with pytest.raises(
        ConfigError, match=r"3 names for 12 classes: .*heads\.classification\.classes=3.*class_names=\[\]"
    ):
        stawm.config("stawm-digits", class_names=["a", "b", "c"], **{"heads.classification.classes": 12})
    with pytest.raises(ConfigError, match=r"2 names for 10 classes: .*heads\.classification\.classes=2"):
        stawm.config("stawm-digits", class_names=["a", "b"])
