"""The table of formats: what it says of those that agree, that do not, that fail and that are not installed."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from stawm.errors import ExportError, InputError
from stawm.export import bench
from stawm.export.formats import bench as benching
from stawm.export.formats import formats
from stawm.export.formats.formats import FORMATS, Job, NotInstalledError, Ready, eager
from stawm.export.graphs.plan import Plan
from tests.small import inputs, shaken, tiny


def wrong(job: Any) -> Ready:
    right = eager(job)
    return Ready(7, lambda given: {key: value.flip(-1) for key, value in right.run(given).items()})


def missing(job: Any) -> Ready:
    raise NotInstalledError("pip install something")


def crashing(job: Any) -> Ready:
    raise RuntimeError("\nno such kernel\nat line 3")


def crashing_later(job: Any) -> Ready:
    calls = []

    def run(given: Any) -> Any:
        calls.append(1)
        return eager(job).run(given) if len(calls) < 9 else 1 / 0

    return Ready(1, run)


@pytest.fixture(scope="module")
def found() -> Any:
    fake = {"PyTorch": eager, "right": eager, "wrong": wrong, "missing": missing, "crashing": crashing}
    model = shaken(tiny(heads="classification")).eval()
    images = model.normalise(inputs(model, 20)[0])
    labels = model(images).logits.argmax(dim=1)
    labels[:5] = (labels[:5] + 1) % 10
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benching, "FORMATS", fake)
        return bench(model, images=images, labels=labels, rounds=2)


def test_every_format_has_a_row(found: Any) -> None:
    rows = {row.format: row for row in found.rows}
    assert list(rows) == ["PyTorch", "right", "wrong", "missing", "crashing"]
    right = rows["right"]
    assert (right.ok, right.error, right.agreement, right.gap, right.note) == (True, 0.25, 1.0, 0.0, "")
    assert right.images_per_second == pytest.approx(32 / right.milliseconds[32] * 1e3)
    assert rows["wrong"].ok is False
    assert rows["wrong"].megabytes == 7e-6
    assert rows["wrong"].note.startswith("agreement: the class is the same for")
    assert (rows["missing"].ok, rows["missing"].note) == (None, "not installed: pip install something")
    assert (rows["crashing"].ok, rows["crashing"].note) == (False, "RuntimeError: no such kernel")
    assert [row.format for row in found.failures] == ["wrong", "crashing"]
    with pytest.raises(ExportError, match="wrong, crashing does not answer as PyTorch does"):
        benching.check(found)


def test_the_table_marks_them(found: Any) -> None:
    lines = {line.split("  ")[0]: line for line in str(found).splitlines()}
    assert "judged by 20 images" in str(found)
    assert lines["right"].endswith("ok")
    assert "FAILED: agreement" in lines["wrong"]
    assert lines["missing"].endswith("not installed: pip install something")
    assert "25.00%" in lines["right"]


def test_the_json_says_the_same(found: Any) -> None:
    said = json.loads(json.dumps(found.as_dict()))
    assert (said["images"], said["made"]) == (20, False)
    assert [row["ok"] for row in said["rows"]] == [True, True, False, None, False]
    assert set(said["rows"][0]["milliseconds"]) == {"1", "32"}
    assert said["rows"][3]["milliseconds"] is None


def test_a_format_that_fails_when_it_is_judged_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benching, "FORMATS", {"PyTorch": eager, "later": crashing_later})
    found = bench(tiny(heads="classification"), rounds=2)
    assert (found.made, found.rows[1].ok) == (True, False)
    assert found.rows[1].note == "cannot run: division by zero"


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(InputError, match=r"There is no format 'onnx'\..* There are PyTorch, ONNX fp32"):
        bench(tiny(), formats=["onnx"])


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    monkeypatch.setattr(formats.shutil, "which", lambda name: None)
    model = tiny()
    plan = Plan("rollout", 3, ("logits",), False)
    job = Job(model=model, plan=plan, folder=Path("nowhere"), calibration=None, threads=1)
    with pytest.raises(NotInstalledError, match="pip install openvino"):
        formats.openvino(job)
    with pytest.raises(NotInstalledError, match="a C\\+\\+ compiler"):
        formats.aot_inductor(job)


@pytest.mark.long
@pytest.mark.filterwarnings("default")
def test_every_format_agrees_with_pytorch() -> None:
    """All of them for real, which compiles for minutes: `make test-long`."""
    model = shaken(tiny()).eval()
    found = bench(model, rounds=1, calibration=model.normalise(torch.rand(40, 1, 12, 12)))
    assert [row.format for row in found.rows] == list(FORMATS)
    assert all(row.ok or row.note.startswith("not installed") for row in found.rows), str(found)
