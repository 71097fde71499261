"""Components of other packages: found by their names, listed where they are broken, and never taken over."""

import json
import sys
from dataclasses import dataclass
from typing import Any

import pytest

import stawm
from stawm import cli, registry
from stawm.configuration import Config as BaseConfig
from stawm.errors import ConfigError, UnknownNameError
from tests.plugins import MEMORY, Install

resolve: Any = stawm.config


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})


class Thing:
    """A thing. It does nothing."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        name: str = "thing"


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
    assert "is taken by tests.test_plugins:Thing" in registry.broken_plugins()[0].reason
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
