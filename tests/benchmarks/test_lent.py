"""Trainings on a GPU that is lent: each gets as many epochs as there is time for, and what it made comes back."""

import json
import sys
from pathlib import Path
from subprocess import Popen

import pytest
import torch

import stawm
from benchmarks import lent
from benchmarks.lent import Clock, Planned
from stawm.training import data, train

TRAIN = """
import json, sys, time
folder, epochs, captured, fails = sys.argv[1:]
if captured == "True" and fails == "True":
    sys.exit(1)
with open(f"{folder}/log.jsonl", "a") as log:
    for epoch in range(int(epochs)):
        print(json.dumps({"images_per_second": 1000.0 + epoch}), file=log, flush=True)
        time.sleep(0.02)
"""
"""A training of 1,000 images a second."""


def planned(name: str, **changes: object) -> Planned:
    fields = {"train": "", "quick": "", "full": "", "images": 100, "epochs": 50, "closing": 0.0}
    return Planned(**{"name": name, **fields, **changes})


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that only write a log; one that is named so fails where it is captured."""

    def start(self: Planned, folder: Path, more: str) -> None:
        (folder / self.name).mkdir(parents=True, exist_ok=True)
        (folder / f"{self.name}.txt").write_text("said\n")
        epochs = more.rpartition("recipe.epochs=")[2]
        words = [str(folder / self.name), epochs, str(self.captured), str(self.name == "fails")]
        self.process = Popen([sys.executable, "-c", TRAIN, *words])

    monkeypatch.setattr(Planned, "start", start)


def test_runs_are_tried_beside_each_other(tmp_path: Path, stand_in: None, capsys: pytest.CaptureFixture[str]):
    plan = [planned("works"), planned("fails")]
    lent.try_all(plan, tmp_path, Clock(1))
    assert [run.captured for run in plan] == [True, False]
    assert all(run.speed >= 1000 + lent.SEEN - 1 for run in plan)
    assert all(run.process.poll() is not None for run in plan)
    assert "fails is tried without capture" in capsys.readouterr().out


def test_each_run_gets_the_epochs_that_there_is_time_for(
    tmp_path: Path, stand_in: None, monkeypatch: pytest.MonkeyPatch
):
    """At 1,000 images a second, 0.85 of a second has 8 epochs of 100; in half as many turns, 16."""
    monkeypatch.setattr(lent, "PACKING", 9.0)
    for gain, expected in ((1.0, 8), (2.0, 16)):
        runs = [planned(f"long-{gain}", speed=1000.0), planned(f"short-{gain}", speed=1000.0, epochs=3)]
        lent.train_all(runs, tmp_path, Clock(10 / 60), gain)
        assert [len(run.log(tmp_path)) for run in runs] == [expected, 3]


def test_what_was_made_comes_back(tmp_path: Path):
    """Of a run that was stopped its state, to go on with."""
    run = planned("stopped", keep="half")
    (tmp_path / "runs" / "stopped" / "state").mkdir(parents=True)
    (tmp_path / "runs" / "stopped" / "state" / "step.pt").write_text("state")
    (tmp_path / "runs" / "stopped.txt").write_text("said")
    lent.pack([run], tmp_path / "runs", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out" / "stopped").rglob("*.*")) == ["said.txt", "step.pt"]


def test_weights_come_back_in_half_precision(tmp_path: Path):
    """With the record of the run beside them, and to be loaded as any."""
    options = {"recipe.epochs": 1, "cpu": True, "quiet": True, "pictures": 0, "memory_size": 8, "hidden_size": 12}
    few = data.load("digits").train.take(slice(0, 32))
    made = train("stawm-digits", data=(few, few), out=tmp_path / "runs" / "half", glimpses=1, **options)
    (tmp_path / "runs" / "half.txt").write_text("said")
    lent.pack([planned("half", keep="half")], tmp_path / "runs", tmp_path / "out")
    back = stawm.load(tmp_path / "out" / "half" / "model.safetensors")
    for kept, given in zip(back.parameters(), made.model.parameters(), strict=True):
        assert torch.equal(kept, given.half().float())
    assert json.loads((tmp_path / "out" / "half" / "record.json").read_text())["preset"] == "stawm-digits"


def test_a_plan_is_read_as_the_page_says(tmp_path: Path, stand_in: None, monkeypatch: pytest.MonkeyPatch):
    """The example of the module, without MPS: processes take turns, and the first runs alone are made."""
    [example] = json.loads((lent.__doc__ or "").partition("```json")[2].partition("```")[0])
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps([{**example, "name": name, "epochs": 2, "closing": 0} for name in ("first", "second")]))
    monkeypatch.setattr(lent, "start_mps", lambda folder: None)
    lent.main([str(plan), "--minutes", "0.5", "--work", str(tmp_path / "work"), "--out", str(tmp_path), "--alone", "1"])
    assert (tmp_path / "first" / "log.jsonl").exists()
    assert not (tmp_path / "second").exists()
