"""Where a model looked, what it saw, and how certain its answer became, glimpse by glimpse."""

from itertools import pairwise

from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from stawm.models.model import Model
from stawm.viz import sheet, writing
from stawm.viz.seen import Seen, look

CURVES = 3
"""How many classes are followed by name."""
LEFT, CURVE, GAP, NAMES = 0.3, 1.25, 0.08, 1.2
"""Inches for the scale of the course of answers, the course and a gap, and the most that names beside it take."""


def looks(
    model: Model, pixels: Float[Tensor, "b c h w"], labels: Int[Tensor, "b"] | None = None, *, title: str | None = None
) -> Figure:
    """Picture how a model looks at images: one row an image.

    From left to right: the image with the frame of every glimpse; each glimpse as the model saw it, and under
    it the answer that the model would give at that moment and its probability; the course of the likeliest
    classes. Of more glimpses than `sheet.MOST` some are shown, evenly apart.

    Args:
        model: A model that takes glimpses; left in the mode that it was in.
        pixels: Images as pixel values in [0, 1].
        labels: The true classes, to tell right answers from wrong ones.
        title: A line above it all.

    Raises:
        InputError: The model takes no glimpses, or the images are not of its form.
    """
    seen = look(model, pixels)
    assert seen.trace is not None
    chances, shown = seen.chances, sheet.chosen(seen.trace.pose.shape[1])
    steps = len(shown)
    answers = chances is not None
    beside = min(NAMES, writing.widest(seen.names, 7))
    widths = [1.1, *[1.1] * steps, *([LEFT + CURVE + GAP + beside] if answers else [])]
    figure, axes = sheet.panels([1.35] * len(pixels), widths)
    for row, panels in enumerate(axes):
        label = None if labels is None else int(labels[row])
        sheet.scene(panels[0], pixels[row], seen.frames(row)[shown])
        if label is not None:
            sheet.under(panels[0], seen.label(panels[0], label), sheet.FAINT)
        for step, glimpse in enumerate(seen.glimpses(row)[shown]):
            sheet.show(panels[1 + step], glimpse)
            sheet.border(panels[1 + step], sheet.colour(step, steps))
            if answers:
                sheet.under(panels[1 + step], *seen.answer(panels[1 + step], chances[row, shown[step]], label))
        if answers:
            _course(panels[-1], seen, chances[row], label, beside)
    words = ["where it looked", *[f"glimpse {step + 1}" for step in shown], "how certain"][: len(widths)]
    inks = [sheet.INK, *[sheet.colour(step, steps) for step in range(steps)], sheet.INK][: len(widths)]
    sheet.headings(figure, axes[0], words, inks, title)
    return figure


def _course(axis: Axes, seen: Seen, chances: Tensor, label: int | None, beside: float) -> None:
    wide = sheet.inches(axis)
    axis = axis.inset_axes((LEFT / wide, 0.28, 1 - (LEFT + GAP + beside) / wide, 0.64))
    axis.spines[:].set_visible(False)
    steps, known = range(1, len(chances) + 1), chances.nan_to_num(0.0)
    followed = known.max(dim=0).values.topk(min(CURVES, chances.shape[1])).indices.tolist()
    for index in followed:
        ink = sheet.RIGHT if index == label else sheet.FAINT
        axis.plot(
            steps, chances[:, index].tolist(), color=ink, linewidth=1.4, marker="o", markersize=2.5, clip_on=False
        )
    for index, height in zip(followed, spread(known[-1, followed].tolist(), 0.15), strict=True):
        ink, said = sheet.RIGHT if index == label else sheet.FAINT, seen.class_name(index, beside, 7)
        place = {"xy": (steps[-1] + 0.2, height), "xytext": (GAP * writing.INCH, 0), "textcoords": "offset points"}
        axis.annotate(said, fontsize=7, color=ink, va="center", **place, **writing.style(said))
    axis.set_xlim(0.8, len(chances) + 0.2)
    axis.set_ylim(0, 1)
    axis.set_yticks([0, 1], ["0", "100 %"], fontsize=6, color=sheet.FAINT)
    axis.set_xticks(list(steps), [str(s) for s in steps], fontsize=6, color=sheet.FAINT)
    axis.tick_params(length=0)
    axis.grid(axis="y", color=sheet.GROUND)


def spread(heights: list[float], gap: float) -> list[float]:
    """Move heights up until each stands at least a gap above the next lower one."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    moved = list(heights)
    for below, above in pairwise(order):
        moved[above] = max(moved[above], moved[below] + gap)
    return moved
