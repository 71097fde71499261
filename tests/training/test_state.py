"""States of a run: the newest whole one is read, a half-written one never."""

import pickle
from pathlib import Path

import pytest
import torch

from stawm.errors import InputError, StawmError
from stawm.training import state as states


def test_the_newest_state_is_kept_and_read(tmp_path: Path):
    for step in (2, 10, 9_999_999):
        states.save(tmp_path, step, {"step": step, "w": torch.arange(3)})
    found = states.load(tmp_path)
    assert found is not None
    assert found["step"] == 9_999_999
    assert found["w"].tolist() == [0, 1, 2]
    assert [p.name for p in tmp_path.iterdir()] == ["step-009999999"]


def test_no_state_is_no_state(tmp_path: Path):
    assert states.load(tmp_path) is None
    assert states.load(tmp_path / "never") is None


def test_what_was_being_written_is_never_read(tmp_path: Path):
    states.save(tmp_path, 3, {"step": 3})
    unfinished = tmp_path / ".new-abc"
    unfinished.mkdir()
    (unfinished / states.FILE).write_bytes(b"half")
    found = states.load(tmp_path)
    assert found is not None
    assert found["step"] == 3
    states.save(tmp_path, 4, {"step": 4})
    assert not unfinished.exists()


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
    folder = tmp_path / "step-000000001"
    folder.mkdir()
    torch.save({"step": Foreign()}, folder / states.FILE)
    with pytest.raises(StawmError, match="cannot be read"):
        states.load(tmp_path)


def test_a_damaged_state_is_named(tmp_path: Path):
    states.save(tmp_path, 1, {"w": torch.zeros(100)})
    file = tmp_path / "step-000000001" / states.FILE
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(StawmError, match="step-000000001 cannot be read"):
        states.load(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written to"):
        states.prepare_folder(tmp_path / "file" / "run")
