"""What is printed steers no terminal and fits every console, whatever files say and whichever command says it."""

import argparse
import errno
import io
import json
import shutil
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import rich.console
import tifffile
from PIL import Image

import stawm
from stawm import cli, registry, training
from stawm.cli import commands, printing
from stawm.cli import demo as demos
from stawm.cli.parser import make_parser
from stawm.export import Check
from stawm.export.write import verifying
from stawm.training import Evaluation, data
from stawm.web import site
from tests.shared import once

HOSTILE = "\x1b[31m\u202e[red]a\n\rb\x07\x9b2J\u2028δ猫\u2066"
FORBIDDEN = set("\x1b\u202e\r\x07\x9b\u2028\u2066")
NAMES = [f"{' '.join(HOSTILE.split())}{k}" for k in range(10)]
"""Names of classes are one line each, or no model is built."""
CONSOLES = ["utf-8", "cp1252", "ascii"]


class Console:
    """The two streams of a process whose console has an encoding, and refuses what it lacks."""

    def __init__(self, encoding: str) -> None:
        self.encoding = encoding
        self.out, self.err = (io.TextIOWrapper(io.BytesIO(), encoding, "strict") for _ in range(2))

    def run(self, *argv: object) -> tuple[int | str | None, str, str]:
        """Status, output and errors of a command."""
        before = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = self.out, self.err
        try:
            status: Any = cli.main([*map(str, argv)])
        except SystemExit as stopped:
            status = stopped.code
        finally:
            sys.stdout, sys.stderr = before
        for stream in (self.out, self.err):
            stream.flush()
        out, err = (stream.buffer.getvalue().decode(self.encoding) for stream in (self.out, self.err))  # type: ignore[attr-defined]
        return status, out, err


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a hostile name with a model, images and its graph, whose classes are named worse."""
    made = once(tmp_path_factory, "hostile", _placed)
    return Path(shutil.copytree(made, tmp_path_factory.mktemp("hostile") / made.name))  # commands write into it


def _placed(folder: Path) -> Path:
    folder = folder / HOSTILE.replace("\r", "")
    folder.mkdir()
    both: Any = {"heads": ["classification", "drawing"], "memory_size": 8, "hidden_size": 8, "glimpses": 1}
    stawm.save(stawm.build("stawm-digits", seed=0, class_names=NAMES, **both), folder / "m.safetensors")
    looks: Any = {**both, "heads": "classification", "glimpses": 2, "context_size": 8, "locator.antialias": True}
    stawm.save(stawm.build("stawm-digits", seed=0, class_names=NAMES, **looks), folder / "any.safetensors")
    asked: Any = {**looks, "heads": {"name": "recall", "cue_names": NAMES[:4]}}
    stawm.save(stawm.build("stawm-digits", seed=0, class_names=NAMES, **asked), folder / "asked.safetensors")
    tifffile.imwrite(folder / "a.tif", np.zeros((64, 64), dtype=np.uint8), tile=(32, 32))
    Image.fromarray(np.zeros((16, 16), dtype=np.uint8)).save(folder / "a.png")
    status, out, _ = Console("ascii").run("export", folder / "m.safetensors", folder / "m.onnx")
    assert status == 0
    (folder / "exported").write_text(out)
    return folder


COMMANDS: dict[str, list[str]] = {
    "list": [],
    "describe": ["hebb-rosenblatt"],
    "cite": ["stawm-digits"],
    "eval": ["{m}", "--data", "digits"],
    "draw": ["{m}", "{image}", "--out", "{here}/p.png"],
    "diagnose": ["{m}", "--data", "digits", "--images", "3"],
    "inspect": ["{m}"],
    "run": ["{graph}", "{image}", "--device", "cpu"],
    "train": ["stawm-digits", "--data", "digits", "--out", "{here}/run"],
    "demo": ["--out", "{here}/demo"],
    "verify": ["{graph}", "{m}"],
    "export": ["{m}", "{here}/n.onnx"],
    "env": [],
    "explain": ["{any}", "{image}"],
    "ask": ["{asked}", "{image}"],
    "explore": ["{any}", "{tiff}"],
    "tune-stop": [
        "{any}",
        "--data",
        "digits",
        "--validation",
        "50",
        "--error",
        "100%",
        "--out",
        "{here}/t.safetensors",
    ],
    "bench": ["{any}", "--formats", "pytorch", "--rounds", "1"],
    "web": ["{m}", "--out", "{here}/site"],
    "trial": ["memory", "mean", "--task", "places", "recipe.steps=1", "recipe.batch=2", "recipe.measured=2"],
}
SLOW = {"verify", "export"}
"""What takes seconds: tried once, on a console of ASCII; of `export` it is what made the graph of `place`."""


def filled(place: Path, command: str) -> list[str]:
    names = {"any": place / "any.safetensors", "asked": place / "asked.safetensors", "tiff": place / "a.tif"}
    names |= {"m": place / "m.safetensors", "graph": place / "m.onnx", "image": place / "a.png", "here": place}
    return [command, *(arg.format(**names) for arg in COMMANDS[command])]


def test_every_command_is_tried_here():
    parser: Any = make_parser()
    (found,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    assert set(found.choices) == set(COMMANDS)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train and export nothing: what a run and a demo give is there at once, in hostile words; so is a plug-in."""
    measured = Evaluation(
        images=9, error=0.5, interval=(0.0, 1.0), confusion=((0, 9), (0, 0)), class_names=(*NAMES[:2],)
    )
    monkeypatch.setattr(training, "train", lambda *_, **__: SimpleNamespace(evaluation=measured, verdict=HOSTILE))
    monkeypatch.setattr(demos, "demo", lambda *_, **__: measured)
    monkeypatch.setattr(site, "write_model", lambda model, place, *_, **__: place.mkdir())
    monkeypatch.setattr(registry, "broken_plugins", lambda: (HOSTILE,))
    load = data.load
    monkeypatch.setattr(data, "load", lambda *args, **options: _renamed(load(*args, **options)))


def _renamed(splits: data.Splits) -> data.Splits:
    """The same images with hostile names of classes, as the model has them."""
    return data.Splits(*(replace(part, class_names=tuple(NAMES)) for part in splits))


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("encoding", CONSOLES)
@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - SLOW))
def test_no_command_prints_what_steers_a_terminal_nor_ends_at_a_console(place: Path, command: str, encoding: str):
    status, out, err = Console(encoding).run(*filled(place, command))
    assert (status, bool(out)) == (0, True), err
    assert not FORBIDDEN & {*out, *err}
    if command in ("eval", "train", "demo", "run", "inspect", "draw"):
        shown = "[red]a b\\x07" if command != "draw" else "[red]a"
        assert shown in out or json.dumps(NAMES[0])[1:9] in out, "names are shown, and each in one line"


@pytest.mark.parametrize("command", sorted(SLOW))
def test_nor_do_those_that_take_longer(place: Path, command: str, monkeypatch: pytest.MonkeyPatch):
    out = (place / "exported").read_text()
    if command == "verify":  # which is printed in the same way whatever a fresh export, which takes seconds, gives
        monkeypatch.setattr(verifying, "compare", lambda files, model: Check("fresh export", True, HOSTILE))
        status, out, _ = Console("ascii").run(*filled(place, command))
        assert status == 0
    assert out.isascii()
    assert not FORBIDDEN & {*out}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - SLOW - {"cite"}))
def test_json_stays_json_and_says_the_names_themselves(place: Path, command: str):
    status, out, _ = Console("ascii").run(*filled(place, command), "--json")
    assert status == 0
    assert out.count("\n") == 1, "one line"
    said = json.loads(out, parse_constant=pytest.fail)
    if command in ("eval", "train", "demo"):
        assert said["class_names"][0] == NAMES[0]


@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - {"cite", "list", "describe", "env", "trial"}))
@pytest.mark.parametrize("encoding", ["utf-8"])
def test_errors_are_as_clean(place: Path, command: str, encoding: str):
    nowhere = place / HOSTILE
    argv = [
        str(nowhere) if arg.endswith((".safetensors", ".onnx", "digits", "demo")) else arg
        for arg in filled(place, command)
    ]
    status, out, err = Console(encoding).run(*argv, *([] if command != "demo" else ["--data", HOSTILE]))
    assert (status, out) == (1, "")
    assert err.startswith("stawm")
    assert "Traceback" not in err
    assert not FORBIDDEN & {*err}


@pytest.mark.parametrize(
    "argv", [[HOSTILE], ["describe", HOSTILE], ["cite", "stawm-digits", HOSTILE], ["list", HOSTILE]]
)
def test_what_was_typed_comes_back_clean(argv: list[str]):
    status, _, err = Console("cp1252").run(*argv)
    assert status == 1
    assert not FORBIDDEN & {*err}


def test_greek_is_spelled_where_a_console_lacks_it():
    def said(encoding: str) -> str:
        return Console(encoding).run("describe", "hebb-rosenblatt")[1]

    assert "δ" in said("utf-8")
    assert "δ" not in said("ascii")
    assert "delta" in said("ascii")
    assert "\\u" not in said("ascii")


@pytest.mark.parametrize(
    "setting", [{"FORCE_COLOR": "1"}, {"NO_COLOR": "1"}, {"TERM": "dumb"}, {"CLICOLOR_FORCE": "1"}]
)
@pytest.mark.parametrize(
    "argv", [["list"], ["--help"], ["describe", "crop"], ["train", "--help"], ["describe", "nothing"]]
)
def test_settings_of_colour_bring_none(monkeypatch: pytest.MonkeyPatch, argv: list[str], setting: dict[str, str]):
    plain = Console("utf-8").run(*argv)
    for name, value in setting.items():
        monkeypatch.setenv(name, value)
    assert Console("utf-8").run(*argv) == plain
    assert "\x1b" not in plain[1] + plain[2]


def test_a_process_without_streams_ends_as_others_do(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert cli.main(["list", "memory"]) == 0
    assert cli.main(["describe", "nothing"]) == 1


def test_progress_keeps_its_own_control_codes():
    """What rich draws goes to the terminal itself; what is printed beside it is cleaned."""
    console = Console("utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", console.err)
        with printing.plainly():
            rich.console.Console(stderr=True, force_terminal=True).print("[bold]x[/]")
            print("\x1b[1my", file=sys.stderr)
    console.err.flush()
    assert console.err.buffer.getvalue().decode() == "\x1b[1mx\x1b[0m\n\\x1b[1my\n"  # type: ignore[attr-defined]


def replaced(monkeypatch: pytest.MonkeyPatch, raises: Callable[[], Any]) -> tuple[int | str | None, str, str]:
    monkeypatch.setattr(commands, "cite", lambda args: raises())
    return Console("utf-8").run("cite", "stawm-digits")


class ForeignError(RuntimeError):
    """What another package raises."""


ForeignError.__module__ = "torch._inductor.exc"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "x.png"), "x.png: No space left on device"),
        (OSError(errno.EROFS, "Read-only file system"), "Read-only file system"),
        (MemoryError(), "not enough memory"),
        (ForeignError("\nno compiler\nmore"), "torch fails with ForeignError: no compiler"),
        (ForeignError(), "no reason given"),
        (ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib.figure"), "pip install 'stawm[train]'"),
    ],
)
def test_what_fails_elsewhere_is_one_sentence(monkeypatch: pytest.MonkeyPatch, error: Exception, words: str):
    def fails() -> None:
        raise error

    status, out, err = replaced(monkeypatch, fails)
    assert (status, out, len(err.splitlines())) == (1, "", 1)
    assert words in err
    monkeypatch.setenv("STAWM_TRACEBACK", "1")
    with pytest.raises(type(error)):
        replaced(monkeypatch, fails)


def test_a_fault_of_our_own_is_not_hidden(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ZeroDivisionError):
        replaced(monkeypatch, lambda: 1 // 0)


def test_a_reader_that_went_away_is_no_error(monkeypatch: pytest.MonkeyPatch):
    class Closed(io.StringIO):
        def write(self, said: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Closed())
    assert cli.main(["list", "memory"]) == 0


def test_a_warning_is_one_clean_line(monkeypatch: pytest.MonkeyPatch):
    def warn() -> None:  # pytest takes warnings away before they are printed
        sys.stderr.write(warnings.formatwarning(UserWarning(HOSTILE), UserWarning, "x.py", 3))

    before = warnings.formatwarning
    status, _, err = replaced(monkeypatch, warn)
    assert (status, len(err.splitlines())) == (0, 1)
    assert err.startswith("stawm: warning: ")
    assert warnings.formatwarning is before


@pytest.mark.parametrize("package", ["matplotlib", "accelerate", "tensorboard"])
def test_python_too_says_which_extra_brings_what_lacks(monkeypatch: pytest.MonkeyPatch, package: str):
    from stawm import lazy
    from stawm.errors import StawmError

    def lacking(module: str) -> Any:
        raise ModuleNotFoundError(f"No module named {package!r}", name=f"{package}.part")

    monkeypatch.setattr(lazy, "import_module", lacking)
    with pytest.raises(ModuleNotFoundError, match=rf"needs {package}: pip install 'stawm\[train\]'") as raised:
        lazy.attach("stawm", {}, {"viz": "stawm.viz"})[0]("viz")
    assert isinstance(raised.value, StawmError)
    assert raised.value.name == f"{package}.part"
