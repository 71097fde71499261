"""What a trial found, as one page of text, as JSON and as a picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import TYPE_CHECKING, Any

import torch

from stawm._version import __version__
from stawm.nn.memories.sizing import CONTROLS
from stawm.nn.testing import MEMORY_CHECKS
from stawm.text import Readable
from stawm.trial import kept
from stawm.trial.kept import Figures
from stawm.trial.learner import Recipe
from stawm.trial.running import Measured
from stawm.trial.tasks import TASKS, Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class Trial(Readable):
    """What a memory reached, beside the figures that are kept of others.

    Attributes:
        memory: Its name, and the fields that were changed.
        measured: Its error at each level of each task.
        broken: The conformance checks that it fails, by name, and how; none where it keeps the contract.
        recipe: How it was trained.
        seed: Where chance came from.
        hardware: What it was trained on.
        seconds: How long all of it took, by the clock.
    """

    memory: str
    measured: tuple[Measured, ...]
    broken: Mapping[str, str]
    recipe: Recipe
    seed: int
    hardware: str
    seconds: float

    @property
    def figures(self) -> Figures:
        """The errors, put together as those that are kept."""
        return kept.figures(self.memory, {self.seed: self.measured})

    @property
    def comparable(self) -> bool:
        """Whether it was trained as those were whose figures are kept."""
        return self.recipe.to_dict() == kept.records()["recipe"]

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "memory": self.memory,
            "seed": self.seed,
            "recipe": self.recipe.to_dict(),
            "hardware": self.hardware,
            "versions": {"stawm": __version__, "torch": torch.__version__},
            "seconds": self.seconds,
            "measured": [row._asdict() for row in self.measured],
            "checks": {name: self.broken.get(name, "holds") for name in [*MEMORY_CHECKS, *self.broken]},
            "wins": kept.wins(self.figures, kept.kept()) if self.comparable else [],
        }

    def __str__(self) -> str:
        """Lay it out as one page."""
        return page(self)


def page(trial: Trial) -> str:
    """Return the page: errors beside the kept ones, what was asked, costs, and whether the contract holds."""
    own, others = trial.figures, kept.kept()
    tasks = [task for task in TASKS if task.name in own.errors]
    names = [task.name for task in tasks]
    note = "" if trial.comparable else "  (with the usual recipe, which this trial did not have)"
    lines = [f"{own.label}, seed {trial.seed}, on {trial.hardware}: wrong answers in %, mean over all levels{note}", ""]
    heading = ["", *names, "parameters", "state", "CPU s"]
    chance = ["by chance", *(f"{100 * _chance(task):.1f}" for task in tasks), "", "", ""]
    lines += aligned([heading, row(own, names), chance, *(row(one, names) for one in others)])
    known = kept.records()
    lines += ["", f"The others: mean over the seeds that are kept, on {known['hardware']}, torch {known['torch']}."]
    lines += ["", "by level:"]
    for task in tasks:
        cells = [
            f"{level} {task.unit}{f' at m = {size}' if task.sizes else ''}: {100 * error.mean:.1f}"
            for (name, size, level), error in own.levels.items()
            if name == task.name
        ]
        lines.append(f"  {task.name:<12} {task.asked}")
        lines.append(f"  {'':<12} {', '.join(cells)}")
    better = kept.wins(own, others) if trial.comparable else []
    said = ", ".join(better) or "none" if trial.comparable else "not told, as the recipe is another"
    lines += ["", f"better than both controls ({', '.join(CONTROLS)}) by 10 points or more: {said}"]
    lines.append("contract: " + ("every check holds" if not trial.broken else f"{len(trial.broken)} checks fail"))
    lines += [f"  {name}: {how}" for name, how in trial.broken.items()]
    return "\n".join([*lines, f"took {trial.seconds:.0f} s"])


def row(one: Figures, tasks: Sequence[str]) -> list[str]:
    """Return the cells of one memory."""
    errors = [f"{100 * one.errors[task].mean:.1f}" if task in one.errors else "" for task in tasks]
    return [one.label, *errors, f"{one.parameters:,}", f"{one.kept:,}", f"{one.seconds:.0f}"]


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines with cells below each other, the first at the left and numbers at the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))])
        for cells in rows
    ]


def picture(trial: Trial) -> "Figure":
    """Draw the error over the levels, a panel for each task: the memory on trial, the controls, and the others pale."""
    from stawm.viz import sheet, writing

    own, others = trial.figures, kept.kept()
    tasks = [task for task in TASKS if task.name in own.errors]
    figure = sheet.Picture(figsize=(2.6 * len(tasks) + 1.2, 3), dpi=120, layout="constrained")
    for axis, task in zip(figure.subplots(1, len(tasks), squeeze=False)[0], tasks, strict=True):
        for one in [*others, own]:
            found = {(m if task.sizes else level): e for (t, m, level), e in one.levels.items() if t == task.name}
            control, mine = one.label in CONTROLS, one is own
            style: dict[str, Any] = {"color": sheet.FAINT, "alpha": 0.35}
            if control:
                style = {"color": sheet.INK, "linestyle": "--" if one.label == CONTROLS[0] else ":"}
            if mine:
                style = {"color": sheet.WRONG, "linewidth": 2}
            name = writing.spelled(one.label) if mine or control else None
            axis.plot([*found], [100 * e.mean for e in found.values()], marker="o", markersize=3, label=name, **style)
        axis.set(title=task.name, xlabel="width m" if task.sizes else task.unit, ylim=(-2, 102))
        axis.set_xscale("log", base=2)
        ticks = task.sizes or task.levels
        axis.set_xticks(ticks, labels=[str(tick) for tick in ticks])
        axis.minorticks_off()
    figure.axes[0].set_ylabel("wrong answers in %")
    figure.axes[0].legend(fontsize=7)
    return figure


def _chance(task: Task) -> float:
    return mean(task.chance(level) for level in task.levels)
