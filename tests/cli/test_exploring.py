"""The command `stawm explore`: what it prints, draws and refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import stawm
from stawm import cli
from tests.large.test_exploring import SEES, made
from tests.small import shaken


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explore")
    stawm.save(shaken(stawm.build("stawm-digits", seed=0, **SEES), 0.3), folder / "m.safetensors")
    tifffile.imwrite(folder / "a.tif", made(0, 150, 250), tile=(64, 64), photometric="rgb")
    tifffile.imwrite(folder / "strips.tif", made(0, 150, 250), photometric="rgb")
    return folder


def test_it_prints_what_explore_gives(capsys: pytest.CaptureFixture[str], files: Path) -> None:
    assert cli.main(["explore", str(files / "m.safetensors"), str(files / "a.tif"), "--json"]) == 0
    found = stawm.explore(stawm.load(files / "m.safetensors"), files / "a.tif")
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(found.as_dict()))
    assert cli.main(["explore", str(files / "m.safetensors"), str(files / "a.tif"), "--glimpses", "2"]) == 0
    said = capsys.readouterr().out
    assert "150 x 250 pixels" in said
    assert "glimpse 2:" in said
    assert "glimpse 3:" not in said


def test_it_draws_where_it_looked(capsys: pytest.CaptureFixture[str], files: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.png"
    assert cli.main(["explore", str(files / "m.safetensors"), str(files / "a.tif"), "--picture", str(out)]) == 0
    with Image.open(out) as picture:
        assert np.asarray(picture).std() > 1


def test_what_it_cannot_read_ends_in_one_line(capsys: pytest.CaptureFixture[str], files: Path) -> None:
    assert cli.main(["explore", str(files / "m.safetensors"), str(files / "strips.tif")]) == 1
    said = capsys.readouterr().err
    assert said.startswith("stawm: ")
    assert "without tiles" in said
    assert said.count("\n") == 1
