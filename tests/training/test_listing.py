"""Recipes are listed and described, in Python and on the command line."""

import json
from typing import Any

import pytest

import stawm
from stawm import registry
from stawm.cli import main
from stawm.configuration import field_hints
from stawm.errors import ConfigError, UnknownNameError
from stawm.training import describe_recipe, list_recipes
from stawm.training.data.augment import Augmentation
from stawm.training.listing import is_recipe
from stawm.training.recipes import Recipe, find, presets_with
from tests.small import PEERS


@pytest.fixture
def strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    stawm.register("preset", "mine", recipes={"slow": {"epochs": 3, "rate": 0.5}})({"preset": "stawm-digits"})


def test_recipes_of_strangers_are_listed_too(strangers: None):
    assert {"fast", "paper", "slow"} <= set(list_recipes())
    assert describe_recipe("slow").presets == ("mine",)


def test_every_field_is_described_with_meaning_and_range():
    fields = {field.name: field for field in describe_recipe("recipe").fields}
    inside = {f"augmentation.{name}" for name in field_hints(Augmentation) if name != "name"}
    assert set(fields) == {name for name in field_hints(Recipe) if name not in ("name", "augmentation")} | inside
    assert all(field.meaning and field.legal and field.value is None for field in fields.values())
    assert [field.name for field in fields.values() if field.usual is None] == ["epochs", "pose_clip"]


@pytest.mark.parametrize("name", ["fast", "paper"])
def test_values_are_those_that_the_presets_share(name: str):
    described = describe_recipe(name)
    recipes = [find(name, preset) for preset in presets_with(name)]
    for field in described.fields:
        values: list[Any] = recipes
        for part in field.name.split("."):
            values = [getattr(value, part) for value in values]
        same = all(value == values[0] for value in values)
        assert field.value == ((list(values[0]) if isinstance(values[0], tuple) else values[0]) if same else None)


def test_of_a_preset_every_value_is_known():
    described = describe_recipe("fast:stawm-digits")
    assert {field.name: field.value for field in described.fields}["epochs"] == find("fast", "stawm-digits").epochs
    assert "recipe.rate = 0.004  (a number in (0, inf); usually 0.001)" in str(described)


def test_what_there_is_not_is_told():
    with pytest.raises(UnknownNameError, match=r"No recipe named 'fats'\. Did you mean 'fast'\?"):
        describe_recipe("fats")
    with pytest.raises(ConfigError, match="The paper does not train 'stawm-digits'"):
        describe_recipe("paper:stawm-digits")


def test_a_component_of_a_recipes_name_comes_first(monkeypatch: pytest.MonkeyPatch):
    assert is_recipe("fast")
    assert is_recipe("fast:stawm-digits")
    assert not is_recipe("stawm-digits")
    monkeypatch.setattr(registry, "_registered", {})
    stawm.register("preset", "fast")({"preset": "stawm-digits"})
    assert not is_recipe("fast")


def test_the_command_line_lists_and_describes(capsys: pytest.CaptureFixture[str]):
    def said(*command: str) -> str:
        assert main(command) == 0
        return capsys.readouterr().out

    assert [line.split()[0] for line in said("list", "recipe").splitlines()] == list_recipes()
    assert [entry["name"] for entry in json.loads(said("list", "recipe", "f*", "--json"))] == ["fast"]
    assert said("describe", "fast") == f"{describe_recipe('fast')}\n"
    assert json.loads(said("describe", "paper", "--kind", "recipe", "--json")) == json.loads(
        json.dumps(describe_recipe("paper").as_dict())
    )
    assert said("list", "recipe", "nothing*").strip() == ""


def test_a_field_inside_is_suggested():
    with pytest.raises(ConfigError, match=r"The recipe has no field 'flip'\. Did you mean 'augmentation\.flip'"):
        find("fast", "stawm-digits", flip=True)


def test_of_a_readout_the_recipe_says_how_often_glimpses_are_kept():
    """As it was when it went by the recipe's name."""
    for name in list_recipes():
        for preset in {*presets_with(name)} - PEERS:
            assert find(name, preset).frozen_passes == (1 if name == "fast" else 0), preset
    assert Recipe(name="mine", epochs=1).frozen_passes == 1
