"""What is said beside the answer goes to stderr, and where a program reads, nowhere."""

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import stawm
from stawm import cli
from stawm.cli.notices import notices
from tests.small import tiny

SAID = "has no test part: a random 20%"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "m.safetensors"
    stawm.save(tiny(heads="classification"), path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (10, 12, 12), dtype=np.uint8)
    for name in "0123456789":
        (tmp_path / "set" / name).mkdir(parents=True)
        Image.fromarray(pixels[int(name)]).save(tmp_path / "set" / name / "x.png")
    (tmp_path / "set" / "notes.txt").touch()
    return tmp_path / "set"


@pytest.mark.parametrize("command", ["eval", "diagnose"])
def test_what_was_taken_and_left_out_is_said_beside_the_answer(
    capsys: pytest.CaptureFixture[str], checkpoint: Path, folder: Path, command: str
) -> None:
    argv: list[Any] = [command, checkpoint, "--data", f"folder:{folder}"]
    assert cli.main([str(arg) for arg in argv]) == 0
    said = capsys.readouterr()
    for words in (SAID, "8 images to train on, 2 to test on; 10 classes", "notes.txt"):
        assert words in said.err
        assert words not in said.out
    assert cli.main([str(arg) for arg in [*argv, "--json"]]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert json.loads(said.out)


def test_loggers_are_left_as_they_were() -> None:
    logger = logging.getLogger("stawm")
    before = (logger.level, list(logger.handlers))
    for quiet in (False, True):
        with pytest.raises(KeyboardInterrupt), notices(quiet=quiet):
            raise KeyboardInterrupt
        assert (logger.level, logger.handlers) == before


def test_in_python_a_warning_is_heard_without_any_setting_up(folder: Path) -> None:

    code = f"from stawm.training import data; data.load('folder:{folder}')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert SAID in done.stderr
    assert "to train on" not in done.stderr
