"""What is made once, for all processes that run tests."""

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from filelock import FileLock

T = TypeVar("T")


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of pytest-xdist have in this run."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], T]) -> T:
    """Return what the first process that asks for it makes; the others wait for it, and read it.

    Args:
        factory: Knows the folder of the run.
        name: What it is called: another name for each thing.
        make: Makes it, with a folder of its own for files that stay; what it returns is pickled.
    """
    place = shared_folder(factory) / f"once-{name}"
    with FileLock(f"{place}.lock"):
        kept: Any = place / "value.pickle"
        if not kept.exists():
            shutil.rmtree(place, ignore_errors=True)
            (place / "files").mkdir(parents=True)
            kept.write_bytes(pickle.dumps(make(place / "files")))
        return pickle.loads(kept.read_bytes())
