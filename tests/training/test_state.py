"""States of a run: the newest whole one is read, a half-written one never."""

import pickle
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from stawm.errors import InputError, StawmError
from stawm.training import state as states
from tests.training.faults import largest_file


def test_the_newest_state_is_kept_and_read(tmp_path: Path):
    for step in (2, 10, 9_999_999):
        states.save(tmp_path, step, {"step": step, "w": torch.arange(3)})
    found = states.load(tmp_path)
    assert found is not None
    assert found["step"] == 9_999_999
    assert found["w"].tolist() == [0, 1, 2]
    assert [p.name for p in tmp_path.iterdir()] == ["step-009999999.pt"]


@pytest.mark.parametrize("device", ["cpu", "cpu:1", torch.device("cpu"), torch.device("cpu", 1)])
def test_any_of_several_processes_reads_it(tmp_path: Path, device: torch.device | str):
    """Accelerate numbers the CPU by the process."""
    states.save(tmp_path, 1, {"w": torch.arange(3)})
    found = states.load(tmp_path, device)
    assert found is not None
    assert found["w"].tolist() == [0, 1, 2]


def test_no_state_is_no_state(tmp_path: Path):
    assert states.load(tmp_path) is None
    assert states.load(tmp_path / "never") is None


def test_what_was_being_written_is_never_read(tmp_path: Path):
    states.save(tmp_path, 3, {"step": 3})
    unfinished = tmp_path / ".new-abc"
    unfinished.write_bytes(b"half")
    found = states.load(tmp_path)
    assert found is not None
    assert found["step"] == 3
    states.save(tmp_path, 4, {"step": 4})
    assert unfinished.exists(), "what is no state is left alone here; a run clears its folder when it starts"


def test_a_failed_write_leaves_the_state_before(tmp_path: Path):
    states.save(tmp_path, 3, {"step": 3})
    with pytest.raises((pickle.PicklingError, AttributeError)):
        states.save(tmp_path, 4, {"step": lambda: None})
    found = states.load(tmp_path)
    assert found is not None
    assert found["step"] == 3


class Foreign:
    """Anything but tensors and plain values."""


def test_a_state_that_would_run_code_is_refused(tmp_path: Path):
    torch.save({"step": Foreign()}, tmp_path / "step-000000001.pt")
    with pytest.raises(StawmError, match="cannot be read"):
        states.load(tmp_path)


def test_a_damaged_state_is_named(tmp_path: Path):
    states.save(tmp_path, 1, {"w": torch.zeros(100)})
    file = tmp_path / "step-000000001.pt"
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(StawmError, match=r"step-000000001\.pt cannot be read"):
        states.load(tmp_path)


def test_a_disk_that_fills_up_leaves_the_state_before_and_says_so(tmp_path: Path):
    saver = states.Saver(tmp_path / "state", 5)
    saver.save(3, {"step": 3})
    with largest_file(50_000), pytest.raises(StawmError, match=r"File too large.*step-000000003\.pt is kept"):
        saver.save(4, {"step": 4, "w": torch.zeros(100_000)})
    found = states.load(tmp_path / "state")
    assert found is not None
    assert found["step"] == 3
    assert len(list((tmp_path / "state").iterdir())) == 1
    saver.save(5, {"step": 5, "w": torch.zeros(100_000)})
    assert [p.name for p in (tmp_path / "state").iterdir()] == ["step-000000005.pt"]


def test_a_first_state_that_cannot_be_written_is_said_to_be_none(tmp_path: Path):
    with largest_file(1_000), pytest.raises(StawmError, match="no state to go on from yet"):
        states.Saver(tmp_path / "state", 5).save(1, {"w": torch.zeros(10_000)})


def test_a_disk_without_room_is_named_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=3 * 2**20))
    folder = tmp_path / "state"
    states.check_space(folder, 2**20)
    with pytest.raises(InputError, match="has 3 MiB left, and training needs 4 MiB"):
        states.check_space(folder, 2**21)
    states.save(folder, 1, {"w": torch.zeros(2**19)})  # its room is taken already
    states.check_space(folder, 2**21)


def test_it_is_due_when_the_minutes_are_over(tmp_path: Path):
    assert states.Saver(tmp_path, 0).due
    assert not states.Saver(tmp_path, 5).due
    silent = states.Saver(tmp_path, 0, writes=False)
    assert not silent.due
    silent.save(1, {})
    assert states.latest(tmp_path) is None


def test_the_minutes_begin_anew_with_each_saved_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    now = 100.0
    monkeypatch.setattr(states.time, "monotonic", lambda: now)
    saver = states.Saver(tmp_path, 2)
    for minutes, due in ((1.9, False), (0.2, True), (0.1, True)):
        now += 60 * minutes
        assert saver.due == due
    saver.save(1, {})
    for minutes, due in ((1.9, False), (0.1, True)):
        now += 60 * minutes
        assert saver.due == due
