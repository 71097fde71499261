"""What the pictures share: a sheet of panels, images, frames and colours."""

import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from torch import Tensor

from stawm.errors import InputError
from stawm.storage.file import write_atomically

INK, FAINT, GROUND = "#1b1b1f", "#8a8a94", "#e9e9ee"
RIGHT, WRONG = "#2a7f4f", "#b3261e"
FURTHEST = 0.35
"""How far around an image frames are shown, as a share of its side; what reaches further is cut off."""


def panels(
    heights: Sequence[float], widths: Sequence[float], *, top: float = 0.5, bottom: float = 0.12
) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure with a grid of panels; widths and heights are in inches."""
    wide, tall = sum(widths) + 0.3, sum(heights) + top + bottom
    figure = Figure(figsize=(wide, tall), dpi=150, facecolor="white")
    grid = figure.add_gridspec(
        len(heights),
        len(widths),
        height_ratios=list(heights),
        width_ratios=list(widths),
        left=0.12 / wide,
        right=1 - 0.12 / wide,
        top=1 - top / tall,
        bottom=bottom / tall,
        hspace=0.0,
        wspace=0.12,
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
        box = axis.get_position(original=True)
        figure.text((box.x0 + box.x1) / 2, box.y1 + 0.05 / tall, word, ha="center", va="bottom", fontsize=8, color=ink)
    if title:
        figure.text(0.5, 1 - 0.06 / tall, title, ha="center", va="top", fontsize=10, color=INK)


def colour(step: int, steps: int) -> tuple[float, float, float, float]:
    """Return the colour of a glimpse: early ones dark, late ones bright."""
    return colormaps["plasma"](0.12 + 0.76 * step / max(1, steps - 1))


def show(axis: Axes, image: Float[Tensor, "c h w"]) -> None:
    """Show pixel values in [0, 1]."""
    c, h, w = image.shape
    if c not in (1, 3):
        raise InputError(f"Pictures can be made of images with 1 or 3 channels; these have {c}.")
    pixels = image.detach().float().clamp(0, 1).cpu().numpy()
    shown = pixels[0] if c == 1 else np.moveaxis(pixels, 0, -1)
    axis.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest", extent=(0, w, h, 0))
    axis.set_aspect("equal")


def frame(axis: Axes, corners: Float[Tensor, "4 2"], size: tuple[int, int], colour: object, width: float = 1.6) -> None:
    """Outline a glimpse; corners in the locator's coordinates, the image from -1 to 1."""
    h, w = size
    xy = (corners.detach().float().cpu().numpy() + 1) / 2 * np.array([w, h])
    axis.add_patch(Polygon(xy, closed=True, fill=False, edgecolor=colour, linewidth=width, joinstyle="miter"))


def widen(axis: Axes, frames: Float[Tensor, "n 4 2"], size: tuple[int, int], *, furthest: float = FURTHEST) -> None:
    """Leave room around an image for the frames that reach out of it."""
    h, w = size
    out = min(max(float(frames.abs().max()) - 0.97, 0.06), 2 * furthest) / 2
    axis.set_facecolor(GROUND)
    axis.set_xlim(-out * w, (1 + out) * w)
    axis.set_ylim((1 + out) * h, -out * h)
    axis.spines[:].set(visible=True, color=GROUND)


def border(axis: Axes, colour: object, width: float = 2.0) -> None:
    """Draw a panel's edge."""
    axis.spines[:].set(visible=True, color=colour, linewidth=width)


def under(axis: Axes, said: str, ink: str) -> None:
    """Write a line under a panel."""
    axis.text(0.5, -0.05, said, transform=axis.transAxes, ha="center", va="top", fontsize=8, color=ink)


def note(axis: Axes, said: str) -> None:
    """Write a word into an empty panel."""
    axis.text(0.95, 0.5, said, transform=axis.transAxes, ha="right", va="center", fontsize=8, color=FAINT)


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
