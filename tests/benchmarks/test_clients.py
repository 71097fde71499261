"""The scripts that try clients judge rightly, and say so when a client is wrong or refuses."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.clients.cases import FORMS, images_for, write_case, write_sampling
from benchmarks.clients.client import judge, onnxruntime
from benchmarks.clients.table import CLOSE, rows
from tests.shared import once
from tests.small import shaken, tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case of a small model, and the one of a single operator."""

    def make(folder: Path) -> Path:
        model = shaken(tiny(heads="classification", glimpses=1)).eval()
        write_case(folder / "model", model, "fp16-weights", images_for(model, None))
        write_sampling(folder / "sampling")
        return folder

    return once(tmp_path_factory, "cases", make)


@pytest.mark.parametrize(("case", "output", "allowed"), [("model", "logits", 1e-2), ("sampling", "glimpse", 1e-6)])
def test_a_right_client_is_close(case: str, output: str, allowed: float, folder: Path) -> None:
    found = judge(folder / case, onnxruntime)
    assert found["gaps"][output] <= allowed


def test_the_single_operator_looks_outside_and_inside(folder: Path) -> None:
    seen = np.fromfile(folder / "sampling" / "glimpse.f32", dtype="<f4").reshape(16, 2, 2)
    assert (seen[:, 0] == 0).all()
    assert (seen[:, 1] > 0).all()


def test_a_wrong_client_is_off(folder: Path) -> None:
    def outside(path: Path, given: Any) -> Any:
        return {name: value + 1 for name, value in onnxruntime(path, given).items()}

    assert judge(folder / "sampling", outside)["gaps"]["glimpse"] == pytest.approx(1, abs=1e-5)


def test_a_client_that_fixes_the_batch_refuses(folder: Path) -> None:
    def sixteen(path: Path, given: Any) -> Any:
        if len(given["image"]) != 16:
            raise ValueError("takes\n16 images")
        return onnxruntime(path, given)

    assert judge(folder / "model", sixteen)["error"] == "takes 16 images"


def test_the_table_has_the_worst_of_each_client() -> None:
    assert {*CLOSE} == {*FORMS}
    line = {"client": "a", "version": "1", "form": "fp32"}
    lines: list[dict[str, Any]] = [
        {**line, "preset": "stawm-x", "gaps": {"logits": 1e-5, "pose": 1e-6}},
        {**line, "preset": "stawm-y", "gaps": {"logits": 3e-5}},
        {**line, "client": "b", "preset": "stawm-x", "gaps": {"logits": 0.3}},
        {**line, "client": "c", "preset": "stawm-x", "error": "no such operator"},
    ]
    assert rows([json.loads(json.dumps(one)) for one in lines]) == [
        ["a", "1", "fp32", "x, y", "logits 3.0e-05, pose 1.0e-06", "right"],
        ["b", "1", "fp32", "x", "logits 3.0e-01", "off"],
        ["c", "1", "fp32", "x", "–", "refuses: no such operator"],
    ]
