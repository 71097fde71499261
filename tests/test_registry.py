"""Names: listing, looking up, clashes, and misspelt ones."""

import re
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import stawm
from stawm import registry
from stawm.configuration import Config as BaseConfig
from stawm.errors import ConfigError, UnknownNameError
from stawm.registry import Kind
from tests.plugins import MEMORY, Install

resolve: Any = stawm.config
NAMES = [(kind, name) for kind in Kind for name in registry.list_names(kind, ("*", "*.*"))]


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})


class Thing:
    """A thing. It does nothing."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        name: str = "thing"


def test_every_kind_has_names() -> None:
    assert {kind for kind, _ in NAMES} == {*Kind}
    assert len(NAMES) > 30


def test_listing() -> None:
    assert stawm.list_names() == stawm.list_names("preset")
    draw = ["stawm-mnist-draw-4", "stawm-mnist-draw-6", "stawm-mnist-draw-8"]
    assert stawm.list_names("preset", "stawm-mnist-draw-*") == draw
    assert stawm.list_names("preset", ["*-draw-4", "*-draw-[68]"], exclude="*cifar*") == draw
    assert stawm.list_names("preset", "stawm-mnist-*", exclude=("*draw*", "*self*", "*pad")) == [
        "stawm-mnist-8",
        "stawm-mnist-28",
    ]
    assert stawm.list_names("canvas", "?ddition") == ["addition"]
    assert stawm.list_names("canvas", "ADDITION") == []
    assert stawm.list_names(Kind.CANVAS, exclude="*") == []


def test_variants_are_listed_where_a_pattern_has_a_dot() -> None:
    assert not [name for name in stawm.list_names() if "." in name]
    assert stawm.list_names("preset", "stawm-mnist-[28]*.*") == [
        "stawm-mnist-8.fast",
        "stawm-mnist-28.authors",
        "stawm-mnist-28.fast",
    ]
    assert stawm.list_names("preset", ["stawm-mnist-8", "*-28.fast"]) == ["stawm-mnist-8", "stawm-mnist-28.fast"]
    assert stawm.list_names("preset", "*.fast", exclude="stawm-*") == []
    assert registry.variants_of("stawm-mnist-8") == ["stawm-mnist-8.fast"]
    assert registry.variants_of("stawm-digits") == []


def test_only_presets_have_a_tag() -> None:
    stawm.register("preset", "mine.a-tag2")({"preset": "stawm-digits"})
    assert resolve("mine.a-tag2").name == "mine.a-tag2"
    for name in ("mine.", ".tag", "mine.a.b", "mine.Tag", "mine.a--b"):
        with pytest.raises(ConfigError, match=r"is not a legal name: .*; a tag may follow a dot"):
            stawm.register("preset", name)({"preset": "stawm-digits"})


def test_recipes_are_kept_with_a_preset_and_refused_elsewhere() -> None:
    stawm.register("preset", "mine", recipes={"fast": {"epochs": 3}})({"preset": "stawm-digits"})
    assert registry.find("preset", "mine").recipes == {"fast": {"epochs": 3}}
    with pytest.raises(ConfigError, match="Recipes are for presets; 'thing' is a memory"):
        stawm.register("memory", "thing", recipes={"fast": {"epochs": 3}})(Thing)


def test_a_clash_of_mappings_is_short() -> None:
    stawm.register("preset", "mine")({"preset": "stawm-digits", "glimpses": 2})
    stawm.register("preset", "mine", summary="Again.")({"preset": "stawm-digits", "glimpses": 2})
    assert registry.find("preset", "mine").summary == "Again."
    with pytest.raises(ConfigError) as caught:
        stawm.register("preset", "mine")({"preset": "stawm-digits", "glimpses": 3})
    assert str(caught.value) == "The preset name 'mine' is taken by a dict (__main__); choose another."


def test_variants_are_suggested_where_they_are_meant() -> None:
    def suggested(name: str) -> list[str]:
        with pytest.raises(UnknownNameError) as caught:
            registry.find("preset", name)
        return re.findall(r"'([^']+)'", str(caught.value).partition("Did you mean ")[2].partition("?")[0])

    assert suggested("stawm-mnist-draw-5")[:3] == ["stawm-mnist-draw-4", "stawm-mnist-draw-6", "stawm-mnist-draw-8"]
    assert not [name for name in suggested("stawm-mnist-draw-5") if "." in name]
    assert suggested("stawm-mnist-8.fats")[0] == "stawm-mnist-8.fast"
    assert suggested("stawm-mnist-8fast")[0] == "stawm-mnist-8.fast"


def test_origin(install_plugin: Install) -> None:
    stawm.register("memory", "thing", origin="elsewhere")(Thing)
    install_plugin("my-memories", {"my_memory": MEMORY}, {"memory.mine": "my_memory:Mine"})
    assert stawm.list_names("memory", origin="elsewhere") == ["thing"]
    assert stawm.list_names("memory", origin="my-memories") == ["mine"]
    assert stawm.list_names("memory", origin="my-memories 1.2") == ["mine"]
    assert set(stawm.list_names("memory", origin="stawm")) == set(stawm.list_names("memory")) - {"thing", "mine"}
    assert stawm.list_names("memory", origin="nobody") == []


def test_an_unknown_kind() -> None:
    with pytest.raises(UnknownNameError, match=r"'memoy'\. Did you mean 'memory'\? The kinds are: memory, backbone"):
        stawm.list_names("memoy")


def test_register_takes_the_first_line_and_the_package() -> None:
    assert stawm.register("memory", "thing")(Thing) is Thing
    entry = registry.find("memory", "thing")
    assert (entry.summary, entry.origin, entry.cites) == ("A thing. It does nothing.", "tests", ())
    assert entry.load() is Thing


def test_a_preset_may_be_a_mapping() -> None:
    stawm.register("preset", "mine")({"preset": "stawm-digits", "glimpses": 2})
    assert registry.find("preset", "mine").summary == ""
    assert resolve("mine").glimpses == 2
    assert resolve("mine").name == "mine"


def test_a_preset_may_be_a_function() -> None:
    @stawm.register("preset", "my-digits", summary="Digits, looked at twice.")
    def my_digits() -> dict[str, Any]:
        return {"preset": "stawm-digits", "glimpses": 2}

    assert resolve("my-digits").glimpses == my_digits()["glimpses"]
    assert registry.find("preset", "my-digits").summary == "Digits, looked at twice."


def test_registering_the_same_class_again_is_no_clash() -> None:
    stawm.register("memory", "thing")(Thing)
    again = type("Thing", (), {**vars(Thing)})
    stawm.register("memory", "thing", summary="Run again.")(again)
    assert registry.find("memory", "thing").load() is again
    assert registry.find("memory", "thing").summary == "Run again."


@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_no_name_can_be_taken_over(kind: Kind, name: str) -> None:
    before = registry.entries(kind)[name]
    with pytest.raises(ConfigError, match=rf"{kind} name '{name}' is taken by .*\(stawm\)"):
        stawm.register(kind, name)(Thing)
    assert registry.entries(kind)[name] == before


def test_a_clash_of_registered_names() -> None:
    class Other(Thing):
        """Another thing."""

    stawm.register("memory", "thing")(Thing)
    with pytest.raises(ConfigError, match=r"'thing' is taken by tests\.test_registry:Thing \(tests\)"):
        stawm.register("memory", "thing")(Other)
    stawm.register("canvas", "thing")(Other)


def test_a_component_without_a_config() -> None:
    with pytest.raises(ConfigError, match="has no Config"):
        stawm.register("memory", "thing")(object)


@pytest.mark.parametrize("name", ["", "Thing", "my_thing", "a--b", "-a", "a-", "a.b", "a:b", "a b", "é", "²"])
def test_malformed_names(name: str) -> None:
    with pytest.raises(ConfigError, match="is not a legal name: lower case"):
        stawm.register("memory", name)(Thing)


def test_the_name_of_another_kind() -> None:
    with pytest.raises(UnknownNameError, match=r"named 'addition'\. 'addition' is a canvas, not a memory\."):
        registry.find("memory", "addition")


@pytest.mark.parametrize("name", ["conv:", "conv:x", "timm", "timm:", ":conv", ""])
def test_arguments_only_where_they_belong(name: str) -> None:
    with pytest.raises(UnknownNameError, match=f"No backbone named '{name}'"):
        registry.find("backbone", name)


def test_an_argument_given_alone() -> None:
    with pytest.raises(UnknownNameError, match="A name of timm is written 'timm:resnet18'"):
        registry.find("backbone", "resnet18")


def test_how_to_list_is_said() -> None:
    with pytest.raises(UnknownNameError, match="`stawm list memory` shows them all"):
        registry.find("memory", "nothing-of-the-kind")


@st.composite
def slips(draw: st.DrawFn) -> tuple[Kind, str, str]:
    """A registered name, and what becomes of it by one slip."""
    kind, name = draw(st.sampled_from(NAMES))
    letter = draw(st.sampled_from("abcdefghijklmnopqrstuvwxyz0123456789-_ .:") | st.characters())
    at = draw(st.integers(0, len(name) - 1))
    before, here, after = name[:at], name[at], name[at + 1 :]
    inserted, appended, substituted = before + letter + here + after, name + letter, before + letter + after
    deleted, swapped = before + after, before[:-1] + here + before[-1:] + after
    return kind, name, draw(st.sampled_from([inserted, appended, substituted, deleted, swapped]))


@settings(max_examples=200)
@given(slips())
@example((Kind.PRESET, "stawm-mnist-8", "sta:wm-mnist-8"))
@example((Kind.MEMORY, "oja", "oİja"))
@example((Kind.MEMORY, "oja", "oja:"))
@example((Kind.BACKBONE, "timm", "timm:"))
def test_any_slip_is_answered_with_the_name(slip: tuple[Kind, str, str]) -> None:
    kind, name, slipped = slip
    assume((kind, slipped) not in NAMES)
    with pytest.raises(UnknownNameError) as caught:
        registry.find(kind, slipped)
    suggested = str(caught.value).partition("Did you mean ")[2].partition("?")[0]
    assert f"'{name}'" in suggested or f"'{name}:" in suggested


@settings(max_examples=60)
@given(st.sampled_from([name for kind, name in NAMES if kind is Kind.PRESET]), st.data())
def test_a_slip_through_the_public_call(name: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(name) - 1))
    slipped = name[:at] + name[at + 1 :]
    assume(slipped not in stawm.list_names())
    with pytest.raises(UnknownNameError, match=f"'{name}'"):
        stawm.config(slipped)


@pytest.mark.parametrize("body", ["raise SystemExit", "raise GeneratorExit", "1 / 0", "return 3", "return {'x': 1}"])
def test_a_preset_that_cannot_be_made(body: str, unchecked: None) -> None:
    scope: dict[str, Any] = {}
    exec(f"def made():\n    print('made')\n    {body}", scope)
    stawm.register("preset", "mine")(scope["made"])
    with pytest.raises((ConfigError, UnknownNameError)):
        stawm.build("mine")


@pytest.mark.parametrize(("given", "meant"), [("timm/resnet18", "timm:resnet18"), ("timm.resnet18", "timm:resnet18")])
def test_a_network_spelled_as_elsewhere(given: str, meant: str) -> None:
    with pytest.raises(UnknownNameError, match=f"is written '{meant}'"):
        resolve("stawm-mnist-8", backbone=given)
