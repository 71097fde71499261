"""What the pictures share: a sheet of panels, images, frames and colours."""

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from torch import Tensor

from stawm.errors import InputError
from stawm.storage.file import write_atomically
from stawm.viz.writing import shortened, spelled, style

INK, FAINT, GROUND = "#1b1b1f", "#8a8a94", "#e9e9ee"
RIGHT, WRONG = "#2a7f4f", "#b3261e"
FURTHEST = 0.35
"""How far around an image frames are shown, as a share of its side; what reaches further is cut off."""

GAP, MARGIN = 0.12, 0.12
"""Between two panels, as a share of their mean width; around all of them, in inches."""
MOST = 16
"""How many glimpses are shown of one image at most."""
NO_DATA = "no data"
"""What is said where a number is none."""


class Picture(Figure):
    """A figure that a notebook shows, whether or not it was told to draw inline."""

    def _repr_png_(self) -> bytes:
        data = io.BytesIO()
        FigureCanvasAgg(self).print_png(data)
        return data.getvalue()


def panels(
    heights: Sequence[float], widths: Sequence[float], *, top: float = 0.5, bottom: float = 0.12
) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure with a grid of panels; widths and heights are in inches."""
    wide, tall = sum(widths) + 0.3, sum(heights) + top + bottom
    figure = Picture(figsize=(wide, tall), dpi=150, facecolor="white")
    grid = figure.add_gridspec(
        len(heights),
        len(widths),
        height_ratios=list(heights),
        width_ratios=list(widths),
        left=MARGIN / wide,
        right=1 - MARGIN / wide,
        top=1 - top / tall,
        bottom=bottom / tall,
        hspace=0.0,
        wspace=GAP,
    )
    axes = [[figure.add_subplot(grid[r, c]) for c in range(len(widths))] for r in range(len(heights))]
    for axis in (a for row in axes for a in row):
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_anchor("N")
        axis.spines[:].set_visible(False)
    return figure, axes


def headings(
    figure: Figure, top: Sequence[Axes], words: Sequence[str], inks: Sequence[object], title: str | None
) -> None:
    """Write a heading above each column, and a title above them all."""
    tall = figure.get_figheight()
    for axis, word, ink in zip(top, words, inks, strict=True):
        box, said = axis.get_position(original=True), shortened(spelled(word), room(axis), 8)
        middle, above = (box.x0 + box.x1) / 2, box.y1 + 0.05 / tall
        figure.text(middle, above, said, ha="center", va="bottom", fontsize=8, color=ink, **style(said))
    if title:
        said = shortened(spelled(title), figure.get_figwidth() - 4 * MARGIN, 10)
        figure.text(0.5, 1 - 0.06 / tall, said, ha="center", va="top", fontsize=10, color=INK, **style(said))


def inches(axis: Axes) -> float:
    """Return how wide a panel is."""
    figure: Any = axis.figure
    return axis.get_position(original=True).width * figure.get_figwidth()


def room(axis: Axes) -> float:
    """Return how many inches a line under or above a panel may take without running into the next one."""
    return inches(axis) * (1 + GAP / 4)


def colour(step: int, steps: int) -> tuple[float, float, float, float]:
    """Return the colour of a glimpse: early ones dark, late ones bright."""
    return colormaps["plasma"](0.12 + 0.76 * step / max(1, steps - 1))


def chosen(steps: int) -> list[int]:
    """Return which glimpses are shown, numbered from 0: all, or of many some that are evenly apart.

    Examples:
        >>> chosen(3), chosen(64)[:3], chosen(64)[-1]
        ([0, 1, 2], [0, 4, 8], 63)
    """
    count = min(steps, MOST)
    return [round(i * (steps - 1) / max(1, count - 1)) for i in range(count)]


def show(axis: Axes, image: Float[Tensor, "c h w"]) -> None:
    """Show pixel values in [0, 1]; of other channels than grey or red, green and blue their mean.

    Where a value is no number, the ground shows; where none is one, that is said.
    """
    c, h, w = image.shape
    pixels = (image if c in (1, 3) else image.mean(dim=0, keepdim=True)).detach().float().clamp(0, 1).cpu().numpy()
    there = np.asarray(np.isfinite(pixels).all(axis=0))
    if len(pixels) == 1:
        shown = np.ma.masked_where(~there, pixels[0])
    else:
        shown = np.where(there[..., None], np.moveaxis(pixels, 0, -1), to_rgb(GROUND))
    grey = colormaps["gray"].with_extremes(bad=GROUND)
    axis.imshow(shown, cmap=grey, vmin=0, vmax=1, interpolation="nearest", extent=(0, w, h, 0))
    axis.set_aspect("equal")
    if not there.any():
        axis.text(0.5, 0.5, NO_DATA, transform=axis.transAxes, ha="center", va="center", fontsize=7, color=WRONG)


def frame(axis: Axes, corners: Float[Tensor, "4 2"], size: tuple[int, int], colour: object, width: float = 1.6) -> None:
    """Outline a glimpse; corners in the locator's coordinates, the image from -1 to 1. None where it is nowhere."""
    h, w = size
    xy = (corners.detach().float().cpu().numpy() + 1) / 2 * np.array([w, h])
    if np.isfinite(xy).all():
        axis.add_patch(Polygon(xy, closed=True, fill=False, edgecolor=colour, linewidth=width, joinstyle="miter"))


def widen(axis: Axes, frames: Float[Tensor, "n 4 2"], size: tuple[int, int], *, furthest: float = FURTHEST) -> None:
    """Leave room around an image for the frames that reach out of it."""
    h, w = size
    out = min(max(largest(frames) - 0.97, 0.06), 2 * furthest) / 2
    axis.set_facecolor(GROUND)
    axis.set_xlim(-out * w, (1 + out) * w)
    axis.set_ylim((1 + out) * h, -out * h)
    axis.spines[:].set(visible=True, color=GROUND)


def largest(values: Float[Tensor, "..."]) -> float:
    """Return the largest magnitude among the numbers that are finite; 0 where none is."""
    return float(values.detach().abs().nan_to_num(0.0, 0.0, 0.0).max()) if values.numel() else 0.0


def border(axis: Axes, colour: object, width: float = 2.0) -> None:
    """Draw a panel's edge."""
    axis.spines[:].set(visible=True, color=colour, linewidth=width)


def under(axis: Axes, said: str, ink: str) -> None:
    """Write a line under a panel."""
    said = shortened(spelled(said), room(axis), 8)
    axis.text(0.5, -0.05, said, transform=axis.transAxes, ha="center", va="top", fontsize=8, color=ink, **style(said))


def note(axis: Axes, said: str, height: float = 0.5) -> None:
    """Write a word into an empty panel, at a height from 0, the bottom, to 1."""
    said = shortened(spelled(said), room(axis), 8)
    place = {"transform": axis.transAxes, "ha": "right", "va": "center"}
    axis.text(0.95, height, said, fontsize=8, color=FAINT, **place, **style(said))


def scene(
    axis: Axes, image: Float[Tensor, "c h w"], frames: Float[Tensor, "n 4 2"], *, upto: int | None = None
) -> None:
    """Show an image with the frames of its glimpses; of those taken up to now, the last one stands out."""
    size = (image.shape[-2], image.shape[-1])
    show(axis, image)
    widen(axis, frames, size)
    last = len(frames) if upto is None else upto
    for step, corners in enumerate(frames[:last]):
        past = upto is not None and step + 1 < last
        frame(axis, corners, size, colour(step, len(frames)), width=0.6 if past else 1.6)


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure to a file, in the format of its suffix, whole or not at all.

    Raises:
        InputError: The suffix is of no format that is known, or the file cannot be written.
    """
    path, data = Path(path), io.BytesIO()
    try:
        figure.savefig(data, format=path.suffix.removeprefix(".") or None)
    except ValueError as error:
        raise InputError(f"Cannot write {path}: {error}.") from error
    write_atomically(path, data.getvalue())
