"""Timing that survives a noisy machine: variants in turn, medians, ratios."""

import math
import platform
import re
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("torch", "torchvision", "timm", "onnxruntime-gpu", "onnxruntime", "onnx")
PAUSE = 0.03
"""Seconds before each turn, in which the threads of the one before it go to sleep."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Timing:
    """What one variant took, in seconds, over all rounds."""

    median: float
    lowest: float
    highest: float
    rounds: int

    @classmethod
    def of(cls, taken: Sequence[float]) -> "Timing":
        """Sum up what the rounds took."""
        return cls(statistics.median(taken), min(taken), max(taken), len(taken))


def interleaved(
    variants: Mapping[str, Callable[[], object]], rounds: int, *, pause: float = PAUSE, within: float = math.inf
) -> dict[str, Timing]:
    """Run every variant in every round, each turn after a pause and one run that does not count.

    Args:
        variants: What is run.
        rounds: How often, at most.
        pause: The seconds before each turn; none are needed where variants share no threads, as on a GPU.
        within: The seconds after which no new round begins; there is always one.
    """
    taken: dict[str, list[float]] = {name: [] for name in variants}
    start = time.perf_counter()
    for number in range(rounds):
        if number and time.perf_counter() - start > within:
            break
        for name, run in variants.items():
            time.sleep(pause)
            run()
            taken[name].append(seconds(run))
    return {name: Timing.of(found) for name, found in taken.items()}


def seconds(run: Callable[[], object]) -> float:
    """Run once, and return how long it took."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def machine() -> dict[str, str]:
    """Say what the figures are measured on."""
    said = {
        "processor": _processor(),
        "threads": str(torch.get_num_threads()),
        "python": platform.python_version(),
        **{name: found for name in PACKAGES if (found := _version(name))},
    }
    if torch.cuda.is_available():
        said |= {"gpu": torch.cuda.get_device_name(), "cuda": str(torch.version.cuda)}
    return said


def _version(package: str) -> str | None:
    """Return a package's version; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    found = re.search(r"model name\s*:\s*(.+)", text)
    return found[1] if found else platform.processor()


def as_dict(timing: Timing) -> dict[str, float]:
    """Return a timing as plain values."""
    return asdict(timing)


def milliseconds(timing: Mapping[str, float]) -> str:
    """Write a kept timing: median, and the spread behind it."""
    median, lowest, highest = (timing[key] * 1e3 for key in ("median", "lowest", "highest"))
    digits = 0 if median >= 1000 else 1 if median >= 1 else 2
    return f"{median:,.{digits}f} ({lowest:,.{digits}f} to {highest:,.{digits}f})"
