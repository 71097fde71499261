"""How a memory is doing: what `stawm.diagnose` measured, glimpse by glimpse, beside its limits."""

from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stawm.models.diagnosis import Diagnosis
from stawm.viz import sheet


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
    Panel("size of W", ("norm", "radius")),
    Panel("largest read", ("read",)),
)


def health(report: Diagnosis) -> Figure:
    """Picture what `stawm.diagnose` returned: a panel for each kind of measure that the memory has, advice below."""
    there = [panel for panel in PANELS if set(panel.measures) & set(report.columns())]
    figure = Figure(figsize=(2.3 * len(there), 2.5 + 0.16 * len(report.advice)), dpi=150, layout="constrained")
    for axis, panel in zip(figure.subplots(1, len(there), squeeze=False)[0], there, strict=True):
        _draw(axis, panel, report)
    figure.suptitle(f"{report.memory} of {report.model} over {report.images} images", fontsize=10, color=sheet.INK)
    said = "\n".join(report.advice) or "nothing to mend"
    figure.supxlabel(said, fontsize=7, color=sheet.WRONG if report.advice else sheet.RIGHT)
    return figure


def _draw(axis: Axes, panel: Panel, report: Diagnosis) -> None:
    shown = [name for name in panel.measures if name in report.columns()]
    steps = [health.glimpse for health in report.glimpses]
    for k, name in enumerate(shown):
        values = [getattr(health, name) for health in report.glimpses]
        axis.plot(steps, values, marker="o", markersize=3, color=sheet.colour(k, max(2, len(shown))), label=name)
    if panel.limit is not None and panel.limit in report.rates:
        axis.axhline(report.rates[panel.limit], color=sheet.WRONG, linewidth=1, linestyle="--", label=panel.limit)
    axis.set_title(panel.heading, fontsize=8, color=sheet.INK)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_ylim(bottom=0)
    axis.tick_params(labelsize=6, colors=sheet.FAINT)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=6, frameon=False)
