"""The state of a run on disk: whole or not at all, so that a run that was broken off goes on exactly."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch

from stawm.errors import InputError, StawmError

FILE = "state.pt"


def save(folder: Path, step: int, state: dict[str, Any]) -> None:
    """Write a state under a temporary name, rename it, and remove the ones before it.

    Args:
        folder: Where states are kept.
        step: The step after which the state was taken.
        state: Tensors and plain values.
    """
    folder.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
    with (new / FILE).open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    final = folder / f"step-{step:09d}"
    shutil.rmtree(final, ignore_errors=True)
    new.rename(final)
    for old in folder.iterdir():
        if old != final:
            shutil.rmtree(old, ignore_errors=True)


def latest(folder: Path) -> Path | None:
    """Return the newest whole state, if there is one."""
    return max(folder.glob("step-*"), default=None)


def load(folder: Path, device: torch.device | str = "cpu") -> dict[str, Any] | None:
    """Read the newest whole state, if there is one; nothing is unpickled but tensors and plain values.

    Raises:
        StawmError: It cannot be read.
    """
    newest = latest(folder)
    if newest is None:
        return None
    try:
        return torch.load(newest / FILE, map_location=device, weights_only=True)
    except Exception as error:
        raise StawmError(f"The training state {newest} cannot be read ({error}): remove it to start afresh.") from error


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
