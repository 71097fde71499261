"""How a model draws: what it sees, what it sketches of that, and the picture that grows from the sketches."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from stawm.models.model import Model
from stawm.viz import sheet
from stawm.viz.seen import Seen, check_draws, look

GAP = 0.22
"""Inches between two images."""
NEAR = 0.12
"""How far around a canvas frames are shown, as a share of its side."""


class Story(NamedTuple):
    """What is shown of one image, a row each: a word, pictures glimpse by glimpse, and frames on them."""

    word: str
    panels: Float[Tensor, "n s h w"]
    frames: Float[Tensor, "n 4 2"] | None = None

    def at(self, steps: Sequence[int]) -> "Story":
        """Return what is shown of some of the glimpses."""
        return Story(self.word, self.panels[steps], None if self.frames is None else self.frames[steps])


def drawings(model: Model, pixels: Float[Tensor, "b c h w"], *, title: str | None = None) -> Figure:
    """Picture how a model draws images: a block of rows an image, a column a glimpse.

    In the first row the image with the frame of every glimpse, each glimpse as the model saw it, and the image
    as the target. Below it what the model sketched of each glimpse; in a model with masks, what each sketch was
    let through by; and the canvas after each sketch, framed where the sketch was put. At the end the finished
    picture stands under its target, with the squared error between them. Of more glimpses than `sheet.MOST` some are
    shown, evenly apart, the first and the last among them. Without attention
    there are no glimpses, and no frames.

    Args:
        model: A model that draws; left in the mode that it was in.
        pixels: Images as pixel values in [0, 1].
        title: A line above it all.

    Raises:
        InputError: The model does not draw, or the images are not of its form.
    """
    check_draws(model)
    seen = look(model, pixels, attends=False)
    assert seen.output.canvases is not None
    shown = sheet.chosen(seen.output.canvases.shape[1])
    steps, colours = len(shown), [sheet.colour(step, len(shown)) for step in range(len(shown))]
    stories = [[story.at(shown) for story in _stories(seen, i)] for i in range(len(pixels))]
    rows = len(stories[0])
    heights = [*[1.08] * (rows - 1), 1.08 + GAP] * len(pixels)
    figure, axes = sheet.panels(heights, [1.15, *[1.0] * steps, 1.15])
    for i, story in enumerate(stories):
        block = axes[i * rows : (i + 1) * rows]
        for line, panels in zip(story, block, strict=True):
            _row(line, panels)
        sheet.scene(block[0][0], pixels[i], pixels.new_zeros(0, 4, 2) if seen.trace is None else seen.frames(i)[shown])
        _result(seen, i, pixels[i], block[0][-1], block[-1][-1])
    what = "where it looks" if seen.trace is not None else "what it sees"
    words = [what, *[f"glimpse {step + 1}" for step in shown], "target"]
    inks = [sheet.INK, *colours, sheet.INK]
    sheet.headings(figure, axes[0], words, inks, title)
    return figure


def as_pixels(sketches: Float[Tensor, "n s h w"], channels: int) -> Float[Tensor, "n c h w"] | None:
    """Return sketches as pictures, or None where they are none.

    Sketches behind masks are pictures, after a channel with the mask. Sketches that add up may take away too:
    grey is nothing, what is brighter adds, what is darker takes away.
    """
    if sketches.shape[1] == channels + 1:
        return sketches[:, 1:]
    if sketches.shape[1] != channels:
        return None
    return 0.5 + sketches / (2 * max(sheet.largest(sketches), 1e-12))


def _stories(seen: Seen, row: int) -> list[Story]:
    output = seen.output
    assert output.canvases is not None
    assert output.sketches is not None
    shown = as_pixels(output.sketches[row], output.canvases.shape[2])
    if seen.trace is None:
        return [] if shown is None else [Story("", shown), Story("it draws", output.canvases[row])]
    found = [Story("", seen.glimpses(row))]
    if shown is not None:
        found.append(Story("it sketches", shown))
    if output.masks is not None:
        found.append(Story("through masks", output.masks[row]))
    return [*found, Story("it draws", output.canvases[row], seen.placed_frames(row))]


def _row(story: Story, panels: Sequence[Axes]) -> None:
    steps, size = len(story.panels), (story.panels.shape[-2], story.panels.shape[-1])
    if story.word:
        sheet.note(panels[0], story.word)
    for step, axis in enumerate(panels[1:-1]):
        ink = sheet.colour(step, steps)
        sheet.show(axis, story.panels[step])
        if story.frames is None:
            sheet.border(axis, ink, width=1.4)
        else:
            sheet.widen(axis, story.frames, size, furthest=NEAR)
            sheet.frame(axis, story.frames[step], size, ink, width=1.2)


def _result(seen: Seen, row: int, image: Tensor, above: Axes, below: Axes) -> None:
    assert seen.output.canvas is not None
    result = seen.output.canvas[row].cpu()
    sheet.show(above, image)
    sheet.show(below, result)
    error = (result - image.cpu()).square().mean().item()
    said = f"result: MSE {error:.4f}" if math.isfinite(error) else f"result: {sheet.NO_DATA}"
    sheet.under(below, said, sheet.FAINT)
