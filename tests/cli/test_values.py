"""What an option takes is checked before work begins: places to write to, counts, shares; help is true."""

import argparse
import errno
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

import stawm
from stawm import cli, training
from stawm.cli.graphs import is_graph
from stawm.cli.parser import make_parser, option, parse_overrides
from stawm.cli.values import at_least, certainty, try_file, try_folder
from stawm.configuration import field_hints
from stawm.configuration.fields import fits
from stawm.errors import InputError
from stawm.export.serve import session
from stawm.storage import pretrained
from stawm.training import Recipe, data
from stawm.training.options import RunOptions
from tests.small import tiny

parser: Any = make_parser()
(SUBPARSERS,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))

WORKING = {
    "train": "train stawm-digits --data digits --out {free}",
    "demo": "demo",
    "eval": "eval stawm-mnist-8 --data digits --resize",
    "draw": "draw stawm-mnist-draw-6 --data digits --resize",
    "diagnose": "diagnose stawm-mnist-8 --data digits --resize",
    "export": "export stawm-mnist-8 {free}",
    "run": "run m.onnx images",
    "explore": "explore stawm-mnist-8 a.tif",
    "explain": "explain stawm-mnist-8 --data digits --resize",
    "ask": "ask stawm-recall --data digits --resize",
    "tune-stop": "tune-stop stawm-mnist-8 --data digits --resize --error 1%",
    "bench": "bench stawm-mnist-8",
    "web": "web stawm-mnist-8",
    "trial": "trial memory mean",
}
"""Of each command that writes, a line that would work."""
PICTURES = [("eval", "--picture"), ("eval", "--looks"), ("diagnose", "--picture"), ("draw", "--out")]
PICTURES += [("explore", "--picture"), ("explain", "--out")]
FOLDERS = [
    ("trial", "--out"),
    ("train", "--out"),
    ("demo", "--out"),
    ("export", "--triton"),
    ("run", "--save"),
    ("web", "--out"),
]
CHECKPOINTS = [("tune-stop", "--out")]
BAD_FILES = ["{tmp}/nowhere/p.png", "{tmp}/file/p.png", "{tmp}/p.xyz", "{tmp}/p", "{tmp}/folder.png", "{tmp}/\0.png"]
BAD_FILES += ["", "{tmp}/" + 252 * "p" + ".png"]
BAD_FOLDERS = ["{tmp}/file", "{tmp}/file/inner", "{tmp}/\0", "{tmp}/" + 256 * "p"]


def spoken(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """What a command that is wrong says, in one line, with nothing printed as a result."""
    try:
        status: Any = cli.main([*argv])
    except SystemExit as stopped:
        status = stopped.code
    out, err = capsys.readouterr()
    assert (status, out, len(err.splitlines())) == (1, "", 1), err
    return err


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder where a file and a folder lie, and a process in which any work is a failure."""

    def works(*_: Any, **__: Any) -> None:
        raise AssertionError("work began")

    for module, name in ((pretrained, "find_model"), (data, "load"), (training, "train")):
        monkeypatch.setattr(module, name, works)
    monkeypatch.setattr(session.OnnxModel, "__init__", works)
    (tmp_path / "file").touch()
    (tmp_path / "folder.png").mkdir()
    return tmp_path


def arguments(command: str, tmp: Path) -> list[str]:
    return shlex.split(WORKING[command].format(free=tmp / "free"))


def test_every_output_of_every_command_is_tried_here():
    named = {"--out", "--picture", "--looks", "--save", "--triton"}
    there = {(c, flag) for c, p in SUBPARSERS.choices.items() for flag in p._option_string_actions if flag in named}
    assert there == {*PICTURES, *FOLDERS, *CHECKPOINTS}


@pytest.mark.parametrize("place", BAD_FILES)
@pytest.mark.parametrize(("command", "flag"), PICTURES)
def test_a_picture_that_cannot_be_written_ends_a_command_first(
    capsys: pytest.CaptureFixture[str], idle: Path, command: str, flag: str, place: str
):
    before = sorted(idle.iterdir())
    said = spoken(capsys, *arguments(command, idle), flag, place.format(tmp=idle))
    assert flag in said
    assert "Cannot write" in said or "must be a file that ends in one of .png" in said
    assert sorted(idle.iterdir()) == before


@pytest.mark.parametrize("place", BAD_FOLDERS)
@pytest.mark.parametrize(("command", "flag"), FOLDERS)
def test_so_does_a_folder(capsys: pytest.CaptureFixture[str], idle: Path, command: str, flag: str, place: str):
    before = sorted(idle.iterdir())
    said = spoken(capsys, *arguments(command, idle), flag, place.format(tmp=idle))
    assert flag in said
    assert "Cannot write" in said
    assert sorted(idle.iterdir()) == before


@pytest.mark.parametrize(
    "place", ["{tmp}/nowhere/m.onnx", "{tmp}/file/m.onnx", "{tmp}/folder.png", "{tmp}/\0.onnx", ""]
)
def test_so_does_an_exports_file(capsys: pytest.CaptureFixture[str], idle: Path, place: str):
    assert "Cannot write" in spoken(capsys, "export", "stawm-mnist-8", place.format(tmp=idle))


def test_what_does_not_go_together_is_said_first(capsys: pytest.CaptureFixture[str], idle: Path):
    steps = ["--graph", "step", "--triton", str(idle / "t")]
    assert "Triton serves a rollout" in spoken(capsys, "export", "stawm-mnist-8", str(idle / "s"), *steps)
    both = [f"--{name}={idle / 'p.png'}" for name in ("picture", "looks")]
    assert "name two files" in spoken(capsys, *arguments("eval", idle), *both)


@pytest.mark.parametrize(("command", "flag"), PICTURES)
def test_matplotlib_that_is_not_there_is_said_first(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, idle: Path, command: str, flag: str
):
    from stawm.cli import values

    monkeypatch.setattr(values, "find_spec", lambda name: None)
    said = spoken(capsys, *arguments(command, idle), flag, str(idle / "p.png"))
    assert "needs matplotlib: pip install 'stawm[train]'" in said


@pytest.mark.parametrize("command", ["eval", "diagnose"])
def test_what_was_measured_is_printed_before_pictures_are_made(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str
):
    """A disk may run full after all."""

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "p.png")

    monkeypatch.setattr(pretrained, "find_model", lambda given: tiny(image=(1, 16, 16)).eval())
    monkeypatch.setattr(stawm.viz, "save", full)
    assert cli.main([command, "m", "--data", "digits", "--picture", str(tmp_path / "p.png")]) == 1
    out, err = capsys.readouterr()
    assert "images" in out
    assert err == "stawm: p.png: No space left on device\n"


@pytest.mark.parametrize(
    ("flag", "words"), [("--looks", "takes no glimpses"), ("--picture", "neither classifies nor draws")]
)
def test_a_model_that_gives_nothing_to_picture_is_refused_before_it_is_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, idle: Path, flag: str, words: str
):
    monkeypatch.setattr(pretrained, "find_model", lambda given: stawm.build("bvae-cifar"))
    assert words in spoken(capsys, *arguments("eval", idle), flag, str(idle / "p.png"))


@pytest.mark.parametrize("name", ["T.ONNX", "t.onnx", "T.Onnx"])
def test_a_graph_is_told_by_its_ending_however_it_is_written(name: str):
    assert is_graph(name)
    assert not is_graph(name + ".safetensors")


def integers() -> list[tuple[str, str]]:
    """Every option that takes a whole number, of every command."""
    found = []
    for command, sub in SUBPARSERS.choices.items():
        for flag, action in sub._option_string_actions.items():
            if action.metavar == "N" or action.type is int:
                found.append((command, flag))
    return found


RECIPE: dict[str, Any] = {"name": "r", "epochs": 1}
NONE_IS_LEGAL = {
    *(("eval", "--validation"), ("draw", "--seed"), ("explain", "--seed"), ("ask", "--seed"), ("trial", "--seed")),
    *(("tune-stop", "--validation"),),
    *(("export", "--calibrate"), ("bench", "--calibrate"), ("web", "--calibrate"), ("web", "--port")),
} | {("train", option(name)) for name, hint in field_hints(RunOptions).items() if fits(0, hint)}


def test_every_count_is_found():
    assert {flag for _, flag in integers()} >= {
        *("--count", "--seed", "--images", "--validation", "--glimpses", "--opset", "--threads"),
        *("--train-images", "--transfer-passes", "--pictures"),
    }


@pytest.mark.parametrize("given", ["-3", "0", "x", "1.5", "9" * 5000])
@pytest.mark.parametrize(("command", "flag"), integers())
def test_counts_are_legal_before_work_begins(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, idle: Path, command: str, flag: str, given: str
):
    if command == "train":
        from stawm.training import trainer

        monkeypatch.setattr(training, "train", trainer.train)  # which checks its options before all else
    if given == "0" and (command, flag) in NONE_IS_LEGAL:
        return
    said = spoken(capsys, *arguments(command, idle), f"{flag}={given}")
    assert flag.removeprefix("--").replace("-", "_") in said.replace("-", "_")


def test_the_bounds_themselves_are_legal():
    assert [at_least(1)("1"), at_least(0)("0"), certainty("1"), certainty("1e-9")] == [1, 0, 1.0, 1e-9]


@pytest.mark.parametrize("given", ["0", "-0.5", "1.01", "nan", "x", "inf"])
def test_certainty_is_a_probability(capsys: pytest.CaptureFixture[str], idle: Path, given: str):
    assert "a number above 0 and at most 1" in spoken(capsys, *arguments("run", idle), f"--until={given}")


EXAMPLE = re.compile(r"([a-z_]+(?:\.[a-z_]+)*=[^\s,;]*[^\s,;.])")


@pytest.mark.parametrize("command", [name for name, sub in SUBPARSERS.choices.items() if sub.overrides])
def test_the_examples_in_help_are_true(command: str):
    """Every key=value of a help text changes a preset, or a recipe."""
    sub = SUBPARSERS.choices[command]
    texts = [sub.description, sub.epilog or "", *(action.help or "" for action in sub._actions)]
    found = [example for text in texts for example in EXAMPLE.findall(text) if not example.startswith("key=")]
    assert found
    for key, value in parse_overrides(found).items():
        if key.startswith("recipe."):
            assert Recipe(**{**RECIPE, key.removeprefix("recipe."): value}) != Recipe(**RECIPE)
            continue
        for preset in ("stawm-digits", "stawm-mnist-8"):
            assert stawm.config(preset, **{key: value}) != stawm.config(preset)


def test_the_commands_that_help_names_are_there():
    texts = [action.help or "" for sub in SUBPARSERS.choices.values() for action in sub._actions]
    named = [line for text in texts for line in re.findall(r"`stawm ([^`]+)`", text)]
    assert named
    for line in named:
        args, rest = make_parser().parse_known_args(shlex.split(line))
        assert args.parser.overrides_in(rest, args) == {}


def test_places_are_tried_without_a_trace(tmp_path: Path):
    (tmp_path / "kept.png").write_text("kept")
    try_file(tmp_path / "kept.png")
    try_folder(tmp_path / "new" / "newer")
    assert [path.name for path in tmp_path.iterdir()] == ["kept.png"]
    assert (tmp_path / "kept.png").read_text() == "kept"
    with pytest.raises(InputError, match="Cannot write"):
        try_file(tmp_path / "no" / "p.png")
