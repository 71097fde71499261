"""What a file may say of itself is bounded before anything is made of it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stawm
from stawm.configuration import limits
from stawm.configuration.limits import oversized, read_json, too_much, too_much_for_config
from stawm.errors import ConfigError, Faults, StawmError, shown


def nested(depth: int, inner: Any = 1) -> Any:
    for _ in range(depth):
        inner = {"a": inner}
    return inner


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000, "nested deeper"),
        ("[" * 900 + "]" * 900, "nested deeper"),
        ('{"a":' * 33 + "1" + "}" * 33, "nested deeper"),
        ("1" * 5_000, "digits"),
        (f"[{2**64}]", "integer of more than 64 bits"),
        ("[" + "0," * 200_000 + "0]", "more than 200,000 values"),
        ("[NaN]", "NaN"),
        ('{"a": -Infinity}', "-Infinity"),
        ("{", "Expecting"),
    ],
)
def test_json_beyond_the_bounds(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_json(text)


def test_json_within_the_bounds() -> None:
    for value in (nested(limits.MAX_DEPTH), [0] * 1_000, 2**64 - 1, -(2**64) + 1, None, "x" * 10**6):
        assert read_json(json.dumps(value)) == value


@pytest.mark.parametrize(
    "fields",
    [
        {"a": "x" * (limits.MAX_STRING + 1)},
        {"x" * (limits.MAX_STRING + 1): 1},
        {str(n): 1 for n in range(limits.MAX_KEYS + 1)},
        {"memory": {"a": {str(n): 1 for n in range(limits.MAX_KEYS + 1)}}},
        {"heads": ["classification"] * (limits.MAX_PARTS + 1)},
        {"any": [{}] * (limits.MAX_PARTS + 1)},
        {"class_names": ["x"] * (limits.MAX_NAMES + 1)},  # the walk ends at the list
        nested(limits.MAX_DEPTH + 1),
    ],
    ids=range(8),
)
def test_configurations_beyond_the_bounds(fields: Any) -> None:
    assert too_much_for_config(fields)
    assert len(too_much_for_config(fields)) < 200


@pytest.mark.parametrize("preset", stawm.list_names("preset", ("*", "*.*")))
def test_every_preset_is_within_the_bounds(preset: str) -> None:
    fields = stawm.config(preset).to_dict()
    assert not too_much_for_config(fields)
    assert not oversized(fields)


def test_as_many_named_classes_as_any_data_set_has_are_within_the_bounds() -> None:
    assert limits.MAX_NAMES > 21_841, "those of ImageNet-21k"
    assert not too_much_for_config({"class_names": [f"class {n}" for n in range(2_000)]})


@pytest.mark.parametrize("key", limits.SIZES)
def test_sizes_beyond_the_bounds(key: str) -> None:
    most = limits.SIZES[key]
    assert not oversized({key: [1, most, most] if key == "image" else most})
    for size in (most + 1, 10**9, 10**5_000):
        (said,) = oversized({key: [1, size, 2] if key == "image" else size})
        assert said.startswith(f"{key} must be at most")
        assert len(said) < 100


@given(st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_anything_that_is_within_the_bounds_is_read_as_json_reads_it(value: Any) -> None:
    text = json.dumps(value)
    if not too_much(value):
        assert read_json(text) == value


# Messages


@pytest.mark.parametrize(
    "value",
    ["x" * 10**6, [0] * 10**6, {n: n for n in range(10**5)}, nested(5_000), 10**5_000, [[["x" * 400] * 30] * 30]],
    ids=range(6),
)
def test_what_was_given_is_shown_in_a_line_of_bounded_length(value: Any) -> None:
    assert len(shown(value)) <= 1_000
    assert "\n" not in shown(value)


@pytest.mark.parametrize("value", [0, "x", (1, 2), ["a"] * 20, {"a": {"b": [1]}}, None, 1.5, 2**200])
def test_what_is_short_is_shown_whole(value: Any) -> None:
    assert shown(value) == repr(value)


def test_no_message_is_longer_than_a_page_or_two() -> None:
    assert len(str(StawmError("x" * 10**7))) <= 10_000
    faults = Faults()
    faults.add(*(f"fault {n}" for n in range(1_050)))
    with pytest.raises(ConfigError) as caught:
        faults.settle()
    assert len(caught.value.faults) == 1_050
    assert str(caught.value).endswith("And 1,000 more.")
