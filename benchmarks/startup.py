"""Start-up: what it takes to import stawm and to list what it has, in fresh interpreters.

``python -m benchmarks.startup`` measures.
"""

import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial

from benchmarks.measure import Row, as_dict, interleaved, milliseconds
from benchmarks.results import Benchmark, command, goal, table

REFERENCE = "import torch, timm"
VARIANTS: dict[str, Sequence[str]] = {
    "nothing": ("-c", "pass"),
    REFERENCE: ("-c", REFERENCE),
    "import stawm": ("-c", "import stawm"),
    "stawm list": ("-m", "stawm", "list"),
    "stawm.build('stawm-mnist-8')": ("-c", "import stawm; stawm.build('stawm-mnist-8')"),
}
MOST = 1.2


def start(arguments: Sequence[str]) -> Callable[[], object]:
    """Make a fresh interpreter that runs something and ends."""
    return partial(subprocess.run, [sys.executable, *arguments], check=True, capture_output=True)


def measure(quick: bool) -> list[Row]:
    """Measure each."""
    chosen = dict(list(VARIANTS.items())[:3]) if quick else VARIANTS
    timings = interleaved({name: start(arguments) for name, arguments in chosen.items()}, 1 if quick else 5)
    return [{"what": name, **as_dict(timing)} for name, timing in timings.items()]


def show(rows: list[Row]) -> str:
    """Lay the rows out."""
    medians = {row["what"]: row["median"] for row in rows}
    cells = [(f"`{r['what']}`", milliseconds(r), f"{r['median'] / medians[REFERENCE]:.2f}") for r in rows]
    reached = medians["import stawm"] / medians[REFERENCE]
    said = goal(f"`import stawm`, times `{REFERENCE}`", reached, MOST, at_most=True)
    return table(f"a fresh interpreter | median (min to max), ms | times `{REFERENCE}`", cells) + "\n\n" + said


BENCHMARK = Benchmark("startup", show)

if __name__ == "__main__":
    command(BENCHMARK, measure)
