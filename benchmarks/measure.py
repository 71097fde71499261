"""Timing that survives a noisy machine: variants in turn, medians, ratios."""

import json
import platform
import re
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import torch

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
PAUSE = 0.03


@dataclass(frozen=True)
class Timing:
    """What one variant took, in seconds, over all rounds."""

    median: float
    lowest: float
    highest: float
    rounds: int


def interleaved(variants: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Timing]:
    """Run every variant in every round, each turn after a pause and one run that does not count."""
    taken: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, run in variants.items():
            time.sleep(PAUSE)
            run()
            start = time.perf_counter()
            run()
            taken[name].append(time.perf_counter() - start)
    return {name: Timing(statistics.median(t), min(t), max(t), rounds) for name, t in taken.items()}


def machine() -> dict[str, str]:
    """Say what the figures were measured on."""
    packages = {name: version(name) for name in ("torch", "timm", "onnxruntime-gpu", "onnx")}
    processor = _processor()
    return {
        "processor": processor,
        "threads": str(torch.get_num_threads()),
        "python": platform.python_version(),
        **packages,
    }


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    found = re.search(r"model name\s*:\s*(.+)", text)
    return found[1] if found else platform.processor()


def keep(name: str, rows: list[dict[str, object]]) -> Path:
    """Write a benchmark's rows and the machine to JSON."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")
    return path


def publish(name: str, table: str, page: Path = PAGE) -> None:
    """Put a table into its place on a page."""
    begin, end = f"<!-- {name} -->", f"<!-- end {name} -->"
    text = page.read_text()
    if begin not in text:
        raise SystemExit(f"{page} has no place for {name!r}: add the lines {begin!r} and {end!r}.")
    before, _, rest = text.partition(begin)
    page.write_text(f"{before}{begin}\n\n{table}\n\n{end}{rest.partition(end)[2]}")


def as_dict(timing: Timing) -> dict[str, float]:
    """Return a timing as plain values."""
    return asdict(timing)
