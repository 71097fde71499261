"""A trial as one page of text, and as a picture."""

from collections.abc import Sequence
from statistics import mean
from typing import TYPE_CHECKING, Any

from stawm.nn.memories.sizing import CONTROLS
from stawm.trial import kept
from stawm.trial.kept import Figures
from stawm.trial.tasks import TASKS, Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from stawm.trial.memory import Trial


def page(trial: "Trial") -> str:
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


def picture(trial: "Trial") -> "Figure":
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
