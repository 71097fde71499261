"""Configurations: legal values, JSON, the override grammar, and all faults at once."""

import contextlib
import dataclasses
import json
import re
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import stawm
from stawm import registry
from stawm.configuration import Config as BaseConfig
from stawm.configuration import field_hints, make, resolve, split_dotted
from stawm.configuration.fields import FRACTION, POSITIVE
from stawm.errors import ConfigError, UnknownNameError
from stawm.models.config import ModelConfig, SharedConfig, from_mapping, override
from stawm.registry import Kind
from tests.configs import COMPONENTS, config_of, configured, settings_of

PRESETS = stawm.list_names("preset")


@dataclass(frozen=True, kw_only=True)
class Pair(BaseConfig):
    """Two numbers of which the first is smaller."""

    name: str = "pair"
    low: Annotated[float, FRACTION] = 0.0
    high: Annotated[float, FRACTION] = 1.0
    scale: Annotated[float, POSITIVE]

    def faults(self) -> list[str]:
        return [] if self.low < self.high else [f"{self.name}: low must be below high."]


def config(name: str, **overrides: Any) -> Any:
    return stawm.config(name, **overrides)


def default(kind: Kind, name: str) -> BaseConfig:
    cls: Any = config_of(kind, name)
    return cls()


def through_json(found: BaseConfig) -> Any:
    return json.loads(json.dumps(found.to_dict(), allow_nan=False))


# Values and JSON


def test_every_illegal_field_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        Pair(low=2, high="x", scale=0)  # pyright: ignore[reportArgumentType]
    assert caught.value.faults == (
        "pair: low must be a number in [0, 1]; got 2.",
        "pair: high must be a number in [0, 1]; got 'x'.",
        "pair: scale must be a number in (0, inf); got 0.",
    )
    assert str(caught.value) == "\n".join(caught.value.faults)


def test_rules_between_fields() -> None:
    with pytest.raises(ConfigError, match="low must be below high"):
        Pair(low=1, scale=1)
    with pytest.raises(ConfigError, match="low must be below high"):
        Pair(scale=1).replace(low=1.0)


@dataclass(frozen=True, kw_only=True)
class Late(Pair):
    """A pair whose usual lower number is not below every higher one."""

    name: str = "late"
    low: Annotated[float, FRACTION] = 0.5
    scale: Annotated[float, POSITIVE] = 1.0


def test_rules_between_fields_are_told_with_a_field_that_is_not_legal() -> None:
    """Where no value of that field would mend them."""
    with pytest.raises(ConfigError) as caught:
        Pair(low=1, high=0.5, scale=0)
    assert caught.value.faults == (
        "pair: scale must be a number in (0, inf); got 0.",
        "pair: low must be below high.",
    )
    with pytest.raises(ConfigError) as caught:
        Pair(low=1, high="x", scale=1)  # pyright: ignore[reportArgumentType]
    assert len(caught.value.faults) == 2, "nothing legal is above 1"
    with pytest.raises(ConfigError) as caught:
        Pair(low=0.5, high="x", scale=1)  # pyright: ignore[reportArgumentType]
    assert len(caught.value.faults) == 1, "what is not legal may have been meant well"
    with pytest.raises(ConfigError) as caught:
        Late(low="x", high=0.4)  # pyright: ignore[reportArgumentType]
    assert len(caught.value.faults) == 1, "also where what is usual would not do"
    with pytest.raises(ConfigError) as caught:
        make(Pair, {"low": 1, "high": 0}, "pair")
    assert caught.value.faults == ("pair lacks scale.", "pair: low must be below high.")


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        ("memory", {"name": "hebb-rosenblatt", "constrained": True, "eta": -1, "delta": "x"}, ["eta", "delta"]),
        ("memory", {"name": "hebb-rosenblatt", "normalise": 0.5, "delta": 0, "form": "q"}, ["normalise", "form"]),
        ("backbone", {"name": "conv", "layers": "1@", "norm": "x"}, ["layers", "norm"]),
        ("head", {"name": "drawing", "decoder": "1@", "latent": 0}, ["decoder", "latent"]),
    ],
)
def test_rules_of_components_are_told_with_fields_that_are_not_legal(kind: str, fields: Any, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(kind, fields)
    assert len(caught.value.faults) == len(words)
    assert all(any(word in fault for fault in caught.value.faults) for word in words)


HOSTILE: dict[str, Any] = {
    "a name that is a path": {"name": "../x"},
    "a name that is empty": {"name": ""},
    "a name with an escape": {"name": "a\x1b[2J"},
    "a class of two lines": {"class_names": ["a\nb", *"123456789"]},
    "a class without a name": {"class_names": ["", *"123456789"]},
    "a class that cannot be encoded": {"class_names": ["\ud800", *"123456789"]},
    "glimpses without end": {"glimpses": 10**9},
    "images of any size": {"image": [1, 10**6, 10**6]},
    "a mean that swallows images": {"mean": 1e30},
    "a list of such means": {"mean": [1e30]},
    "a deviation of nearly nothing": {"std": [1e-300]},
    "too many layers": {"backbone.layers": "1@1/1 " * 60_000},
    "a layer of 5,000 digits": {"backbone.layers": f"{'1' * 5_000}@1/1"},
    "an integer of 5,000 digits": {"glimpses": 10**5_000},
    "a dotted key of 900 parts": {".".join(["memory", *["x"] * 900]): 1},
    "a dotted key of 100,000 parts": {".".join(["x"] * 100_000): 1},
    "many unknown fields": {"memory": {f"x{n}": n for n in range(2_000)}},
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_no_model_is_is_refused_in_short(case: str) -> None:
    with pytest.raises(ConfigError) as caught:
        override(config("stawm-mnist-8"), HOSTILE[case])
    assert len(str(caught.value)) < 5_000


def test_what_is_nested_without_end_is_refused() -> None:
    fields: Any = 1
    for _ in range(5_000):
        fields = {"x": fields}
    for spec in ({"memory": fields}, {"heads": [fields]}, {"x": fields}, fields):
        with pytest.raises((ConfigError, UnknownNameError)):
            config("stawm-mnist-8", **spec)


@pytest.mark.parametrize(
    ("tried", "ours"),
    [
        ("num_classes", "heads.classification.classes"),
        ("classes", "heads.classification.classes"),
        ("in_chans", "image=(1, 28, 28)"),
        ("img_size", "image=(1, 28, 28)"),
        ("image_size", "image=(1, 28, 28)"),
        ("lr", "recipe.rate"),
        ("epochs", "recipe.epochs"),
        ("batch_size", "recipe.batch"),
    ],
)
def test_names_of_other_libraries_are_answered_with_ours(tried: str, ours: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(ours)):
        config("stawm-mnist-8", **{tried: 3})


def test_configurations_are_frozen_and_equal_by_value() -> None:
    pair = Pair(scale=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        pair.low = 0.5  # pyright: ignore[reportAttributeAccessIssue]
    assert pair == Pair(scale=1)
    assert hash(pair) == hash(Pair(scale=1))
    with pytest.raises(TypeError):
        Pair("pair")  # pyright: ignore[reportCallIssue]


def test_a_mapping_is_checked_whole() -> None:
    with pytest.raises(ConfigError) as caught:
        make(Pair, {"lwo": 1, "high": 7.5}, "pair")
    assert caught.value.faults == (
        "pair has no field 'lwo'. Did you mean 'low'? It has: name, low, high, scale.",
        "pair lacks scale.",
        "pair: high must be a number in [0, 1]; got 7.5.",
    )
    with pytest.raises(ConfigError) as caught:
        make(Pair, {"lwo": 1, "low": 1, "scale": 1}, "pair")
    assert [fault.partition(".")[0] for fault in caught.value.faults] == [
        "pair has no field 'lwo'",
        "pair: low must be below high",
    ]


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_every_default_survives_json(kind: Kind, name: str) -> None:
    found = default(kind, name)
    again = resolve(kind, through_json(found))
    assert again == found
    assert type(again) is type(found)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_survives_json(preset: str) -> None:
    found = config(preset)
    again = from_mapping(through_json(found))
    assert again == found
    assert type(again) is type(found)
    assert stawm.config(through_json(found)) == found


@given(st.data())
def test_every_component_survives_json_however_it_is_set(data: st.DataObject) -> None:
    kind, name = data.draw(st.sampled_from(COMPONENTS))
    cls = config_of(kind, name)
    found = configured(cls, data.draw(settings_of(cls)))
    assert resolve(kind, through_json(found)) == found


@given(st.data())
def test_every_model_survives_json_however_it_is_set(data: st.DataObject) -> None:
    preset = data.draw(st.sampled_from(PRESETS))
    parts = {"memory": Kind.MEMORY, "canvas": Kind.CANVAS, "locator": Kind.LOCATOR, "backbone": Kind.BACKBONE}
    found = config(preset)
    overrides: dict[str, Any] = {"dropout": data.draw(st.floats(0, 1))}
    for key, kind in parts.items():
        if hasattr(found, key) and data.draw(st.booleans()):
            name = data.draw(st.sampled_from([n for k, n in COMPONENTS if k is kind]))
            cls = config_of(kind, name)
            overrides[key] = configured(cls, data.draw(settings_of(cls)))
    changed = config(preset, **overrides)
    assert from_mapping(through_json(changed)) == changed
    assert {key: getattr(changed, key) for key in overrides} == overrides


def test_every_field_of_every_component_says_what_it_is() -> None:
    silent = [
        f"{kind} {name}: {key}"
        for kind, name in COMPONENTS
        for key, field in stawm.describe(name, kind).fields.items()
        if key != "name" and not field["means"]
    ]
    assert not silent


# The override grammar


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


# Faults


def test_all_faults_of_a_model_are_raised_together() -> None:
    with pytest.raises(ConfigError) as caught:
        config(
            "stawm-mnist-sketchpad",
            **{
                "glimpse": 3,
                "glimpses": 0,
                "memory_size": "big",
                "where": "nowhere",
                "memory": "fast-weigths",
                "canvas": {"initail": 1},
                "backbone.layers": "64@",
                "backbone.norm": "group",
                "locator": {"name": "crop", "padding": "none", "align": True},
                "heads.drawing.latent": 0,
                "heads.classification.clases": 3,
                "mean": [0.1, 0.2],
                "class_names": ["a", "b"],
                "dropout": 1,
                "dropout.x": 2,
            },
        )
    expected = [
        "'dropout' is given both as 1 and by parts",
        "has no field 'glimpse'. Did you mean 'glimpses'?",
        "glimpses must be an integer in [1, 10000]; got 0",
        "memory_size must be an integer in [1, 65536]; got 'big'",
        "where must be one of 'pose', 'rnn'; got 'nowhere'",
        "No memory named 'fast-weigths'. Did you mean 'fast-weights'?",
        "addition has no field 'initail'. Did you mean 'initial'?",
        "conv: norm must be one of 'batch', 'none'; got 'group'",
        "conv: layers: A layer is written as filters@kernel/stride",
        "crop has no field 'align'",
        "crop: padding must be one of",
        "drawing: latent must be an integer in [1, 65536]; got 0",
        "classification has no field 'clases'. Did you mean 'classes'?",
        "mean has 1 number or one for each of 1 channels; got (0.1, 0.2)",
    ]
    for sentence in expected:
        assert sum(sentence in fault for fault in caught.value.faults) == 1, sentence
    assert len(caught.value.faults) == len(expected)


def test_faults_between_fields_come_with_the_others() -> None:
    with pytest.raises(ConfigError) as caught:
        config("stawm-mnist-8", class_names=["a", "b"], mean=(0, 0), std=(0.1, 0.2, 0.3), glimpses=0)
    assert len(caught.value.faults) == 4


def test_a_part_that_is_not_legal_hides_no_other_fault() -> None:
    with pytest.raises(ConfigError) as caught:
        config("stawm-mnist-8", memory="fast-weigths", image=None)
    assert ["fast-weigths" in caught.value.faults[0], "image must be" in caught.value.faults[1]] == [True, True]


def test_a_fault_is_not_held_against_other_fields() -> None:
    with pytest.raises(ConfigError) as caught:
        config("stawm-mnist-8", image=(3, 32), mean=(0.1, 0.2, 0.3), heads="drawin", class_names=["a"])
    assert len(caught.value.faults) == 2


def test_one_unknown_name_stays_what_it_is() -> None:
    with pytest.raises(UnknownNameError, match="fast-weights"):
        config("stawm-mnist-8", memory="fast-weigths")


def test_a_complete_mapping_that_lacks_parts() -> None:
    fields = config("stawm-mnist-8").to_dict()
    del fields["memory"], fields["glimpses"]
    with pytest.raises(ConfigError, match="stawm-mnist-8 lacks glimpses, memory"):
        from_mapping(fields)


@pytest.mark.parametrize("family", ["baselin", None, [], 3])
def test_a_family_that_is_none(family: Any) -> None:
    with pytest.raises(ConfigError, match="family must be one of 'stawm', 'baseline'"):
        from_mapping({"family": family})


@pytest.mark.parametrize("spec", [None, 3, ["stawm-mnist-8"]])
def test_what_is_no_model(spec: Any, unchecked: None) -> None:
    with pytest.raises(ConfigError, match="A model must be given by"):
        stawm.config(spec)


def test_what_is_no_preset() -> None:
    with pytest.raises(ConfigError, match="name of a preset must be a string; got 3"):
        stawm.config({"preset": 3})


@pytest.mark.parametrize("spec", [None, 3, ["conv"], {"name": 3}, {"name": None}])
def test_what_is_no_component(spec: Any, unchecked: None) -> None:
    with pytest.raises(ConfigError):
        config("stawm-mnist-8", backbone=spec)


def test_a_configuration_of_another_component() -> None:
    cls: Any = config_of(Kind.MEMORY, "fast-weights")
    with pytest.raises(ConfigError, match=r"The memory 'delta' takes a Delta.Config"):
        config("stawm-mnist-8", memory=cls(name="delta"))
    with pytest.raises(UnknownNameError, match="'addition' is a canvas"):
        config("stawm-mnist-8", memory=default(Kind.CANVAS, "addition"))


def test_nothing_to_change() -> None:
    with pytest.raises(ConfigError, match="no present value to change"):
        resolve("memory", {"decay": 0.5})


scraps = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(["conv", "drawing", "x", ""]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["name", "layers", "drawing", "a.b", ""]), inner)
    ),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from([*field_hints(ModelConfig), "x", "memory.delta", "."]), scraps, max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_given_is_a_configuration_or_a_fault(unchecked: None, overrides: dict[str, Any]) -> None:
    for attempt in (
        lambda: override(stawm.config("stawm-mnist-8"), overrides),
        lambda: from_mapping({**config("stawm-mnist-8").to_dict(), **overrides}),
        lambda: from_mapping(overrides),
    ):
        with contextlib.suppress(ConfigError, UnknownNameError):
            assert isinstance(attempt(), SharedConfig)


def test_the_listing_is_not_empty() -> None:
    assert len(COMPONENTS) > 15
    assert {kind for kind, _ in COMPONENTS} == {*registry.Kind} - {registry.Kind.PRESET}
