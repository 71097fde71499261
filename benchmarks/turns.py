"""Variants in a process each, that take turns: their times are interleaved, and each one's memory is its own."""

import ctypes
import gc
import multiprocessing
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.measure import PAUSE, Row, Timing, as_dict, seconds

Step = Callable[[], object]
Make = Callable[[], Step]
"""Makes what is measured, inside its own process; it has to be picklable."""
WARM = 2
"""Runs that do not count: PyTorch compiles in them, and optimisers make their state."""
STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Memory:
    """The resident memory of a process, in bytes.

    Attributes:
        start: When everything was imported and nothing was made yet.
        peak: The most while it ran, after the runs that do not count.
    """

    start: int
    peak: int


class Measured(NamedTuple):
    """What one variant took."""

    timing: Timing
    memory: Memory

    def as_row(self) -> Row:
        """Return it as plain values."""
        return {**as_dict(self.timing), "memory": asdict(self.memory)}


def in_turns(variants: Mapping[str, Make], rounds: int, threads: int | None = None) -> dict[str, Measured]:
    """Run every variant in every round, each in a process of its own.

    Args:
        variants: What makes each variant.
        rounds: How often each is run, after two runs that do not count.
        threads: PyTorch's threads in each process; its own choice where left out.
    """
    context = multiprocessing.get_context("spawn")
    children: dict[str, Any] = {}
    taken: dict[str, list[float]] = {name: [] for name in variants}
    try:
        for name, make in variants.items():
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(make, there, threads))
            process.start()
            there.close()
            children[name] = (process, here)
            _answer(name, here)
        for _ in range(rounds):
            for name, (_, channel) in children.items():
                time.sleep(PAUSE)
                channel.send(True)
                taken[name].append(_answer(name, channel))
        memory = {}
        for name, (_, channel) in children.items():
            channel.send(False)
            memory[name] = _answer(name, channel)
    finally:
        for process, channel in children.values():
            channel.close()  # whoever still waits for a turn ends by this
            process.join()
    return {name: Measured(Timing.of(taken[name]), memory[name]) for name in variants}


def _answer(name: str, channel: Connection) -> Any:
    try:
        return channel.recv()
    except EOFError:
        raise SystemExit(f"The process of {name!r} broke off; what it said is above.") from None


def _serve(make: Make, channel: Connection, threads: int | None) -> None:
    """Run a step whenever there is a turn; say at last how much memory it took."""
    if threads is not None:
        torch.set_num_threads(threads)
    start = resident("VmRSS")
    step = make()
    for _ in range(WARM):
        step()
    forget_peak()
    channel.send(None)
    with suppress(EOFError):
        while channel.recv():
            channel.send(seconds(step))
        channel.send(Memory(start, resident("VmHWM")))


def resident(field: str) -> int:
    """Return a field of the kernel's account of this process, in bytes; 0 where there is no such account."""
    if not STATUS.exists():
        return 0
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024


def forget_peak() -> None:
    """Give free memory back, and make the kernel count the peak anew."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
