"""What models draw of the same images, beside each other: the results, and how they came about (Figures 5, 8 and 9)."""

from collections.abc import Sequence

from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from stawm.errors import InputError
from stawm.models.model import Model
from stawm.viz import sheet
from stawm.viz.seen import check_draws, draw, look

SIDE, WORDS, GAP = 1.0, 1.9, 0.2
"""Inches for a picture, for the name of a model, and between two images."""
NEAR = 0.12
"""How far around a canvas frames are shown, as a share of its side."""


def reconstructions(
    models: Model | Sequence[Model], pixels: Float[Tensor, "b c h w"], *, title: str | None = None
) -> Figure:
    """Picture what models draw of the same images, a row a model, above the images (paper, Figure 5).

    Beside each row stands the model's name with its squared error on these images.

    Args:
        models: A model that draws, or several, from top to bottom; a baseline may be among them.
        pixels: Images as pixel values in [0, 1], a column each.
        title: A line above it all.

    Raises:
        InputError: A model does not draw, or takes images of another form.
    """
    models = as_models(models)
    rows = [draw(model, pixels) for model in models]
    figure, axes = sheet.panels([SIDE + 0.06] * (len(models) + 1), [WORDS, *[SIDE] * len(pixels)], top=_top(title))
    for model, drawn, panels in zip(models, rows, axes, strict=False):
        error = (drawn - pixels.cpu()).square().mean().item()
        sheet.note(panels[0], model.config.name, 0.58)
        sheet.note(panels[0], f"MSE {error:.4f}", 0.38)
        for picture, axis in zip(drawn, panels[1:], strict=True):
            sheet.show(axis, picture)
    sheet.note(axes[-1][0], "target")
    for image, axis in zip(pixels, axes[-1][1:], strict=True):
        sheet.show(axis, image)
    sheet.headings(figure, [], [], [], title)
    return figure


def canvases(models: Model | Sequence[Model], pixels: Float[Tensor, "b c h w"], *, title: str | None = None) -> Figure:
    """Picture how canvases grow: a column a glimpse, a block of rows an image, in it a row a model (Figures 8 and 9).

    Each canvas has the frame that its last sketch was put in, where the model chooses it; at the end of the first row
    stands the target. Of more glimpses than `sheet.MOST` some are shown, evenly apart.

    Args:
        models: A model that draws from glimpses, or several: glimpses of another size draw in another way.
        pixels: Images as pixel values in [0, 1].
        title: A line above it all.

    Raises:
        InputError: A model does not draw from glimpses, or takes images of another form.
    """
    models = as_models(models)
    for model in models:
        check_draws(model)
    all_seen = [look(model, pixels, attends=False) for model in models]
    most = max(seen.model.config.glimpses for seen in all_seen)
    shown = sheet.chosen(most)
    heights = [*[SIDE + 0.06] * (len(models) - 1), SIDE + GAP] * len(pixels)
    figure, axes = sheet.panels(heights, [WORDS, *[SIDE] * (len(shown) + 1)])
    for i, image in enumerate(pixels):
        block = axes[i * len(models) : (i + 1) * len(models)]
        for seen, panels in zip(all_seen, block, strict=True):
            canvas = seen.output.canvases
            assert canvas is not None
            sheet.note(panels[0], seen.model.config.name)
            count, size = canvas.shape[1], (image.shape[-2], image.shape[-1])
            frames = None if seen.trace is None else seen.placed_frames(i)
            for step, axis in zip(shown, panels[1:-1], strict=True):
                if step >= count:
                    continue
                sheet.show(axis, canvas[i, step])
                if frames is not None:
                    sheet.widen(axis, frames, size, furthest=NEAR)
                    sheet.frame(axis, frames[step], size, sheet.colour(step, count), width=1.2)
        sheet.show(block[0][-1], image)
    words = ["", *[f"after {step + 1}" for step in shown], "target"]
    inks = [sheet.INK, *[sheet.colour(step, most) for step in shown], sheet.INK]
    sheet.headings(figure, axes[0], words, inks, title)
    return figure


def as_models(models: Model | Sequence[Model]) -> list[Model]:
    """Return models as a list.

    Raises:
        InputError: There are none, or they take images of different forms.
    """
    found = [models] if isinstance(models, Model) else list(models)
    if not found:
        raise InputError("There are no models to picture.")
    forms = {tuple(model.config.image): model.config.name for model in found}
    if len(forms) > 1:
        said = ", ".join(f"{name} {'x'.join(map(str, form))}" for form, name in forms.items())
        raise InputError(f"Models that stand beside each other take images of one form; got {said}.")
    return found


def _top(title: str | None) -> float:
    return 0.35 if title else 0.12
