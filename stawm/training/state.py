"""The state of a run on disk: whole or not at all, so that a run that was broken off goes on exactly."""

import contextlib
import hashlib
import io
import shutil
import time
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from stawm.errors import InputError, StawmError
from stawm.storage.file import write_atomically

FOLDER = "state"
"""Where in a run's folder its states are kept."""
FORM = b"stawm run state 1\n"
"""What a state begins with; its SHA-256 and what `torch.save` writes follow. The first version wrote that alone."""
_ZIP = b"PK\3\4"
_DIGITS = 64
_NAME = f"step-{'[0-9]' * 9}.pt"
AFRESH = "Nothing older is kept: remove it to start afresh."


def save(folder: Path, step: int, state: Mapping[str, Any]) -> None:
    """Write a state under a temporary name, rename it, and remove the ones before it.

    Args:
        folder: Where states are kept.
        step: The step after which the state was taken.
        state: Tensors and plain values.

    Raises:
        InputError, OSError: It cannot be written; the state before is as it was.
    """
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    held = buffer.getbuffer()
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / f"step-{step:09d}.pt"
    write_atomically(final, b"".join([FORM, hashlib.sha256(held).hexdigest().encode(), held]))
    for old in folder.glob(_NAME):
        if old != final:
            with contextlib.suppress(OSError):
                old.unlink()


def latest(folder: Path) -> Path | None:
    """Return the newest whole state, if there is one."""
    return max((path for path in folder.glob(_NAME) if path.is_file()), default=None)


def load(folder: Path, device: torch.device | str = "cpu") -> dict[str, Any] | None:
    """Read the newest whole state, if there is one; nothing is unpickled but tensors and plain values.

    Raises:
        StawmError: It cannot be read, was altered, or is no state.
    """
    newest = latest(folder)
    if newest is None:
        return None
    try:
        held = _checked(newest, memoryview(newest.read_bytes()))
        # One of several processes on CPUs is on "cpu:1", which torch.load does not know.
        place = "cpu" if torch.device(device).type == "cpu" else device
        state = torch.load(io.BytesIO(held), map_location=place, weights_only=True)
    except OSError as error:
        raise StawmError(f"The training state {newest} cannot be read ({error.strerror}).") from error
    except StawmError:
        raise
    except Exception as error:  # pickle and torch raise anything, and advise to read the file unsafely
        raise StawmError(f"The training state {newest} cannot be read: it holds no run of stawm. {AFRESH}") from error
    if not isinstance(state, dict):
        raise StawmError(f"The training state {newest} cannot be read: it holds no run of stawm. {AFRESH}")
    return state


def _checked(path: Path, data: memoryview) -> memoryview:
    """Return what torch wrote, held against its hash; in states of the first version, against the zip's checksums."""
    if data[: len(_ZIP)] == _ZIP:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            whole = file.testzip() is None
        held = data
    elif data[: len(FORM)] == FORM:
        noted, held = data[len(FORM) : len(FORM) + _DIGITS], data[len(FORM) + _DIGITS :]
        whole = hashlib.sha256(held).hexdigest().encode() == noted
    else:
        whole, held = False, data
    if not whole:
        raise StawmError(
            f"The training state {path} cannot be read: it was altered or damaged after it was saved. {AFRESH}"
        )
    return held


class Saver:
    """Saves the states of a run every few minutes, and whenever it is told to, in the one process that writes."""

    def __init__(self, folder: Path, minutes: float, *, writes: bool = True) -> None:
        self.folder, self.seconds, self.writes = folder, 60 * minutes, writes
        self.saved_at = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time to save."""
        return self.writes and time.monotonic() - self.saved_at >= self.seconds

    def save(self, step: int, state: Mapping[str, Any]) -> None:
        """Save a state.

        Raises:
            StawmError: It cannot be written; the message names the state that is kept.
        """
        if not self.writes:
            return
        with writing(self.folder):
            save(self.folder, step, state)
        self.saved_at = time.monotonic()


@contextlib.contextmanager
def writing(states: Path) -> Iterator[None]:
    """Say what is kept where something cannot be written while a run goes on.

    Raises:
        StawmError: It cannot be written.
    """
    try:
        yield
    except (OSError, InputError) as error:
        kept = latest(states)
        goes_on = "There is no state to go on from yet." if kept is None else f"{kept} is kept."
        raise StawmError(
            f"{states.parent} cannot be written to any more ({error}). {goes_on} "
            "Make room, and start the same run again: it goes on from what is kept."
        ) from error


def check_space(folder: Path, state_bytes: int) -> None:
    """Check that a run's states fit on the disk, of which there are two while one takes the other's place.

    Args:
        folder: Where states are kept; the folder above it is there already.
        state_bytes: The size of one.

    Raises:
        InputError: They do not.
    """
    held = sum(file.stat().st_size for file in folder.glob("*"))
    needed, free = 2 * state_bytes - held, shutil.disk_usage(folder.parent).free
    if free < needed:
        raise InputError(
            f"The disk of {folder.parent} has {free / 2**20:,.0f} MiB left, and training needs {needed / 2**20:,.0f} "
            "MiB to keep its state: make room, or give another folder with --out."
        )
