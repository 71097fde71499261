"""What masks let through: the last one on the image (paper, Figure 6), and every sketch through its own (Figure 10)."""

from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from stawm.errors import InputError
from stawm.models.model import Model
from stawm.viz import sheet
from stawm.viz.drawings import as_pixels
from stawm.viz.seen import Seen, check_draws, look, placer_of

SIDE, WORDS = 1.0, 1.2
"""Inches for a picture, and for what a row is called."""
NEAR = 0.12
"""How far around a canvas frames are shown, as a share of its side."""


def segments(model: Model, pixels: Float[Tensor, "b c h w"], *, title: str | None = None) -> Figure:
    """Picture what the mask of the last glimpse takes out of each image: a column an image (paper, Figure 6).

    From top to bottom what the model draws, the image, and the image times the mask.

    Args:
        model: A model that draws with masks; left in the mode that it was in.
        pixels: Images as pixel values in [0, 1].
        title: A line above it all.

    Raises:
        InputError: The model does not draw with masks, or the images are not of its form.
    """
    check_draws(model)
    if not model.config.masked:
        raise InputError(
            f"{model.config.name} draws without masks, so there is none to lay on an image: a model with "
            "canvas=bernoulli has them, such as stawm-celeba-draw-32."
        )
    output = look(model, pixels).output
    assert output.canvas is not None
    assert output.masks is not None
    images = pixels.cpu()
    rows = {"it draws": output.canvas.cpu(), "target": images, "target, masked": images * output.masks[:, -1].cpu()}
    figure, axes = sheet.panels([SIDE + 0.06] * len(rows), [WORDS, *[SIDE] * len(images)], top=0.35 if title else 0.12)
    for (word, pictures), panels in zip(rows.items(), axes, strict=True):
        sheet.note(panels[0], word)
        for picture, axis in zip(pictures, panels[1:], strict=True):
            sheet.show(axis, picture)
    sheet.headings(figure, [], [], [], title)
    return figure


def sketches(model: Model, pixels: Float[Tensor, "b c h w"], *, title: str | None = None) -> Figure:
    """Picture every sketch by itself, at its place and through its mask (paper, Figure 10).

    A row is an image, a column a glimpse. Where there are no masks grey is nothing, what is brighter adds, and what is
    darker takes away. Each has the frame that it was put in; at the ends stand the image and the finished picture.

    Args:
        model: A model that draws from glimpses; left in the mode that it was in.
        pixels: Images as pixel values in [0, 1].
        title: A line above it all.

    Raises:
        InputError: The model does not draw from glimpses, or the images are not of its form.
    """
    check_draws(model)
    seen = look(model, pixels)
    assert seen.trace is not None
    steps = seen.trace.pose.shape[1]
    figure, axes = sheet.panels([SIDE + 0.06] * len(pixels), [SIDE] * (steps + 2))
    size = (pixels.shape[-2], pixels.shape[-1])
    for i, panels in enumerate(axes):
        frames, shown = seen.placed_frames(i), placed_sketches(seen, i)
        sheet.show(panels[0], pixels[i])
        for step, axis in enumerate(panels[1:-1]):
            sheet.show(axis, shown[step])
            sheet.widen(axis, frames, size, furthest=NEAR)
            sheet.frame(axis, frames[step], size, sheet.colour(step, steps), width=1.2)
        assert seen.output.canvas is not None
        sheet.show(panels[-1], seen.output.canvas[i])
    words = ["target", *[f"sketch {step + 1}" for step in range(steps)], "together"]
    inks = [sheet.INK, *[sheet.colour(step, steps) for step in range(steps)], sheet.INK]
    sheet.headings(figure, axes[0], words, inks, title)
    return figure


def placed_sketches(seen: Seen, row: int) -> Float[Tensor, "n c h w"]:
    """Return the sketches of one image as pictures, each at its place on an empty canvas and through its mask.

    Args:
        seen: What the model made of images.
        row: Which image.
    """
    assert seen.trace is not None
    output, inverse = seen.output, seen.trace.inverse_pose
    assert output.sketches is not None
    assert inverse is not None
    placed = placer_of(seen.model).place(output.sketches[row], inverse[row]).detach().cpu()
    if output.masks is not None:
        return placed[:, 1:] * output.masks[row].cpu()
    shown = as_pixels(placed, seen.model.config.image[0])
    return placed.mean(dim=1, keepdim=True) if shown is None else shown
