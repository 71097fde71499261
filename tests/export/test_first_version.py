"""What the first version wrote still opens, runs and is proved equal to its model."""

from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

import stawm
from stawm.export import inspect, verify
from stawm.export.file import sealing
from stawm.export.triton import write_repository
from stawm.heads.output import Noise
from tests.export.opened import answers, opened

FOLDER = Path(__file__).parent / "first_version"
FILES = sorted(FOLDER.rglob("*.onnx"))


@pytest.fixture(scope="module")
def model() -> Any:
    return stawm.load(FOLDER / "model.safetensors")


@pytest.mark.parametrize("name", ["rollout.onnx", "steps"])
def test_a_graph_is_proved_equal_to_its_model(name: str, model: Any) -> None:
    report = verify(FOLDER / name, model, batches=(1, 3))
    assert report.ok
    assert {check.name for check in report.warnings} <= {"fresh export"}
    assert report.checks[-1].name == "fresh export"


def test_the_session_gives_what_the_model_gives(model: Any) -> None:
    pixels = torch.rand(3, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    noise = Noise(torch.randn(3, 3, 4), torch.rand(3, 3, 1, 12, 12))
    found, expected = opened(FOLDER / "rollout.onnx")(pixels, noise=noise), answers(model, pixels, noise=noise)
    assert torch.allclose(found.canvas, expected.canvas, atol=1e-5)
    assert torch.allclose(found.logits, expected.logits, atol=1e-5)
    steps = opened(FOLDER / "steps")
    assert torch.allclose(steps(pixels).logits, answers(model, pixels, glimpses=2).logits, atol=1e-5)
    assert steps.look(pixels, until=1.0).glimpses.tolist() == [2, 2, 2]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_seal_is_made_of_the_same_bytes(path: Path) -> None:
    data = path.read_bytes()
    body = data[: -sealing.LENGTH]
    assert sealing.seal(body) == data
    assert sealing.read(path) == data
    assert sealing.KEY not in {entry.key for entry in onnx.load_model_from_string(body).metadata_props}


def test_there_are_files_of_both_kinds() -> None:
    assert [path.stem for path in FILES] == ["rollout", "glimpse", "init", "read"]
    assert {inspect(FOLDER / name).info.version for name in ("rollout.onnx", "steps")} == {"0.1.0"}


def test_its_preprocessing_is_read_from_the_configuration(model: Any, tmp_path: Path) -> None:
    info = inspect(FOLDER / "rollout.onnx").info
    assert (info.mean, info.std, info.class_names) == (model.config.mean, model.config.std, model.config.class_names)
    assert info.resize == model.config.resize == "crop", "as pictures of another size were always read"
    served = write_repository(FOLDER / "rollout.onnx", tmp_path)
    assert 'key: "stawm.mean" value { string_value: "[0.3]" }' in (served.folder / "config.pbtxt").read_text()
