"""What a memory holds: W after each glimpse."""

import numpy as np
import torch
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from stawm.errors import InputError
from stawm.models.model import Model, Stawm
from stawm.viz import sheet
from stawm.viz.seen import Seen, look

NOTHING = 1e-12
"""Below this a memory holds nothing."""


def memories(model: Model, pixels: Float[Tensor, "b c h w"], *, title: str | None = None) -> Figure:
    """Picture the matrix of a model's memory after each glimpse: one row an image.

    Blue is negative, red positive, white nothing; each row has one scale, written at its right end.

    Args:
        model: A model that takes glimpses; left in the mode that it was in.
        pixels: Images as pixel values in [0, 1].
        title: A line above it all.

    Raises:
        InputError: The model takes no glimpses or has no memory, or the images are not of its form.
    """
    seen = look(model, pixels)
    if not isinstance(model, Stawm):
        raise InputError(f"{model.config.name} has no memory, so there is none to show.")
    written = matrices(seen)
    steps = written.shape[1]
    figure, axes = sheet.panels([1.3] * len(pixels), [1.0, *[1.2] * steps])
    for i, panels in enumerate(axes):
        sheet.show(panels[0], pixels[i])
        reach = sheet.largest(written[i])
        for step in range(steps):
            _show(panels[1 + step], written[i, step], reach)
            sheet.border(panels[1 + step], sheet.colour(step, steps), width=1.0)
        sheet.under(panels[-1], scale(reach) if written[i].isfinite().all() else "not finite", sheet.FAINT)
    words = ["image", *[f"W after {step + 1}" for step in range(steps)]]
    inks = [sheet.INK, *[sheet.colour(step, steps) for step in range(steps)]]
    sheet.headings(figure, axes[0], words, inks, title)
    return figure


def matrices(seen: Seen) -> Float[Tensor, "b n m m"]:
    """Return W after each glimpse."""
    assert seen.trace is not None
    memory, E = seen.model.memory, seen.trace.memory_input
    assert E is not None
    with torch.no_grad():
        state, found = memory.init_state(E.shape[0], device=E.device, dtype=E.dtype), []
        for t in range(E.shape[1]):
            state = memory.write(state, E[:, t])
            found.append(memory.matrix(state))
    return torch.stack(found, dim=1).cpu()


def show_matrix(axis: Axes, matrix: Float[Tensor, "m m"]) -> str:
    """Show a matrix at its own scale, and return the scale in words."""
    reach = sheet.largest(matrix)
    _show(axis, matrix, reach)
    return scale(reach)


def scale(reach: float) -> str:
    """Return what the strongest colour stands for, in words."""
    return f"± {reach:.2g}" if reach > NOTHING else "empty"


def _show(axis: Axes, matrix: Float[Tensor, "m m"], reach: float) -> None:
    reach = max(reach, NOTHING)
    colours = colormaps["RdBu_r"].with_extremes(bad=sheet.GROUND)
    axis.imshow(np.ma.masked_invalid(matrix.numpy()), cmap=colours, vmin=-reach, vmax=reach, interpolation="nearest")
