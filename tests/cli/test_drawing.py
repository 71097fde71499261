"""The command `stawm draw`: pictures and animations of what a model draws, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import stawm
from stawm.storage import shipped
from tests.cli.outcomes import outcome
from tests.small import small
from tests.viz.models import drawer, sketchpad


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("draw") / "m.safetensors"
    stawm.save(sketchpad(image=[1, 16, 16]), path)
    return path


def run(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int | str | None, str, str]:
    """Status, output and errors of `stawm draw`."""
    return outcome(capsys, "draw", *argv)


@pytest.mark.parametrize(("name", "kind"), [("p.png", "PNG"), ("p.gif", "GIF"), ("p.jpg", "JPEG")])
def test_images_of_a_set(
    capsys: pytest.CaptureFixture[str], checkpoint: Path, tmp_path: Path, name: str, kind: str
) -> None:
    options = ["--data", "digits", "--count", 2, "--seed", 1, "--out", tmp_path / name, "--json"]
    status, out, _ = run(capsys, checkpoint, *options)
    assert (status, json.loads(out)["images"]) == (0, 2)
    with Image.open(tmp_path / name) as picture:
        assert picture.format == kind
        assert getattr(picture, "n_frames", 1) == (3 if kind == "GIF" else 1)


def test_the_seed_chooses_the_images(capsys: pytest.CaptureFixture[str], checkpoint: Path, tmp_path: Path) -> None:
    def picture(*options: object) -> bytes:
        out = tmp_path / "p.png"
        assert run(capsys, checkpoint, "--data", "digits", "--count", 1, *options, "--out", out)[0] == 0
        return np.asarray(Image.open(out)).tobytes()

    assert picture("--seed", 1) == picture("--seed", 1)
    assert picture("--seed", 1) != picture("--seed", 2)
    assert picture() == picture()


def test_files_may_stand_before_and_after_options(
    capsys: pytest.CaptureFixture[str], checkpoint: Path, tmp_path: Path
) -> None:
    for k in range(3):
        Image.fromarray(np.full((20, 30), 40 * k, dtype=np.uint8)).save(tmp_path / f"{k}.png")
    files, out = [tmp_path / f"{k}.png" for k in range(3)], tmp_path / "out.png"
    for argv in (
        [checkpoint, *files, "--out", out],
        ["--out", out, checkpoint, *files],
        [checkpoint, "--out", out, *files],
    ):
        status, said, _ = run(capsys, *argv)
        assert status == 0
        assert said == f"{out}: what stawm-digits draws of 3 images\n"
    assert "of 2 images" in run(capsys, checkpoint, *files, "--count", 2, "--out", out)[1]


def test_a_preset_stands_for_the_weights_that_ship(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipped, "weights_folder", lambda: tmp_path)
    stawm.save(small("stawm-mnist-draw-6"), tmp_path / "stawm-mnist-draw-6.safetensors")
    options = ["--data", "digits", "--resize", "--count", 1, "--out", tmp_path / "p.png"]
    assert run(capsys, "stawm-mnist-draw-6", *options)[0] == 0
    assert "they come for: stawm-mnist-draw-6" in run(capsys, "stawm-mnist-draw-4", *options)[2]


@pytest.mark.parametrize(
    "way",
    [
        *(["--canvases", "--beside", "{m}"], ["--reconstructions", "--beside", "{m}"], ["--sketches"]),
        *(["--traverse"], ["--traverse", "--glimpse", "2"], ["--generate"]),
    ],
    ids=" ".join,
)
def test_other_pictures(capsys: pytest.CaptureFixture[str], checkpoint: Path, tmp_path: Path, way: list[str]) -> None:
    options = [*(word.format(m=checkpoint) for word in way), "--data", "digits", "--count", 1]
    status, said, _ = run(capsys, checkpoint, *options, "--out", tmp_path / "p.svg")
    assert (status, said) == (0, f"{tmp_path / 'p.svg'}: what stawm-digits draws of 1 images\n")
    pictures = {"--canvases": 7, "--reconstructions": 3, "--sketches": 5, "--traverse": 29, "--generate": 9}
    assert (tmp_path / "p.svg").read_text().count("<image") == pictures[way[0]]


def test_pictures_of_masks_and_from_the_prior(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "p.png"
    stawm.save(drawer("bernoulli", image=[1, 16, 16]), tmp_path / "d.safetensors")
    assert run(capsys, tmp_path / "d.safetensors", "--segments", "--data", "digits", "--out", out)[0] == 0
    small = {"image": [1, 16, 16], "backbone": {"layers": "4@3/2"}}
    stawm.save(stawm.build("bvae-cifar", **small), tmp_path / "v.safetensors")
    status, said, _ = run(capsys, tmp_path / "v.safetensors", "--generate", "--count", 3, "--out", out)
    assert (status, said) == (0, f"{out}: what bvae-cifar draws from the prior\n")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["{m}", "--traverse", "--data", "digits", "--out", "p.gif"], "--traverse is no animation"),
        (["{m}", "--data", "digits", "--beside", "{m}"], "--beside is for --reconstructions and --canvases"),
        (["{m}", "--data", "digits", "--glimpse", "2"], "--glimpse is for --traverse"),
        (["{m}", "--data", "digits", "--traverse", "--generate"], "not allowed with argument --traverse"),
        (["{m}", "--generate"], "cannot generate without one"),
        (["{m}"], "either files, or a set with --data"),
        (["{m}", "a.png", "--data", "digits"], "either files, or a set with --data"),
        (["{m}", "--data", "digits", "--out", "p.mp4"], "got 'p.mp4'"),
        (["{m}", "--data", "digits", "--count", "0"], "--count: must be an integer of at least 1; got '0'"),
        (["{m}", "--data", "digits", "--out", "{nowhere}/p.png"], "Cannot write"),
        (["{m}", "nothing.png"], "nothing.png cannot be read"),
        (["{m}", "a.png", "--frob"], "does not know '--frob'"),
        (["nothing.safetensors", "--data", "digits"], "Cannot read nothing.safetensors"),
        (["{classifier}", "--data", "digits"], "stawm-digits does not draw"),
    ],
)
def test_what_is_wrong_is_one_clear_line(
    capsys: pytest.CaptureFixture[str], checkpoint: Path, tmp_path: Path, argv: list[str], words: str
) -> None:
    stawm.save(small("stawm-digits"), tmp_path / "c.safetensors")
    names = {"m": checkpoint, "classifier": tmp_path / "c.safetensors", "nowhere": tmp_path / "nowhere"}
    status, out, err = run(capsys, *(arg.format(**names) for arg in argv))
    assert (status, out, len(err.splitlines())) == (1, "", 1)
    assert words in err


def test_a_model_that_only_draws_is_animated(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    stawm.save(drawer("bernoulli", image=[1, 16, 16]), tmp_path / "d.safetensors")
    options = ["--data", "digits", "--count", 1, "--out", tmp_path / "p.gif"]
    assert run(capsys, tmp_path / "d.safetensors", *options)[0] == 0
