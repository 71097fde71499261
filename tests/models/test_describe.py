"""What describe says of each name."""

import json
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
import torch

import stawm
from stawm import registry
from stawm.configuration import Config as BaseConfig
from stawm.configuration import field_meanings
from stawm.configuration.fields import FRACTION
from stawm.errors import ConfigError, UnknownNameError
from stawm.registry import Kind

NAMES = [(kind, name) for kind in Kind for name in registry.list_names(kind, ("*", "*.*"))]


@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_every_name_is_described(kind: Kind, name: str) -> None:
    found = stawm.describe(name, kind)
    assert (found.kind, found.name, found.origin) == (kind, name, "stawm")
    assert found.summary.endswith(".")
    assert found.summary[0].isupper()
    assert (found.parameters is not None) == (kind is Kind.PRESET)
    assert json.loads(json.dumps(found.as_dict())) == found.as_dict()
    text = str(found)
    assert text.startswith(f"{name} ({kind}, stawm): ")
    assert all(f"\n  {key} = " in text for key in found.fields)


def test_components_show_defaults_and_what_is_legal() -> None:
    decay = stawm.describe("fast-weights").fields["decay"]
    assert decay == {"value": 0.95, "legal": "a number in [0, 1]", "means": decay["means"], "required": False}
    assert decay["means"].startswith("λ")


def test_presets_show_values_and_count_what_they_learn() -> None:
    found = stawm.describe("stawm-digits")
    model = stawm.build("stawm-digits")
    assert found.parameters == sum(p.numel() for p in model.parameters())
    assert found.fields["glimpses"]["value"] == 4
    assert {key: field["value"] for key, field in found.fields.items()} == model.config.to_dict()


def test_presets_show_their_recipes_and_variants() -> None:
    found = stawm.describe("stawm-mnist-8")
    assert (found.recipes["fast"], found.variants) == ("stawm-mnist-8.fast", ("stawm-mnist-8.fast",))
    assert "\n  recipes: paper, authors, fast (trains stawm-mnist-8.fast)\n  variants: stawm-mnist-8.fast\n" in str(
        found
    )
    variant = stawm.describe("stawm-mnist-8.fast")
    assert (variant.as_dict()["recipes"]["fast"]["epochs"], variant.as_dict()["variants"]) == (30, [])
    assert "variants" not in str(variant)
    assert (stawm.describe("crop").recipes, stawm.describe("crop").variants) == ({}, ())
    assert "recipes" not in str(stawm.describe("crop"))


def test_frozen_numbers_do_not_count() -> None:
    model = stawm.build("stawm-mnist-selfsup")
    learned = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert stawm.describe("stawm-mnist-selfsup").parameters == learned < sum(p.numel() for p in model.parameters())


def test_describing_draws_no_random_numbers() -> None:
    before = torch.get_rng_state()
    stawm.describe("stawm-digits")
    assert torch.equal(torch.get_rng_state(), before)


def test_names_that_take_an_argument() -> None:
    assert stawm.describe("timm").fields["name"]["value"].startswith("timm:")
    assert stawm.describe("timm:resnet18").fields["name"]["value"] == "timm:resnet18"
    with pytest.raises(ConfigError, match="no network named 'resnet1'"):
        stawm.describe("timm:resnet1")


def test_unknown_names() -> None:
    with pytest.raises(UnknownNameError, match=r"Did you mean 'stawm-mnist-8\.fast'"):
        stawm.describe("stawm-mnist-8.fst")
    with pytest.raises(UnknownNameError, match="Did you mean 'fast-weights'"):
        stawm.describe("fast_weights")
    with pytest.raises(UnknownNameError, match="'fast-weights' is a memory, not a canvas"):
        stawm.describe("fast-weights", "canvas")


def test_the_kind_tells_names_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})

    class Part:
        """A part."""

        @dataclass(frozen=True, kw_only=True)
        class Config(BaseConfig):
            name: str = "digits"
            share: Annotated[float, FRACTION]
            """How much.

            And more of it.
            """

    stawm.register("memory", "digits")(Part)
    stawm.register("preset", "digits")({"preset": "stawm-digits"})
    assert stawm.describe("digits").kind == "preset"
    found = stawm.describe("digits", "memory")
    assert found.fields["share"] == {
        "value": None,
        "legal": "a number in [0, 1]",
        "means": "How much. And more of it.",
        "required": True,
    }
    assert "share = required" in str(found)


def test_meanings_are_inherited_and_missing_source_is_no_fault() -> None:
    config: Any = registry.find("locator", "affine").load().Config
    assert "align_corners" in field_meanings(config)
    scope: dict[str, Any] = {"Base": BaseConfig, "dataclass": dataclass}
    exec("@dataclass(frozen=True, kw_only=True)\nclass Sourceless(Base):\n    name: str = 'x'", scope)
    assert field_meanings(scope["Sourceless"]) == {}
