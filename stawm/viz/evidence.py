"""Which glimpses speak for the answer: what `stawm.explain` found."""

from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from torch import Tensor

from stawm.models.explaining import Explanation
from stawm.viz import sheet

SIDE, BARS = 1.35, 2.4
"""Inches of the image, and of the bars beside it."""
FAINTEST = 0.25
"""How strong the colour of a share of nearly 0 is."""


def evidence(found: Explanation, *, title: str | None = None) -> Figure:
    """Picture which glimpses speak for the answer, in green, and which against it, in red: one row an image.

    The frames of the image have the colour of their glimpse's share of the answer's logit. The bars are these shares,
    and a dot on each says by how much the logit falls where that glimpse is erased.

    Args:
        found: What `stawm.explain` gave.
        title: A line above it all.
    """
    shares, changes = found.of(found.labels)
    figure, axes = sheet.panels([SIDE + 0.25] * len(shares), [SIDE, BARS])
    for row, (scene, bars) in enumerate(axes):
        colours = [_colour(share, sheet.largest(shares[row])) for share in shares[row].tolist()]
        size = (found.pixels.shape[2], found.pixels.shape[3])
        sheet.show(scene, found.pixels[row])
        sheet.widen(scene, found.corners[row], size)
        for corners, colour in zip(found.corners[row], colours, strict=True):
            sheet.frame(scene, corners, size, colour)
        label = int(found.labels[row])
        sheet.under(scene, f"{found.names[label]}  {found.logits[row, label].exp():.0%}", sheet.INK)
        _bars(bars, shares[row], changes[row], colours)
    sheet.headings(figure, axes[0], ["for and against", "share of the answer, by glimpse"], [sheet.INK] * 2, title)
    return figure


def _colour(share: float, most: float) -> tuple[float, float, float, float]:
    strength = FAINTEST + (1 - FAINTEST) * abs(share) / most if most else FAINTEST
    return to_rgba(sheet.RIGHT if share >= 0 else sheet.WRONG, strength)


def _bars(axis: Axes, shares: Tensor, changes: Tensor, colours: list[tuple[float, float, float, float]]) -> None:
    axis = axis.inset_axes((0.14, 0.24, 0.84, 0.7))
    steps = list(range(1, len(shares) + 1))
    axis.bar(steps, shares.nan_to_num().tolist(), color=colours, width=0.7)
    axis.plot(steps, (-changes).tolist(), linestyle="", marker="o", markersize=3, color=sheet.INK)
    axis.axhline(0, color=sheet.FAINT, linewidth=0.6)
    axis.spines[:].set_visible(False)
    axis.set_xticks(steps, [str(step) for step in steps], fontsize=6, color=sheet.FAINT)
    axis.tick_params(length=0, labelsize=6, labelcolor=sheet.FAINT)
