"""A run's folder: what in it is a run's, that nothing else is touched, and that one run at a time works in it."""

import contextlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from stawm.errors import InputError, StawmError
from stawm.storage.checkpoint import WEIGHTS
from stawm.storage.file import write_atomically
from stawm.training import state as states

NOTE = "run.json"
"""The mark of a run's folder, which also says what the run is made from."""
LOCK = ".run.lock"
LOG = "log.jsonl"
LAST_GOOD = "last-good.safetensors"
BOARD = "tensorboard"
PICTURES = "pictures"
FILES = (WEIGHTS, LOG, LAST_GOOD, NOTE)
FOLDERS = (states.FOLDER, BOARD, PICTURES)
FORMAT = "stawm run 1"
BOARD_FILES = "events.out.tfevents.*"
_LEFT = re.compile(rf"\.({'|'.join(map(re.escape, FILES))}|step-\d+\.pt)\.[0-9a-f]{{32}}|\.new-\w+")
"""What a process that was killed while it wrote leaves behind: see `write_atomically`."""


@contextlib.contextmanager
def claimed(out: Path) -> Iterator[None]:
    """Hold a run's folder: make it, lock it, and try that all of the run can be written there.

    The lock is the operating system's, so that of a process that was killed is gone with it. A folder that was made
    here, and in which no run began, is removed again.

    Raises:
        InputError: It cannot be written to, another process works in it, or files there are not a run's.
    """
    made = _make(out)
    lock = FileLock(str(out / LOCK))
    try:
        _acquire(lock, out)
        refuse_foreign(out)
        _try_outputs(out)
        _clear(out)
        yield
    finally:
        lock.release()
        if made and not any(path.name != LOCK for path in out.iterdir()):
            with contextlib.suppress(OSError):
                (out / LOCK).unlink()
                out.rmdir()


def mark(out: Path, note: Mapping[str, Any]) -> None:
    """Mark a folder as a run's.

    Args:
        out: The folder.
        note: What the run is made from, as JSON values.
    """
    write_atomically(out / NOTE, json.dumps({"format": FORMAT, "note": note}, indent=1).encode())


def is_marked(out: Path) -> bool:
    """Whether a folder is a run's: it has the mark, or a state with a note, as runs of the first version have."""
    if (out / NOTE).exists():
        return _has_note(out / NOTE)
    with contextlib.suppress(StawmError):
        return "note" in (states.load(out / states.FOLDER) or {})
    return False


def refuse_foreign(out: Path) -> None:
    """Raise where a folder that is no run's holds what a run would write over, or mix with its own.

    Raises:
        InputError: It does; the message names the files.
    """
    if is_marked(out):
        return
    found = [out / name for name in FILES if _holds(out / name)]
    for name in FOLDERS:
        pattern = BOARD_FILES if name == BOARD else None
        found += [path for path in _inside(out / name) if pattern is None or not path.match(pattern)]
    if found:
        named = ", ".join(str(path.relative_to(out)) for path in sorted(found)[:8])
        more = f" and {len(found) - 8} more" if len(found) > 8 else ""
        raise InputError(
            f"{out} is not the folder of a run, and a run would write over what lies there: {named}{more}. "
            "Give another folder with --out, or move these files."
        )


def _has_note(path: Path) -> bool:
    try:
        said = json.loads(path.read_bytes()) if path.is_file() else None
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(said, dict) and said.get("format") == FORMAT


def _holds(path: Path) -> bool:
    """Whether there is something at a path that would be missed; a log may be empty."""
    return path.is_symlink() or (path.exists() and (path.name != LOG or path.is_dir() or path.stat().st_size > 0))


def _inside(folder: Path) -> list[Path]:
    if folder.is_dir():
        return list(folder.iterdir())
    return [folder] if folder.exists() or folder.is_symlink() else []


def _make(out: Path) -> bool:
    """Make a folder, and return whether it was not there."""
    try:
        there = out.exists()
        out.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # a ValueError: a character that no path can have
        raise _unwritable(str(out), error) from error
    return not there


def _acquire(lock: FileLock, out: Path) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(
            f"Another process trains in {out} right now: wait until it is done, or give another folder with --out."
        ) from error
    except (OSError, NotImplementedError) as error:
        raise _unwritable(str(out), error) from error


def _try_outputs(out: Path) -> None:
    """Try everything that a run writes, so that nothing fails after the work."""
    for name in FILES:
        if (out / name).exists() and not (out / name).is_file():
            raise InputError(f"{out / name} is not a file, and a run writes one there: move it, or give another --out.")
    for name in FOLDERS:
        if (out / name).exists() and not (out / name).is_dir():
            raise InputError(
                f"{out / name} is not a folder, and a run writes into one there: move it, or give another --out."
            )
    for folder in (out, *(out / name for name in FOLDERS if (out / name).exists())):
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(b"\0" * 4096)
        except OSError as error:
            raise _unwritable(str(folder), error) from error


def _unwritable(folder: str, error: Exception) -> StawmError:
    shown = folder.encode("unicode_escape").decode() if "\0" in folder else folder
    return InputError(f"The folder {shown} cannot be written to ({error}): give another with --out.")


def _clear(out: Path) -> None:
    """Remove what a process that was killed left half-written; what is of another form is left alone."""
    for folder in (out, out / states.FOLDER):
        for path in folder.glob(".*") if folder.is_dir() else ():
            if _LEFT.fullmatch(path.name) and path.is_file():
                with contextlib.suppress(OSError):
                    path.unlink()
