"""What a model drew: the picture after each glimpse, and where each sketch was put."""

import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from stawm.errors import InputError
from stawm.heads.model import Model
from stawm.viz import paper


def drawings(model: Model, pixels: Float[Tensor, "b c h w"], *, title: str | None = None) -> Figure:
    """Picture how a model draws images: one row an image, and a second one for its masks where it has masks.

    Args:
        model: A model that draws; left in the mode that it was in.
        pixels: Images as pixel values in [0, 1].
        title: A line above it all.

    Raises:
        InputError: The model does not draw, or the images are not of its form.
    """
    seen = paper.look(model, pixels)
    output, trace = seen.output, seen.trace
    if output.canvases is None or trace.inverse_pose is None:
        raise InputError(f"{model.config.name} does not draw, so there is no drawing to show.")
    steps, rows = output.canvases.shape[1], 1 if output.masks is None else 2
    figure, axes = paper.sheet(len(pixels) * rows, [1.0] * (steps + 1), height=1.08)
    size = (pixels.shape[-2], pixels.shape[-1])
    for i in range(len(pixels)):
        top = axes[i * rows]
        paper.show(top[0], pixels[i])
        with torch.no_grad():
            frames = seen.model.locator.placed_frame(trace.inverse_pose[i]).cpu()
        if output.masks is not None:
            paper.note(axes[i * rows + 1][0], "masks")
        for step in range(steps):
            paper.show(top[1 + step], output.canvases[i, step])
            paper.frame(top[1 + step], frames[step], size, paper.colour(step, steps), width=1.2)
            paper.widen(top[1 + step], frames, size)
            if output.masks is not None:
                paper.show(axes[i * rows + 1][1 + step], output.masks[i, step])
    words = ["image", *[str(step + 1) for step in range(steps)]]
    inks = [paper.INK, *[paper.colour(step, steps) for step in range(steps)]]
    paper.headings(figure, axes[0], words, inks, title)
    return figure
