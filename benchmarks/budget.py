"""Measuring in a given time on a machine that is only lent: the most telling first, and every row written at once."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, Timing, as_dict, interleaved, machine

Step = Callable[[], object]
WARM = 3
"""Runs of a variant that do not count: PyTorch compiles and captures in them, libraries choose algorithms."""
ROUNDS = 31
SECONDS = 4.0
"""How long a variant is measured at most, whatever it did by then."""


@dataclass(frozen=True)
class Case:
    """What is measured together.

    Attributes:
        kind: ``"training"`` or ``"inference"``.
        preset: The model.
        batch: How many images.
        way: Which variants there are: ``"eager"``, ``"compiled"`` or ``"ONNX"``.
        cost: The seconds that it is expected to take.
    """

    kind: str
    preset: str
    batch: int
    way: str
    cost: float

    def row(self, **found: Any) -> Row:
        """Return a row of what was found."""
        return {key: value for key, value in asdict(self).items() if key != "cost"} | found


class Budget:
    """The time that there is, from now on, and how often a variant is run at most."""

    def __init__(self, minutes: float, rounds: int = ROUNDS) -> None:
        self.end, self.rounds = time.monotonic() + 60 * minutes, rounds

    @property
    def left(self) -> float:
        """The seconds that are left."""
        return self.end - time.monotonic()


class Log:
    """Rows as lines of JSON, each on the disk before the next is measured; the first says what they are measured on."""

    def __init__(self, path: Path) -> None:
        if path.exists():
            raise SystemExit(f"{path} is there already, and nothing is written over: name another file with --out.")
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.write({"machine": machine()})

    def write(self, row: Row) -> None:
        """Append a row."""
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)


def read(path: Path) -> tuple[dict[str, str], list[Row]]:
    """Return what rows were measured on, and the rows; a last line that broke off is left out."""
    lines = []
    for line in path.read_text().splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            break
    if not lines or "machine" not in lines[0]:
        raise SystemExit(f"{path} holds no rows of python -m benchmarks.gpu.")
    return lines[0]["machine"], lines[1:]


Make = Callable[[Case], dict[str, Callable[[], Step]]]
"""Returns what makes each variant of a case."""


def spend(cases: Iterable[Case], make: Make, log: Log, budget: Budget, after: Step = lambda: None) -> None:
    """Measure cases in their order; what fails is a row, and what there is no time for is one too.

    Args:
        cases: The most telling first. One that is expected to take longer than what is left is passed over.
        make: Makes the variants of a case.
        log: Takes the rows.
        budget: The time that there is.
        after: Called after each case, to free what it held.
    """
    for case in cases:
        if budget.left < case.cost:
            log.write(case.row(left_out=f"{max(budget.left, 0):.0f} s were left"))
            continue
        for row in measured(case, make, budget):
            log.write(row)
        after()


def measured(case: Case, make: Make, budget: Budget) -> Iterator[Row]:
    """Measure the variants of a case that run, in turns, and yield a row of each; the others say why not."""
    steps: dict[str, Step] = {}
    try:
        makers = make(case)
    except Exception as error:
        yield case.row(error=_said(error))
        return
    for name, maker in makers.items():
        try:
            step = maker()
            for _ in range(WARM):
                step()
        except Exception as error:
            yield case.row(variant=name, error=_said(error))
        else:
            steps[name] = step
    try:
        within = max(min(SECONDS * len(steps), budget.left), 0)
        timings: dict[str, Timing] = interleaved(steps, budget.rounds, pause=0, within=within) if steps else {}
    except Exception as error:
        yield case.row(error=_said(error))
        return
    for name, timing in timings.items():
        yield case.row(variant=name, **as_dict(timing))


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
