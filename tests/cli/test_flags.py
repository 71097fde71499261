"""Every flag of every command arrives where it is meant, at a value that is not the usual one."""

import argparse
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import accelerate
import pytest

import stawm
from stawm import registry, training
from stawm.cli import demo as demos
from stawm.cli.parser import make_parser, option
from stawm.training.options import NAMES
from tests.cli.hearing import Said, run
from tests.cli.test_flags_of_draw import PICTURES
from tests.training.test_options import OTHERS


def options_of(command: str) -> set[str]:
    """The options that a command has, but for those that all have: help, JSON, and scripts (see test_import.py)."""
    parser: Any = make_parser()
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    found = commands.choices[command]._option_string_actions
    return {name for name in found if name.startswith("--")} - {"--help", "--json", "--import"}


TRAIN: dict[str, list[str]] = {
    name: [option(name), *([] if value is True else [str(value)])] for name, value in OTHERS.items()
}


def test_every_option_of_a_command_is_tried_here():
    tried = {
        "train": {"--data", "--out", "--recipe", "--seeds", *(flags[0] for flags in TRAIN.values())},
        "eval": {
            *("--data", "--resize", "--download", "--held-out", "--validation", "--samples", "--picture", "--looks")
        },
        "draw": {
            *("--data", "--resize", "--download", "--held-out", "--out", "--count", "--seed", "--beside", "--glimpse"),
            *(flag for flag, *_ in PICTURES),
        },
        "explain": {"--data", "--resize", "--download", "--held-out", "--out", "--count", "--seed"},
        "ask": {"--data", "--resize", "--download", "--held-out", "--cue", "--count", "--seed"},
        "tune-stop": {
            *("--data", "--resize", "--download", "--held-out", "--error", "--glimpses", "--validation", "--augment"),
            *("--certainty", "--out"),
        },
        "diagnose": {"--data", "--resize", "--download", "--held-out", "--images", "--picture"},
        "export": {
            *("--graph", "--glimpses", "--precision", "--weights", "--opset", "--outputs", "--sidecar", "--data"),
            *("--sample", "--steered", "--triton", "--device", "--agreement", "--calibrate"),
        },
        "web": {
            *("--out", "--weights", "--precision", "--data", "--agreement", "--calibrate", "--title"),
            *("--pictures", "--until", "--project-url", "--serve", "--port"),
        },
        "trial": {"--task", "--seed", "--out"},
        "verify": {"--device", "--data", "--agreement"},
        "run": {"--until", "--save", "--device", "--allow-fallback", "--threads"},
        "list": {"--exclude"},
        "describe": {"--kind"},
        "cite": set(),
        "env": set(),
        "inspect": set(),
        "demo": {"--data", "--out"},
    }
    assert {command: options_of(command) for command in tried} == tried


@pytest.mark.parametrize("name", NAMES)
def test_every_option_of_train_arrives_alone(heard: Any, name: str):
    calls = heard(training, "train", Said(evaluation=Said(error=0), verdict="saved m"))
    run("train", "stawm-digits", "--data", "digits", "--out", "x", *TRAIN[name])
    expected = str(OTHERS[name]) if name == "start" else OTHERS[name]
    assert calls["options"] == {"quiet": False, name: expected}


def test_everything_given_to_train_arrives(heard: Any):
    calls = heard(training, "train", Said(evaluation=Said(error=0), verdict="saved m"))
    flags = [flag for flags in TRAIN.values() for flag in flags]
    run("train", "stawm-digits", "--data", "mnist:x", "--out", "y", "--recipe", "paper", "memory.eta=1", *flags)
    assert calls.pop("options") == {name: str(value) if name == "start" else value for name, value in OTHERS.items()}
    assert calls == {
        "args": ("stawm-digits",),
        "data": "mnist:x",
        "out": Path("y"),
        "recipe": "paper",
        "memory.eta": 1,
    }


def test_train_prints_json_quietly(heard: Any, capsys: pytest.CaptureFixture[str]):
    calls = heard(training, "train", Said(evaluation=Said(error=0.5), verdict="saved m"))
    run("train", "stawm-digits", "--data", "digits", "--out", "x", "--json")
    assert calls["options"] == {"quiet": True}
    assert calls["recipe"] == "fast"
    assert json.loads(capsys.readouterr().out) == {"error": 0.5}


def test_of_several_processes_one_prints(
    heard: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    heard(training, "train", Said(evaluation=Said(error=0.5), verdict="saved m"))
    monkeypatch.setattr(accelerate, "PartialState", lambda: SimpleNamespace(is_main_process=False))
    run("train", "stawm-digits", "--data", "digits", "--out", "x")
    assert capsys.readouterr().out == ""


def test_what_follows_resize_alone_stays_what_it_is(heard: Any):
    calls = heard(training, "train", Said(evaluation=Said(error=0), verdict="saved m"))
    run("train", "stawm-digits", "--data", "digits", "--out", "x", "--resize", "glimpses=3")
    assert (calls["options"]["resize"], calls["glimpses"]) == (True, 3)
    run("train", "--resize", "squeeze", "stawm-digits", "--data", "digits", "--out", "x")
    assert (calls["options"]["resize"], calls["args"]) == ("squeeze", ("stawm-digits",))


def test_the_options_of_demo_arrive(heard: Any, capsys: pytest.CaptureFixture[str]):
    calls = heard(demos, "demo")
    run("demo")
    assert calls == {"args": ("digits", Path("demo")), "quiet": False}
    run("demo", "--data", "mnist:x", "--out", "y", "--json", "glimpses=2")
    assert calls == {"args": ("mnist:x", Path("y")), "quiet": True, "glimpses": 2}


def test_the_options_of_list_arrive(capsys: pytest.CaptureFixture[str]):
    run(
        "list",
        "preset",
        "stawm-mnist-[28]*",
        "bvae*",
        "--exclude",
        "*-28",
        "--exclude",
        "*draw*",
        "--exclude",
        "*selfsup",
    )
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["bvae-cifar", "stawm-mnist-8"]
    run("list", "preset", "stawm-mnist-8.*", "--json")
    assert [entry["name"] for entry in json.loads(capsys.readouterr().out)] == ["stawm-mnist-8.fast"]
    run("list", "memory")
    assert capsys.readouterr().out.splitlines()[0].startswith("  ")
    assert [line.split()[0] for line in _lines(capsys, "list", "memory")] == stawm.list_names("memory")


def _lines(capsys: pytest.CaptureFixture[str], *argv: str) -> list[str]:
    run(*argv)
    return capsys.readouterr().out.splitlines()


def test_list_says_which_plugins_are_broken(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    broken = registry.BrokenPlugin("memory", "mine", "theirs 1.0", "it is torn")
    monkeypatch.setattr(registry, "broken_plugins", lambda: (broken,))
    run("list", "memory")
    assert capsys.readouterr().err == f"cannot be used: {broken}\n"
