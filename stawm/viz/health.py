"""How a memory is doing: what `stawm.diagnose` measured, glimpse by glimpse, beside its limits."""

import math
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stawm.models.diagnosis import NOTHING, Diagnosis
from stawm.viz import sheet, writing


class Panel(NamedTuple):
    """One panel: a heading, the measures that it shows, and the rate that is their limit."""

    heading: str
    measures: tuple[str, ...]
    limit: str | None = None


PANELS = (
    Panel("η|e|² against δ", ("drive", "drive_max"), "delta"),
    Panel("share of writes and responses", ("contracting", "saturated", "silent")),
    Panel("how full the box of W is", ("fill",)),
    Panel("bound on the gradient through W", ("gradient",)),
    Panel("glimpses", ("outside", "size", "alike", "reached")),
    Panel("size of W", ("norm", "radius")),
    Panel("largest read", ("read",)),
)


def health(report: Diagnosis) -> Figure:
    """Picture what `stawm.diagnose` returned: a panel for each kind of measure that the memory has, advice below."""
    there = [panel for panel in PANELS if _values(report, panel.measures)]
    wide = 2.3 * len(there)
    advice = [writing.wrapped(writing.spelled(line), wide - 0.4, 7) for line in report.advice or (NOTHING,)]
    lines = sum(line.count("\n") + 1 for line in advice)
    figure = sheet.Picture(figsize=(wide, 2.35 + 0.16 * lines), dpi=150, layout="constrained")
    for axis, panel in zip(figure.subplots(1, len(there), squeeze=False)[0], there, strict=True):
        _draw(axis, panel, report)
    title = f"{report.memory} of {report.model} over {report.images} images"
    title = writing.shortened(writing.spelled(title), wide, 10)
    figure.suptitle(title, fontsize=10, color=sheet.INK, **writing.style(title))
    said, ink = "\n".join(advice), sheet.WRONG if report.advice else sheet.RIGHT
    figure.supxlabel(said, fontsize=7, color=ink, **writing.style(said.replace("\n", "")))
    return figure


def _draw(axis: Axes, panel: Panel, report: Diagnosis) -> None:
    steps, shown = [health.glimpse for health in report.glimpses], _values(report, panel.measures)
    for k, (name, values) in enumerate(shown.items()):
        label = name if all(map(math.isfinite, values)) else f"{name}: not finite"
        axis.plot(steps, values, marker="o", markersize=3, color=sheet.colour(k, max(2, len(shown))), label=label)
    if panel.limit is not None and panel.limit in report.rates:
        axis.axhline(report.rates[panel.limit], color=sheet.WRONG, linewidth=1, linestyle="--", label=panel.limit)
    axis.set_title(panel.heading, fontsize=8, color=sheet.INK)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_ylim(bottom=0)
    axis.tick_params(labelsize=6, colors=sheet.FAINT)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=6, frameon=False)


def _values(report: Diagnosis, names: tuple[str, ...]) -> dict[str, list[float]]:
    """Return the measures that there are, glimpse by glimpse."""
    rows = [vars(memory) | vars(look) for memory, look in zip(report.glimpses, report.looks, strict=True)]
    return {name: [row[name] for row in rows] for name in names if rows[0].get(name) is not None}
