"""The state of a run on disk: whole or not at all, so that a run that was broken off goes on exactly."""

import contextlib
import io
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from stawm.errors import InputError, StawmError
from stawm.storage.file import write_atomically

FOLDER = "state"
"""Where in a run's folder its states are kept."""


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
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / f"step-{step:09d}.pt"
    write_atomically(final, buffer.getvalue())
    for old in folder.iterdir():
        if old != final:
            with contextlib.suppress(OSError):
                old.unlink()


def latest(folder: Path) -> Path | None:
    """Return the newest whole state, if there is one."""
    return max(folder.glob("step-*.pt"), default=None)


def load(folder: Path, device: torch.device | str = "cpu") -> dict[str, Any] | None:
    """Read the newest whole state, if there is one; nothing is unpickled but tensors and plain values.

    Raises:
        StawmError: It cannot be read.
    """
    newest = latest(folder)
    if newest is None:
        return None
    try:
        return torch.load(newest, map_location=device, weights_only=True)
    except Exception as error:
        raise StawmError(f"The training state {newest} cannot be read ({error}): remove it to start afresh.") from error


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


def prepare_folder(out: Path) -> None:
    """Make a run's folder and try that it can be written to.

    Raises:
        InputError: It cannot.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out) as file:
            file.write(b"\0" * 4096)
    except OSError as error:
        raise InputError(f"The folder {out} cannot be written to ({error}): give another with --out.") from error


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
