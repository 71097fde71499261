"""What was measured: which classes are taken for which, how far stated certainty holds, and what each glimpse adds."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from stawm.errors import InputError
from stawm.viz import sheet, writing

NAMES = 1.1
"""The most inches that a class's name takes."""
READABLE = 20
"""Up to how many classes the numbers and names of a confusion matrix can be read."""


class Panel(NamedTuple):
    """One panel: the field that it shows, its heading, its width in inches, and how it is drawn."""

    field: str
    heading: str
    width: float
    draw: Callable[[Axes, Any], None]


def evaluation(measured: Any, *, title: str | None = None) -> Figure:
    """Picture what was measured of a model that classifies.

    From left to right, as far as it was measured: the confusion matrix, a row a true class, coloured by the share
    of its images; the reliability diagram, how often answers of a certainty are right; the error after each glimpse.

    Args:
        measured: What `stawm.training.evaluate` returned.
        title: A line above it all; the error where left out.

    Raises:
        InputError: Nothing of that was measured.
    """
    there = [panel for panel in PANELS if getattr(measured, panel.field, None)]
    if not there:
        raise InputError(
            "This evaluation holds no confusion, calibration or error by glimpse: it is not of a model that classifies."
        )
    widths = [panel.width for panel in there]
    figure = sheet.Picture(figsize=(sum(widths), 3.7), dpi=150, facecolor="white", layout="constrained")
    for axis, panel in zip(figure.subplots(1, len(there), squeeze=False, width_ratios=widths)[0], there, strict=True):
        axis.set_title(panel.heading, fontsize=9, color=sheet.INK)
        axis.tick_params(labelsize=7, colors=sheet.FAINT, length=0)
        axis.spines[:].set_color(sheet.GROUND)
        panel.draw(axis, measured)
    said = writing.shortened(writing.spelled(title or _summary(measured)), sum(widths), 10)
    figure.suptitle(said, fontsize=10, color=sheet.INK, **writing.style(said))
    return figure


def _summary(measured: Any) -> str:
    if measured.error is None:
        return f"{measured.images:,} images"
    if not math.isfinite(measured.error):
        return f"{measured.images:,} images: the answers are not finite"
    return f"wrong on {measured.error:.2%} of {measured.images:,} images"


def _confusion(axis: Axes, measured: Any) -> None:
    counts = np.asarray(measured.confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = _names(measured, len(counts))
    wrong = ~np.eye(len(counts), dtype=bool)
    axis.imshow(np.ma.masked_where(wrong, shares), cmap="Greens", vmin=0, vmax=1.6)
    reach = max(float(shares[wrong].max(initial=0)), 1e-12)
    axis.imshow(np.ma.masked_where(~wrong | (counts == 0), shares), cmap="Reds", vmin=0, vmax=1.6 * reach)
    axis.set_xlabel("taken for", fontsize=8, color=sheet.INK)
    axis.set_ylabel("label", fontsize=8, color=sheet.INK)
    if len(counts) > READABLE:
        return
    turned, style = max(map(len, names)) > 2, writing.style("".join(names))
    axis.set_xticks(range(len(names)), names, rotation=90 if turned else 0, **style)
    axis.set_yticks(range(len(names)), names, **style)
    for row, column in zip(*counts.nonzero(), strict=True):
        axis.text(column, row, f"{counts[row, column]}", ha="center", va="center", fontsize=6, color=sheet.INK)


def _names(measured: Any, classes: int) -> Sequence[str]:
    names = getattr(measured, "class_names", None)
    return writing.fitting(tuple(names), NAMES, 7) if names else [str(index) for index in range(classes)]


def _calibration(axis: Axes, measured: Any) -> None:
    bins = [b for b in measured.calibration if b.count and math.isfinite(b.confidence) and math.isfinite(b.accuracy)]
    counts = np.array([b.count for b in bins])
    sure, right = [b.confidence for b in bins], [b.accuracy for b in bins]
    axis.plot([0, 1], [0, 1], color=sheet.FAINT, linewidth=1, linestyle="--")
    axis.vlines(sure, sure, right, color=sheet.WRONG, linewidth=1)
    axis.plot(sure, right, color=sheet.colour(0, 2), linewidth=1)
    axis.scatter(sure, right, s=12 + 90 * counts / counts.max(initial=1), color=sheet.colour(0, 2), zorder=3)
    if measured.calibration_error is not None and math.isfinite(measured.calibration_error):
        axis.text(0.04, 0.96, f"calibration error {measured.calibration_error:.1%}", fontsize=7, va="top")
    axis.set_xlim(0, 1.03)
    axis.set_ylim(0, 1.03)
    axis.set_aspect("equal")
    axis.set_xlabel("certainty", fontsize=8, color=sheet.INK)
    axis.set_ylabel("accuracy", fontsize=8, color=sheet.INK)
    for side in (axis.xaxis, axis.yaxis):
        side.set_major_formatter(PercentFormatter(1, decimals=0))


def _by_glimpse(axis: Axes, measured: Any) -> None:
    errors = measured.error_by_glimpse
    steps = range(1, len(errors) + 1)
    axis.bar(
        steps,
        np.nan_to_num(errors, posinf=0, neginf=0),
        color=[sheet.colour(step, len(errors)) for step in range(len(errors))],
        width=0.7,
    )
    for step, error in zip(steps, errors, strict=True):
        said, height = (f"{error:.1%}", error) if math.isfinite(error) else (sheet.NO_DATA, 0.0)
        axis.text(step, height, said, ha="center", va="bottom", fontsize=6, color=sheet.INK)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.set_yticks([])
    axis.set_xlabel("glimpses", fontsize=8, color=sheet.INK)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))


PANELS = (
    Panel("confusion", "which class is taken for which", 3.7, _confusion),
    Panel("calibration", "certainty against accuracy", 3.5, _calibration),
    Panel("error_by_glimpse", "wrong after each glimpse", 3.0, _by_glimpse),
)
