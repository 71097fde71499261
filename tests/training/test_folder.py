"""A run touches only what is a run's, alone, and tries its outputs before it works."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stawm.errors import InputError
from stawm.storage.checkpoint import WEIGHTS
from stawm.training import data, folder, train
from stawm.training.folder import BOARD, FILES, FOLDERS, LOCK, LOG, NOTE, claimed, is_marked, mark
from stawm.training.state import FOLDER
from tests.training.tiny import BRIEF, LEAST

FIRST_VERSION = Path(__file__).parent / "first_version"


def kept(out: Path) -> dict[str, bytes]:
    """Everything in a folder but the lock."""
    return {
        str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file() and path.name != LOCK
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, few: data.Splits) -> Path:
    out = tmp_path_factory.mktemp("run")
    train("stawm-digits", data=few, out=out, **LEAST, **{**BRIEF, "recipe.epochs": 1})
    return out


# What is not a run's


FOREIGN = [
    WEIGHTS,
    LOG,
    "last-good.safetensors",
    NOTE,
    "state/notes.txt",
    "state/step-000000001.pt",
    "pictures/cat.png",
]


@pytest.mark.parametrize("name", [*FOREIGN, "tensorboard/mine.txt", "state", "pictures"])
def test_what_is_not_a_runs_is_neither_deleted_nor_overwritten(tmp_path: Path, few: data.Splits, name: str):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=f"is not the folder of a run, .*: {name}"):
        train("stawm-digits", data=few, out=tmp_path, **LEAST, **BRIEF)
    assert kept(tmp_path) == {name: b"mine"}


def test_whatever_a_run_writes_is_looked_for():
    """A new output of a run belongs into this list, and so into the test above."""
    assert {Path(name).parts[0] for name in [*FOREIGN, f"{BOARD}/x"]} == {*FILES, *FOLDERS}


def test_what_a_run_does_not_write_may_lie_beside_it(tmp_path: Path, few: data.Splits):
    (tmp_path / "notes.md").write_text("mine")
    train("stawm-digits", data=few, out=tmp_path, **LEAST, **BRIEF)
    assert (tmp_path / "notes.md").read_text() == "mine"


def test_in_a_runs_own_folder_foreign_files_stay(run: Path, few: data.Splits, tmp_path: Path):
    out = Path(shutil.copytree(run, tmp_path / "run"))
    (out / FOLDER / "step-000000005.pt").unlink()  # so that it trains anew
    mine = [out / FOLDER / "notes.txt", out / FOLDER / "step-1.pt", out / f".{WEIGHTS}.backup", out / ".new"]
    for path in mine:
        path.write_text("mine")
    train("stawm-digits", data=few, out=out, **LEAST, **{**BRIEF, "recipe.epochs": 1})
    assert [path.read_text() for path in mine] == ["mine"] * 4


def test_a_mark_is_the_runs_own(tmp_path: Path):
    assert not is_marked(tmp_path)
    mark(tmp_path, {"seed": 3})
    assert is_marked(tmp_path)
    assert json.loads((tmp_path / NOTE).read_text())["note"] == {"seed": 3}
    for foreign in ("", "[", "[]", "{}", '{"format": "another"}', "[" * 5000):
        (tmp_path / NOTE).write_text(foreign)
        assert not is_marked(tmp_path)


def test_a_run_of_the_first_version_is_known_by_its_state(tmp_path: Path):
    assert is_marked(FIRST_VERSION)
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "step-000000001.pt").write_bytes(b"PK\3\4")
    assert not is_marked(tmp_path)


# What a killed process leaves


def test_what_was_half_written_is_cleared_at_the_next_start(tmp_path: Path):
    mark(tmp_path, {})
    (tmp_path / FOLDER).mkdir()
    left = [tmp_path / f".{name}.{'0a' * 16}" for name in FILES]
    left += [tmp_path / FOLDER / name for name in (f".step-000000007.pt.{'f' * 32}", ".new-x1")]
    mine = [tmp_path / name for name in (".env", f".{WEIGHTS}.{'0a' * 15}", f"{WEIGHTS}.{'0a' * 16}")]
    mine += [tmp_path / FOLDER / f".mine.pt.{'f' * 32}", tmp_path / f".other.{'0' * 32}"]
    for path in (*left, *mine):
        path.write_text("half")
    with claimed(tmp_path):
        assert not any(path.exists() for path in left)
        assert all(path.exists() for path in mine)


# One run at a time


def test_a_second_run_in_the_same_folder_is_refused(tmp_path: Path, few: data.Splits):
    with claimed(tmp_path):
        for seed in (0, 1):
            with pytest.raises(InputError, match=r"Another process trains in .* right now: wait until it is done"):
                train("stawm-digits", data=few, out=tmp_path, seed=seed, **LEAST, **BRIEF)
    with claimed(tmp_path):
        pass


HOLDER = """
import sys
from pathlib import Path
from stawm.training.folder import claimed

with claimed(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()  # which never ends
"""


def test_the_lock_goes_with_its_process(tmp_path: Path):
    """Of a process that was killed, which could not unlock; one of its own, since a fork of threads may hang."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="right now"), claimed(tmp_path):
            pass
        holder.kill()
    with claimed(tmp_path):
        pass


def test_a_run_that_never_began_leaves_no_folder(tmp_path: Path, few: data.Splits):
    for out in (tmp_path / "new", tmp_path / "there"):
        if out.name == "there":
            out.mkdir()
        with pytest.raises(InputError, match="takes images of 1x8x8"):
            train("stawm-digits", data=few, out=out, image=[1, 8, 8], **LEAST, **BRIEF)
    assert not (tmp_path / "new").exists()
    assert (tmp_path / "there").is_dir()


# Outputs are tried first


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """No data may be loaded: a run that tries its outputs first does not get so far."""
    from stawm.training import trainer

    monkeypatch.setattr(trainer, "_load", lambda *_: pytest.fail("the work began"))


@pytest.mark.parametrize("name", [*FILES, *FOLDERS])
def test_an_output_that_is_of_the_wrong_kind_is_named_before_work(run: Path, tmp_path: Path, name: str, idle: None):
    out = Path(shutil.copytree(run, tmp_path / "run"))
    if (out / name).exists():
        (shutil.rmtree if name in FOLDERS else Path.unlink)(out / name)
    (Path.touch if name in FOLDERS else Path.mkdir)(out / name)
    with pytest.raises(InputError, match=name):
        train("stawm-digits", data="digits", out=out, **LEAST, **BRIEF)


@pytest.mark.parametrize("out", ["a\0b", "file/run", "file"])
def test_a_place_that_can_hold_no_run_is_named_before_work(tmp_path: Path, out: str, idle: None):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot be written to .*give another with --out"):
        train("stawm-digits", data="digits", out=tmp_path / out, **LEAST, **BRIEF)


def test_each_folder_inside_is_tried(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, idle: None):
    out, real = Path(shutil.copytree(run, tmp_path / "run")), folder.tempfile.TemporaryFile

    def read_only(dir: Path) -> Any:
        if dir.name == BOARD:
            raise OSError(30, "Read-only file system")
        return real(dir=dir)

    monkeypatch.setattr(folder.tempfile, "TemporaryFile", read_only)
    with pytest.raises(InputError, match=r"tensorboard cannot be written to .*Read-only file system"):
        train("stawm-digits", data="digits", out=out, **LEAST, **BRIEF)
