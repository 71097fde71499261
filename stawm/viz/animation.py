"""A model at work, glimpse after glimpse, as an animated picture."""

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from stawm.errors import InputError
from stawm.models.model import Model
from stawm.storage.file import write_atomically
from stawm.viz import sheet, writing
from stawm.viz.seen import Seen, look

FORMATS = {".gif": "GIF", ".png": "PNG", ".apng": "PNG"}
SHOWN = 10
"""How many classes are shown at most, the likeliest."""
BARS, GAP, NAMES = 1.2, 0.1, 1.2
"""Inches for the bars of the classes and a gap, and the most that names beside them take."""


@dataclass(frozen=True, repr=False)
class Animation:
    """Pictures that are shown one after the other, over and over.

    Attributes:
        frames: The pictures, all of one size.
        milliseconds: How long each is shown; the last one longer, to be looked at.
    """

    frames: Sequence[Image.Image]
    milliseconds: int = 700

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as a GIF or as an animated PNG, by the path's suffix, whole or not at all.

        Raises:
            InputError: The suffix is another one, or the file cannot be written.
        """
        path = Path(path)
        kind = FORMATS.get(path.suffix.lower())
        if kind is None:
            raise InputError(f"An animation is written as .gif, .png or .apng; got {path.name!r}.")
        write_atomically(path, self._encoded(kind))

    def _encoded(self, kind: str) -> bytes:
        frames = [frame.quantize(dither=Image.Dither.NONE) if kind == "GIF" else frame for frame in self.frames]
        shown = [self.milliseconds] * (len(frames) - 1) + [3 * self.milliseconds]
        data = io.BytesIO()
        frames[0].save(data, kind, save_all=True, append_images=frames[1:], duration=shown, loop=0)
        return data.getvalue()

    def _repr_png_(self) -> bytes:
        """What a notebook shows: an animated PNG."""
        return self._encoded("PNG")

    def __repr__(self) -> str:
        """Say how many pictures there are, not what each of them is."""
        wide, tall = self.frames[0].size
        return f"<Animation of {len(self.frames)} frames of {wide}x{tall} pixels>"


def animate(
    model: Model,
    pixels: Float[Tensor, "b c h w"],
    labels: Int[Tensor, "b"] | None = None,
    *,
    title: str | None = None,
    milliseconds: int = 700,
) -> Animation:
    """Show a model at work, one frame a glimpse, one row an image.

    From left to right: the image with the frame of the present glimpse, the glimpse as the model sees it, in a
    model that draws the canvas with the frame of the present sketch, and its mask where it has masks; in a model that
    classifies how likely it finds each class by then.

    Args:
        model: A model that takes glimpses; left in the mode that it was in.
        pixels: Images as pixel values in [0, 1].
        labels: The true classes, to tell right answers from wrong ones.
        title: A line above it all.
        milliseconds: How long each glimpse is shown.

    Raises:
        InputError: The model takes no glimpses, or the images are not of its form.
    """
    seen = look(model, pixels)
    assert seen.trace is not None
    steps = seen.trace.pose.shape[1]
    sheets = (_sheet(seen, pixels, labels, step, title) for step in range(steps))
    return Animation([_picture(sheet) for sheet in sheets], milliseconds)


def _sheet(
    seen: Seen, pixels: Float[Tensor, "b c h w"], labels: Int[Tensor, "b"] | None, step: int, title: str | None
) -> Figure:
    assert seen.trace is not None
    output, steps = seen.output, seen.trace.pose.shape[1]
    draws, masks, answers = output.canvases is not None, output.masks is not None, seen.chances is not None
    words = ["it looks", f"glimpse {step + 1} of {steps}", *["it draws"] * draws, *["its mask"] * masks]
    beside = min(NAMES, writing.widest(seen.names, 7)) if answers else 0.0
    widths = [1.3] * len(words) + [GAP + beside + BARS] * answers
    figure, axes = sheet.panels([1.45] * len(pixels), widths, top=0.5 if title else 0.3)
    for row, panels in enumerate(axes):
        sheet.scene(panels[0], pixels[row], seen.frames(row), upto=step + 1)
        sheet.show(panels[1], seen.glimpses(row)[step])
        sheet.border(panels[1], sheet.colour(step, steps))
        if labels is not None:
            sheet.under(panels[0], seen.label(panels[0], int(labels[row])), sheet.FAINT)
        if output.canvases is not None:
            _canvas(panels[2], seen, row, step)
        if output.masks is not None:
            sheet.show(panels[3], output.masks[row, step])
        if seen.chances is not None:
            label = None if labels is None else int(labels[row])
            _bars(panels[-1], seen, seen.chances[row], step, label, beside)
    ink = sheet.colour(step, steps)
    inks = [sheet.INK, *[ink] * (len(words) - 1), *[sheet.INK] * answers]
    sheet.headings(figure, axes[0], [*words, *["it says"] * answers], inks, title)
    return figure


def _canvas(axis: Axes, seen: Seen, row: int, step: int) -> None:
    assert seen.output.canvases is not None
    canvas, frames = seen.output.canvases[row, step], seen.placed_frames(row)
    size = (canvas.shape[-2], canvas.shape[-1])
    sheet.show(axis, canvas)
    sheet.widen(axis, frames, size, furthest=0.12)
    sheet.frame(axis, frames[step], size, sheet.colour(step, len(frames)), width=1.2)


def _bars(
    axis: Axes, seen: Seen, chances: Float[Tensor, "n classes"], step: int, label: int | None, beside: float
) -> None:
    """Show how likely each class is by then; the same classes in every frame."""
    known = chances.nan_to_num(0.0)
    kept = known.max(dim=0).values.topk(min(SHOWN, chances.shape[1])).indices.sort().values.tolist()
    best = int(known[step].argmax())
    left = (GAP + beside) / sheet.inches(axis)
    axis = axis.inset_axes((left, 0.04, 1 - left, 0.92))
    axis.spines[:].set_visible(False)
    right = sheet.INK if label is None else sheet.RIGHT if best == label else sheet.WRONG
    inks = [right if index == best else sheet.FAINT for index in kept]
    axis.barh(range(len(kept)), [1.0] * len(kept), color=sheet.GROUND, height=0.7)
    axis.barh(range(len(kept)), known[step, kept].tolist(), color=inks, height=0.7)
    names = [seen.class_name(index, beside, 7) for index in kept]
    axis.set_yticks(range(len(kept)), names, fontsize=7, **writing.style("".join(names)))
    for text, ink in zip(axis.get_yticklabels(), inks, strict=True):
        text.set_color(ink)
    axis.set_xlim(0, 1)
    axis.set_xticks([])
    axis.invert_yaxis()
    axis.tick_params(length=0)


def _picture(figure: Figure) -> Image.Image:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
