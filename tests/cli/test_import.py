"""Components of a script on the command line: ``--import my_file.py``."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import stawm
from stawm import cli, registry
from stawm.errors import CheckpointError
from tests.plugins import MEMORY

REGISTERED = "import stawm\nprint('imported')\n" + MEMORY.replace(
    "class Mine", "@stawm.register('memory', 'of-script')\nclass Mine"
).replace('name: str = "mine"', 'name: str = "of-script"')


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    modules = set(sys.modules)
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    for name in set(sys.modules) - modules:
        if name.startswith(("my_file", "script_")):
            del sys.modules[name]


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "my_file.py"
    path.write_text(REGISTERED)
    return path


def test_what_a_script_registers_is_there(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list", "memory", "--json", "--import", str(script)]) == 0
    out, err = capsys.readouterr()
    assert "of-script" in [entry["name"] for entry in json.loads(out)]
    assert "imported" in err
    assert cli.main(["describe", "of-script", "--import", str(script), "--import", str(script)]) == 0


def test_a_checkpoint_of_a_script_says_how_it_is_loaded(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = script.with_name("model.safetensors")
    assert cli.main(["list", "memory", "--import", str(script)]) == 0
    stawm.save(stawm.build("stawm-digits", memory="of-script"), path)
    registry._registered.clear()
    with pytest.raises(CheckpointError, match=r"of-script came with the module my_file: .* --import my_file\.py"):
        stawm.load(path)
    del sys.modules["my_file"]
    capsys.readouterr()
    assert cli.main(["inspect", str(path), "--import", str(script), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["origins"]["memory.of-script"] == "my_file"


def test_a_component_of_the_main_module_says_how_it_is_loaded(script: Path) -> None:
    path = script.with_name("model.safetensors")
    scope = {"__name__": "__main__"}
    exec(REGISTERED, scope)
    stawm.save(stawm.build("stawm-digits", memory="of-script"), path)
    registry._registered.clear()
    with pytest.raises(CheckpointError, match=r"came with a script: import it first, .* with --import"):
        stawm.load(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero (line 1)"),
        ("x = 1\nimport sys\nsys.exit(3)", "SystemExit: 3 (line 3)"),
        ("def", "SyntaxError"),
        (None, "takes a file of Python"),
    ],
)
def test_a_script_that_cannot_be_imported(
    text: str | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "my_file_2.py"
    if text is not None:
        path.write_text(text)
    assert cli.main(["list", "--import", str(path)]) == 1
    assert words in capsys.readouterr().err


def test_a_script_of_the_name_of_another_module_hides_nothing(tmp_path: Path) -> None:
    path = tmp_path / "json.py"
    path.write_text("x = 1")
    assert cli.main(["list", "canvas", "--import", str(path)]) == 0
    assert sys.modules["json"] is json
    assert "script_json" in sys.modules
