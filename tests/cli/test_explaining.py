"""The command `stawm explain`: numbers, pictures, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import stawm
from tests.cli.outcomes import outcome
from tests.viz.models import sketchpad


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("explain") / "m.safetensors"
    stawm.save(sketchpad(image=[1, 16, 16]), path)
    return path


def run(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int | str | None, str, str]:
    """Status, output and errors of `stawm explain`."""
    return outcome(capsys, "explain", *argv)


def test_images_are_explained_in_numbers_and_in_a_picture(
    capsys: pytest.CaptureFixture[str], checkpoint: Path, tmp_path: Path
):
    image, picture = tmp_path / "i.png", tmp_path / "why.png"
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(image)
    status, out, _ = run(capsys, checkpoint, image, "--json", "--out", picture)
    (said,) = json.loads(out)["images"]
    assert status == 0
    total = np.sum(said["shares"], axis=0) + np.array(said["bias"])
    np.testing.assert_allclose(total, said["logits"], atol=1e-5)
    with Image.open(picture) as drawn:
        assert drawn.format == "PNG"


def test_images_of_a_set_are_explained_in_words(capsys: pytest.CaptureFixture[str], checkpoint: Path):
    status, out, _ = run(capsys, checkpoint, "--data", "digits", "--count", 2)
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == [
        "stawm-digits,",
        *2 * ["image", "share", "without", "bias"],
    ]


@pytest.mark.parametrize("given", [[], ["a.png", "--data", "digits"]])
def test_files_or_a_set_and_not_both(capsys: pytest.CaptureFixture[str], checkpoint: Path, given: list[str]):
    status, _, err = run(capsys, checkpoint, *given)
    assert status == 1
    assert "either files, or a set with --data" in err


def test_a_memory_without_shares_is_refused_before_images_are_read(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    stawm.save(stawm.build("stawm-digits", memory="backpropamine"), tmp_path / "m.safetensors")
    status, _, err = run(capsys, tmp_path / "m.safetensors", "none.png", "--out", tmp_path / "p.png")
    assert status == 1
    assert "'backpropamine' of stawm-digits reads is no sum over its writes" in err
    assert not (tmp_path / "p.png").exists()
