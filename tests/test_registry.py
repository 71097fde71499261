"""Names: listing, looking up, clashes, misspelt ones, and components of other packages."""

import json
import re
import sys
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import stawm
from stawm import cli, registry
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


def test_a_plugin_is_built_by_name(install_plugin: Install) -> None:
    install_plugin("my-memories", {"my_memory": MEMORY}, {"memory.mine": "my_memory:Mine"})
    assert "mine" in stawm.list_names("memory")
    assert "my_memory" not in sys.modules, "listing imports nothing"
    model = stawm.build("stawm-digits", memory={"name": "mine", "decay": 0.5})
    assert type(model.memory).__name__ == "Mine"
    assert model.config.to_dict()["memory"]["decay"] == 0.5
    entry = registry.find("memory", "mine")
    assert (entry.origin, entry.summary) == ("my-memories 1.2", "Fast weights under another name.")
    assert "ba2016" in stawm.cite(model)
    assert stawm.describe("mine").origin == "my-memories 1.2"
    assert registry.entries("memory")["mine"] == entry
    assert registry.broken_plugins() == ()


def test_a_plugin_may_bring_a_preset(install_plugin: Install) -> None:
    install_plugin(
        "p", {"p_preset": "PRESET = {'preset': 'stawm-digits', 'glimpses': 3}"}, {"preset.tiny": "p_preset:PRESET"}
    )
    assert resolve("tiny").glimpses == 3


BROKEN: dict[str, tuple[dict[str, str], str, str, str]] = {
    "not there": ({}, "memory.gone", "no_such_module:Thing", "ModuleNotFoundError"),
    "fails": (
        {"failing": "raise RuntimeError('no licence')"},
        "memory.fails",
        "failing:Thing",
        "RuntimeError: no licence",
    ),
    "lacks": ({"lacking": "x = 1"}, "memory.lacks", "lacking:Thing", "has no attribute 'Thing'"),
    "no config": ({"bare": "class Thing: ..."}, "memory.bare", "bare:Thing", "no Config"),
    "clash": ({"clashing": MEMORY}, "memory.fast-weights", "clashing:Mine", "is taken by stawm.nn.memories"),
    "illegal": ({"illegal": MEMORY}, "memory.My_Mine", "illegal:Mine", "not a legal name"),
    "kind": ({"odd": MEMORY}, "memry.mine", "odd:Mine", "Did you mean 'memory'"),
    "no kind": ({"kindless": MEMORY}, "mine", "kindless:Mine", "The kinds are"),
    "exits": ({"exiting": "import sys; sys.exit('bye')"}, "memory.exits", "exiting:Thing", "it called sys.exit: bye"),
    "exits silently": ({"leaving": "raise SystemExit"}, "memory.leaves", "leaving:Thing", "it called sys.exit"),
    "beyond exceptions": (
        {"odd_base": "class Odd(BaseException): ...\nraise Odd('odd')"},
        "memory.odd-base",
        "odd_base:Thing",
        "Odd: odd",
    ),
    "generator exit": ({"gen": "raise GeneratorExit"}, "memory.gen", "gen:Thing", "GeneratorExit"),
    "no place": ({}, "memory.malformed", "this is : no place at all", "AttributeError"),
    "empty": ({}, "memory.empty", "", ""),
    "a config that is none": ({"nocfg": "class Thing:\n    Config = 3"}, "memory.nocfg", "nocfg:Thing", "no Config"),
    "cites that are none": (
        {"badcites": MEMORY.replace('cites = ("ba2016",)', "cites = 3")},
        "memory.badcites",
        "badcites:Mine",
        "TypeError",
    ),
    "attributes that fail": (
        {"meta": "class M(type):\n    def __getattr__(c, k): raise OSError('no')\nclass T(metaclass=M): ..."},
        "memory.meta",
        "meta:T",
        "OSError: no",
    ),
    "a name without end": ({"longname": MEMORY}, f"memory.{'a' * 200}", "longname:Mine", "not a legal name"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_listed_and_breaks_nothing_else(case: str, install_plugin: Install) -> None:
    sources, point, target, reason = BROKEN[case]
    presets, memories = stawm.list_names(), stawm.list_names("memory")
    install_plugin("bad", sources, {point: target}, version="0.1")
    install_plugin("my-memories", {"my_memory": MEMORY}, {"memory.mine": "my_memory:Mine"})
    (broken,) = registry.broken_plugins()
    assert reason in broken.reason
    assert broken.origin == "bad 0.1"
    assert str(broken).endswith(broken.reason)
    assert stawm.list_names() == presets
    assert {*memories, "mine"} <= {*stawm.list_names("memory")}
    listed = registry.entries("memory")
    assert sorted(listed) == sorted(stawm.list_names("memory"))
    assert {n for n, e in listed.items() if e.summary.startswith("Cannot be used")} == {*listed} - {*memories, "mine"}
    assert stawm.build("stawm-digits", memory="mine").memory is not None
    with pytest.raises(UnknownNameError) as caught:
        registry.find("memory", "fast-weight")
    assert str(broken) in str(caught.value)


@pytest.mark.parametrize("case", ["not there", "fails", "lacks", "no config", "exits", "beyond exceptions", "no place"])
def test_building_with_a_broken_plugin_says_why(case: str, install_plugin: Install) -> None:
    sources, point, target, reason = BROKEN[case]
    install_plugin("bad", sources, {point: target})
    with pytest.raises(UnknownNameError, match=f"from bad 1.2 cannot be used: .*{reason}"):
        stawm.build("stawm-digits", memory=point.removeprefix("memory."))


def test_what_a_plugin_prints_is_not_the_answer(install_plugin: Install, capfd: pytest.CaptureFixture[str]) -> None:
    install_plugin("loud", {"loud": f"print('hello')\n{MEMORY}"}, {"memory.loud": "loud:Mine"})
    install_plugin("louder", {"louder": "print('last words')\nraise SystemExit"}, {"memory.louder": "louder:Mine"})
    assert cli.main(["list", "memory", "--json"]) == 0
    out, err = capfd.readouterr()
    assert {"loud", "louder"} <= {entry["name"] for entry in json.loads(out)}
    assert "hello" in err
    assert "last words" in err


@pytest.mark.parametrize("command", [["list"], ["list", "preset"], ["describe", "oja"], ["describe", "stawm-digits"]])
def test_commands_survive_a_plugin_that_exits(
    command: list[str], install_plugin: Install, capfd: pytest.CaptureFixture[str]
) -> None:
    for case in ("exits", "beyond exceptions", "no place"):
        sources, point, target, _ = BROKEN[case]
        install_plugin(case.replace(" ", "-"), sources, {point: target})
    preset = {"exiting_preset": "import sys; sys.exit(3)"}
    install_plugin("p", preset, {"preset.exits": "exiting_preset:PRESET"})
    assert cli.main(command) == 0
    assert cli.main(["describe", "exits", "--kind", "preset"]) == 1
    assert "it called sys.exit" in capfd.readouterr().err


def test_entry_points_that_cannot_be_read_are_named_and_hide_no_others(install_plugin: Install) -> None:
    site = install_plugin("torn", {}, {})
    next(site.glob("*.dist-info/entry_points.txt")).write_text("[stawm.components]\nno equals sign\n[\n= =\n")
    install_plugin("my-memories", {"my_memory": MEMORY}, {"memory.mine": "my_memory:Mine"})
    assert "mine" in stawm.list_names("memory")
    assert stawm.build("stawm-digits", memory="mine").memory is not None


def test_an_interrupt_of_the_user_is_no_fault_of_a_plugin(install_plugin: Install) -> None:
    install_plugin("slow", {"slow": "raise KeyboardInterrupt"}, {"memory.slow": "slow:Mine"})
    for call in (registry.broken_plugins, lambda: registry.entries("memory"), lambda: registry.find("memory", "slow")):
        with pytest.raises(KeyboardInterrupt):
            call()


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


def test_of_two_plugins_with_one_name_one_is_broken(install_plugin: Install) -> None:
    install_plugin("first", {"first_memory": MEMORY}, {"memory.mine": "first_memory:Mine"})
    install_plugin("second", {"second_memory": MEMORY}, {"memory.mine": "second_memory:Mine"})
    (broken,) = registry.broken_plugins()
    used = registry.find("memory", "mine")
    assert {broken.origin, used.origin} == {"first 1.2", "second 1.2"}
    assert f"taken by {used.load().__module__}:Mine ({used.origin})" in broken.reason


def test_a_plugin_cannot_take_over_what_was_registered(install_plugin: Install) -> None:
    stawm.register("memory", "mine")(Thing)
    install_plugin("late", {"late_memory": MEMORY}, {"memory.mine": "late_memory:Mine"})
    assert "is taken by tests.test_registry:Thing" in registry.broken_plugins()[0].reason
    assert registry.find("memory", "mine").load() is Thing


def test_nor_can_a_plugin_be_taken_over(install_plugin: Install) -> None:
    install_plugin("early", {"early_memory": MEMORY}, {"memory.mine": "early_memory:Mine"})
    with pytest.raises(ConfigError, match=r"taken by early_memory:Mine \(early 1.2\)"):
        stawm.register("memory", "mine")(Thing)


def test_a_plugin_that_also_registers_itself_is_no_clash(install_plugin: Install) -> None:
    decorated = "import stawm\n@stawm.register('memory', 'mine', summary='Said there.')\nclass Mine"
    install_plugin(
        "twice", {"twice_memory": MEMORY.replace("class Mine", decorated)}, {"memory.mine": "twice_memory:Mine"}
    )
    first, again = registry.find("memory", "mine"), registry.find("memory", "mine")
    assert first == again == registry.entries("memory")["mine"]
    assert (first.origin, first.summary) == ("twice 1.2", "Said there.")
    assert first.load().__module__ == "twice_memory"
    assert registry.broken_plugins() == ()


def test_plugins_can_be_switched_off(install_plugin: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install_plugin(
        "my-memories", {"my_memory": MEMORY}, {"memory.mine": "my_memory:Mine", "memory.broken": "nowhere:X"}
    )
    monkeypatch.setenv("STAWM_PLUGINS", "0")
    assert "mine" not in stawm.list_names("memory")
    assert registry.broken_plugins() == ()
    with pytest.raises(UnknownNameError, match="No memory named 'mine'"):
        stawm.build("stawm-digits", memory="mine")


def test_the_same_answer_each_time(install_plugin: Install) -> None:
    install_plugin("my-memories", {"my_memory": MEMORY}, {"memory.mine": "my_memory:Mine"})
    listings: list[Any] = [stawm.list_names("memory") for _ in range(2)]
    registry.find("memory", "mine")
    assert listings == [stawm.list_names("memory")] * 2
