"""What may go wrong around a run: disks, signals, clocks. Each is a context; `conftest` makes fixtures of them."""

import errno
import itertools
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

DISKS = (errno.ENOSPC, errno.EROFS, errno.EIO, errno.EDQUOT)
"""How writing fails: no space, read-only, broken, beyond one's share."""


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file can grow beyond a size, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def no_writing(folder: Path, number: int) -> Iterator[None]:
    """No file below a folder can be opened to be written."""
    real = Path.open

    def refuse(self: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if set(mode) & set("wxa+") and self.is_relative_to(folder):
            raise OSError(number, os.strerror(number))
        return real(self, mode, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        yield


@contextmanager
def interrupted_calls() -> Iterator[None]:
    """Calls of the system are interrupted all the time (EINTR)."""
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    signal.siginterrupt(signal.SIGALRM, True)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def slow_disk(seconds: float = 0.02) -> Iterator[None]:
    """What is written takes its time to reach the disk."""
    real = os.fsync

    def late(descriptor: int) -> None:
        time.sleep(seconds)
        real(descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", late)
        yield


@contextmanager
def clock_backwards() -> Iterator[None]:
    """Every clock that is read goes back by an hour each time."""
    now = itertools.count(1_700_000_000, -3600)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("time", "monotonic", "perf_counter"):
            patch.setattr(time, name, lambda: float(next(now)))
        yield


POINTS: dict[str, tuple[Any, str]] = {
    "open": (Path, "open"),
    "flush": (os, "fsync"),
    "rename": (Path, "replace"),
    "remove": (Path, "unlink"),
}
"""Where a run touches the disk."""


def kill_at(point: str, count: int, *, after: bool) -> None:
    """Let this process be killed at the so manieth call of one kind: before it, or right after."""
    owner, name = POINTS[point]
    real: Callable[..., Any] = getattr(owner, name)
    calls = itertools.count(1)

    def dying(*args: Any, **kwargs: Any) -> Any:
        last = next(calls) == count
        if last and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        found = real(*args, **kwargs)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    setattr(owner, name, dying)
