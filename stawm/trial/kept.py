"""Figures of the built-in rules and controls, which come along, so that a memory on trial has something beside it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from stawm.nn.memories.sizing import CONTROLS
from stawm.trial.running import Measured

FILE = Path(__file__).with_name("kept.json")
MARGIN = 0.1
"""By how much a memory's error must be below those of both controls to win a task."""


class Spread(NamedTuple):
    """What seeds gave: their mean, the least and the greatest."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """Return the spread of some values."""
        known = [*values]
        return cls(mean(known), min(known), max(known))


@dataclass(frozen=True)
class Figures:
    """What one memory reached, over all seeds it was tried with.

    Attributes:
        label: Its name, and the fields that were changed.
        errors: For each task the mean error over its levels and widths.
        levels: The error at each level: by task, width and level.
        seeds: With which seeds.
        seconds: How long a trial took on the processor, the mean over seeds.
        parameters: How many parameters it has in the first of its tasks.
        kept: The most numbers that its state had.
    """

    label: str
    errors: Mapping[str, Spread]
    levels: Mapping[tuple[str, int, int], Spread]
    seeds: tuple[int, ...]
    seconds: float
    parameters: int
    kept: int


@cache
def records() -> Mapping[str, Any]:
    """Return the kept figures as they were written."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def kept() -> list[Figures]:
    """Return the kept figures, a memory after the other, the controls last."""
    by_label: dict[str, dict[int, list[Measured]]] = {}
    for run in records()["runs"]:
        name = label(run["memory"], run["fields"])
        by_label.setdefault(name, {})[run["seed"]] = [Measured(*row) for row in run["measured"]]
    found = [figures(name, runs) for name, runs in by_label.items()]
    return sorted(found, key=lambda one: one.label in CONTROLS)


def figures(name: str, runs: Mapping[int, Iterable[Measured]]) -> Figures:
    """Put together what a memory reached with each seed."""
    rows = {seed: [*given] for seed, given in runs.items()}
    every = [row for given in rows.values() for row in given]
    tasks = dict.fromkeys(row.task for row in every)
    levels = dict.fromkeys((row.task, row.size, row.level) for row in every)
    return Figures(
        label=name,
        errors={t: Spread.of(mean(r.error for r in given if r.task == t) for given in rows.values()) for t in tasks},
        levels={key: Spread.of(r.error for r in every if (r.task, r.size, r.level) == key) for key in levels},
        seeds=tuple(sorted(rows)),
        seconds=mean(sum({(r.task, r.size): r.seconds for r in given}.values()) for given in rows.values()),
        parameters=every[0].parameters,
        kept=max(row.kept for row in every),
    )


def wins(one: Figures, others: Iterable[Figures]) -> list[str]:
    """Return the tasks in which a memory is better than each control, by `MARGIN` and with every seed.

    None where it is a control itself, or where there are no figures of both.
    """
    controls = [other for other in others if other.label in CONTROLS]
    if one.label in CONTROLS or len(controls) < len(CONTROLS):
        return []
    return [task for task, error in one.errors.items() if all(_beats(error, c.errors.get(task)) for c in controls)]


def _beats(error: Spread, control: Spread | None) -> bool:
    return control is not None and control.mean - error.mean >= MARGIN and error.high < control.low


def label(name: str, fields: Mapping[str, Any]) -> str:
    """Return what a memory is called in tables.

    Examples:
        >>> label("delta", {"bind": "what-where"})
        'delta bind=what-where'
    """
    return " ".join([name, *(f"{key}={_written(value)}" for key, value in fields.items())])


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
