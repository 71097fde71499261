"""The command `stawm tune-stop`: it writes thresholds into a checkpoint, or says in one sentence why not."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import stawm
from stawm.cli.stopping import error
from stawm.storage import shipped
from stawm.training import stopping
from tests.cli.outcomes import outcome
from tests.small import shaken

RECIPE = {"recipe": {"augmentation": {"rotation": 5.0}}}


@pytest.fixture(scope="module", autouse=True)
def _few_prices() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stopping, "PRICES", [0.1, 0.001])
        yield


def checkpoint(folder: Path, provenance: Any = None, dtype: Any = None, **changes: Any) -> Path:
    small = {"memory_size": 8, "hidden_size": 8, "glimpses": 3, "context": {"layers": "2@3/2"}}
    model = shaken(stawm.build("stawm-digits", seed=0, backbone={"layers": "2@3/2"}, **{**small, **changes})).eval()
    if dtype:
        with torch.no_grad():
            for tensor in model.state_dict().values():
                tensor.copy_(tensor.to(dtype))
    stawm.save(model, folder / "m.safetensors", provenance=provenance, dtype=dtype)
    return folder / "m.safetensors"


def run(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int | str | None, str, str]:
    """Status, output and errors of `stawm tune-stop`."""
    return outcome(capsys, "tune-stop", *argv)


def test_thresholds_are_kept_in_the_checkpoint(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    path = checkpoint(tmp_path, RECIPE | {"validation": 50}, torch.float16)
    before = stawm.inspect(path)
    status, out, _ = run(capsys, path, "--data", "digits", "--glimpses", 2, "--augment", "--json")
    said, after = json.loads(out), stawm.inspect(path)
    assert status == 0
    assert said["images"] == 50
    assert said["data"] == "the last 50 training images of digits, augmented as in training"
    assert after.stopping is not None
    assert after.stopping.as_dict() == said
    assert (after.provenance, after.config, after.tensors) == (before.provenance, before.config, before.tensors)
    assert stawm.load(path).stopping == after.stopping


def test_thresholds_are_written_elsewhere_where_that_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    path, out = checkpoint(tmp_path), tmp_path / "tuned.safetensors"
    status, said, _ = run(capsys, path, "--data", "digits", "--error", "+5%", "--validation", 0, "--out", out)
    assert status == 0
    assert "the test part of digits" in said
    assert f"saved {out}" in said
    assert stawm.load(path).stopping is None
    assert stawm.load(out).stopping is not None


@pytest.mark.parametrize(
    ("given", "goal"),
    [("0.5%", {"error": 0.005}), ("0.02", {"error": 0.02}), ("+0.05%", {"extra_error": 0.0005})],
)
def test_an_error_is_a_share_or_a_percentage(given: str, goal: dict[str, float]):
    assert error(given) == pytest.approx(goal)


REFUSED: list[tuple[dict[str, Any], list[Any], str]] = [
    ({}, ["--glimpses", 2], "does not say that images were held out from its training"),
    ({"provenance": {"validation": 0}}, ["--glimpses", 2], "does not say that images were held out"),
    (
        {"heads": "drawing", "class_names": []},
        ["--glimpses", 2, "--validation", 9],
        "which stawm-digits does not",
    ),
    ({}, ["--glimpses", 9, "--validation", 9], "must be from 1 to 3"),
    ({}, ["--error", "0%", "--validation", 50], "All 3 glimpses err in"),
    ({}, ["--error", "x", "--validation", 9], "must be a share such as 0.5%"),
    ({}, ["--validation", 9], "one of the arguments --error --glimpses is required"),
    (
        {},
        ["--glimpses", 2, "--validation", 9, "--augment"],
        "does not say how the images of its training were augmented",
    ),
]


@pytest.mark.parametrize(("made", "given", "says"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_cannot_be_tuned_leaves_the_checkpoint_alone(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, made: dict[str, Any], given: list[Any], says: str
):
    path = checkpoint(tmp_path, **made)
    before = path.read_bytes()
    status, _, err = run(capsys, path, "--data", "digits", *given)
    assert status == 1
    assert says in err
    assert len(err.strip().splitlines()) == 1
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["m.safetensors"]


def test_weights_that_ship_are_not_written_over(capsys: pytest.CaptureFixture[str]):
    name = shipped.shipped_names()[0]
    status, _, err = run(capsys, name, "--data", "digits", "--glimpses", 2)
    assert status == 1
    assert f"{name} is no file of yours to keep thresholds in" in err
