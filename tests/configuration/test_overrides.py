"""The override grammar: what a name, a mapping and a dotted key change, of parts and of heads."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stawm
from stawm.configuration import split_dotted
from stawm.errors import ConfigError
from stawm.models.config import override
from stawm.registry import Kind
from tests.configs import config, config_of, default


def test_a_string_swaps_and_takes_the_defaults() -> None:
    assert config("stawm-mnist-8", memory="fast-weights").memory == default(Kind.MEMORY, "fast-weights")
    assert config("stawm-digits").memory.constrained
    assert not config("stawm-digits", memory="hebb-rosenblatt").memory.constrained


def test_a_mapping_with_a_name_swaps_and_sets() -> None:
    changed = config("stawm-mnist-8", memory={"name": "fast-weights", "decay": 0.5})
    assert (changed.memory.name, changed.memory.decay) == ("fast-weights", 0.5)
    reset = config("stawm-digits", memory={"name": "hebb-rosenblatt", "delta": 0.3})
    assert (reset.memory.delta, reset.memory.constrained) == (0.3, False)


def test_a_mapping_without_a_name_changes_the_present_one() -> None:
    before, after = config("stawm-digits").memory, config("stawm-digits", memory={"delta": 0.3}).memory
    assert after == before.replace(delta=0.3)


def test_a_configuration_is_taken_as_it_is() -> None:
    cls: Any = config_of(Kind.MEMORY, "fast-weights")
    assert config("stawm-mnist-8", memory=cls(decay=0.5)).memory == cls(decay=0.5)


def test_dotted_keys_reach_inside() -> None:
    changed = config("stawm-mnist-sketchpad", **{"memory.delta": 0.3, "heads.drawing.beta": 1, "backbone.bias": True})
    assert (changed.memory.delta, changed.head("drawing").beta, changed.backbone.bias) == (0.3, 1.0, True)
    assert changed.head("classification") == config("stawm-mnist-sketchpad").head("classification")
    nested = config("stawm-mnist-sketchpad", heads={"drawing.beta": 1})
    assert nested.head("drawing").beta == 1


@pytest.mark.parametrize("order", [1, -1])
def test_dotted_keys_beside_the_name_swap_and_set(order: int) -> None:
    given = list({"memory": "fast-weights", "memory.decay": 0.5}.items())[::order]
    assert config("stawm-mnist-8", **dict(given)).memory.decay == 0.5
    whole = list({"memory": {"name": "fast-weights"}, "memory.decay": 0.5}.items())[::order]
    assert config("stawm-mnist-8", **dict(whole)).memory.decay == 0.5


def test_one_grammar_for_keywords_mappings_and_presets() -> None:
    expected = config("stawm-mnist-8", memory={"delta": 0.3}, glimpses=2)
    assert stawm.config({"preset": "stawm-mnist-8", "memory.delta": 0.3, "glimpses": 2}) == expected
    assert stawm.config({"preset": "stawm-mnist-8", "memory": {"delta": 0.3}}, glimpses=2) == expected
    assert stawm.config({"preset": "stawm-mnist-8", "memory": {"delta": 0.3}}, memory={"theta": 0.25}, glimpses=2) == (
        config("stawm-mnist-8", memory={"delta": 0.3, "theta": 0.25}, glimpses=2)
    )
    assert stawm.config(config("stawm-mnist-8"), **{"memory.delta": 0.3, "glimpses": 2}) == expected
    assert stawm.config({**expected.to_dict(), "glimpses": 5}, glimpses=2) == expected


@pytest.mark.parametrize("spec", ["fast-weights", {"name": "fast-weights"}])
def test_a_swap_carries_no_field_across(spec: Any) -> None:
    changed = config("stawm-mnist-8", **{"memory.delta": 0.3})
    assert override(changed, {"memory": spec}) == config("stawm-mnist-8", memory="fast-weights")
    with pytest.raises(ConfigError, match="fast-weights has no field 'delta'"):
        config("stawm-mnist-8", memory={"name": "fast-weights", "delta": 0.3})


def test_split_dotted() -> None:
    assert split_dotted({"a.b.c": 1, "a.b.d": 2, "e": 3, "f": {"g.h": 4}}) == {
        "a": {"b": {"c": 1, "d": 2}},
        "e": 3,
        "f": {"g": {"h": 4}},
    }
    assert split_dotted({"a": "x", "a.b": 1}) == {"a": {"name": "x", "b": 1}}
    assert split_dotted({}) == {}
    with pytest.raises(ConfigError) as caught:
        split_dotted({"a": 1, "a.b": 2, "c": {"d": 1}, "c.d": 2})
    assert caught.value.faults == ("'a' is given both as 1 and by parts: b.", "'c.d' is given twice.")


keys = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(".".join)


@given(st.dictionaries(keys, st.integers(), max_size=5))
def test_split_dotted_loses_nothing(flat: dict[str, int]) -> None:
    def flatten(nested: Any, prefix: str = "") -> dict[str, int]:
        found = {}
        for key, value in nested.items():
            found |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        return found

    clash = any(b.startswith(f"{a}.") for a in flat for b in flat)
    if clash:
        with pytest.raises(ConfigError):
            split_dotted(flat)
    else:
        assert flatten(split_dotted(flat)) == flat


# Heads


def test_heads_by_name_list_mapping_and_configuration() -> None:
    drawing: Any = config_of(Kind.HEAD, "drawing")
    for heads in ("drawing", ["drawing"], {"name": "drawing"}, drawing(), (drawing(),)):
        assert config("stawm-mnist-8", heads=heads).heads == (drawing(),)
    both = config("stawm-mnist-8", heads=["classification", {"name": "drawing", "latent": 8}])
    assert [head.name for head in both.heads] == ["classification", "drawing"]
    assert both.head("drawing").latent == 8
    assert both.head("nothing") is None


def test_a_head_that_is_only_named_is_the_present_one() -> None:
    present = config("stawm-cifar-draw-16").head("drawing")
    both = config("stawm-cifar-draw-16", heads=("drawing", "classification"))
    assert both.head("drawing") == present
    assert config("stawm-cifar-draw-16", heads={"name": "drawing"}).head("drawing") != present


def test_changes_of_heads_that_are_not_there() -> None:
    with pytest.raises(ConfigError, match=r"no field 'drawing'\..* It has: classification"):
        config("stawm-mnist-8", heads={"drawing": {"latent": 3}})


@pytest.mark.parametrize("heads", [[], ["drawing", "drawing"], 3, None])
def test_heads_that_cannot_be(heads: Any) -> None:
    with pytest.raises(ConfigError, match="heads"):
        config("stawm-mnist-8", heads=heads)
