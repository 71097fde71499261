"""Configurations: legal values, JSON, the override grammar, and all faults at once."""

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stawm
from stawm import registry
from stawm.configuration import Config as BaseConfig
from stawm.configuration import make, resolve
from stawm.configuration.fields import FRACTION, POSITIVE
from stawm.errors import ConfigError
from stawm.models.config import from_mapping
from stawm.registry import Kind
from tests.configs import COMPONENTS, config, config_of, configured, default, settings_of, through_json

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
    if found.family == "slots":  # which see what a conv stack gives
        del parts["backbone"]
    overrides: dict[str, Any] = {"dropout": data.draw(st.floats(0, 1))}
    for key, kind in parts.items():
        if getattr(found, key, None) is not None and data.draw(st.booleans()):
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


def test_the_listing_is_not_empty() -> None:
    assert len(COMPONENTS) > 15
    assert {kind for kind, _ in COMPONENTS} == {*registry.Kind} - {registry.Kind.PRESET}
