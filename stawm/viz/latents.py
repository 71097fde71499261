"""What the numbers of a latent do to a picture, one by one, and what is drawn from the prior."""

import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from stawm.errors import InputError
from stawm.models.latents import from_prior, redraw
from stawm.models.model import Model, Stawm
from stawm.models.pixels import to_unit
from stawm.viz import sheet

SIDE, WORDS, GAP = 1.0, 1.2, 0.2
"""Inches for a picture, for what a row is called, and between two images."""
ACROSS = 8
"""How many pictures from the prior stand side by side."""


def traversals(
    model: Model,
    pixels: Float[Tensor, "b c h w"],
    *,
    glimpse: int | None = None,
    count: int = 8,
    steps: int = 7,
    reach: float = 3.0,
    title: str | None = None,
) -> Figure:
    """Picture what each number of a latent does: a block of rows an image, a row a number, a column a value of it.

    All other numbers are as the model makes them of the image, and so is where it draws. The numbers stand in the order
    of what they tell of the images, by their divergence from the prior: the last ones tell next to nothing.

    Args:
        model: A model that draws, also a baseline; left in the mode that it was in.
        pixels: Images as pixel values in [0, 1].
        glimpse: Of which sketch the number is set, from 1; of all of them, to the same value, where left out.
        count: How many numbers are shown at most.
        steps: How many values.
        reach: The largest value, in standard deviations of the prior; the smallest is its negative.
        title: A line above it all.

    Raises:
        InputError: The model does not draw, there is no such sketch, or the images are not of its form.
    """
    latent = model.predict(pixels).latent
    if latent is None:
        raise InputError(f"{model.config.name} does not draw, so it has no latent to walk through.")
    n, k = latent.mu.shape[1:]
    if glimpse is not None and not 1 <= glimpse <= n:
        raise InputError(f"{model.config.name} makes {n} sketches of an image; got glimpse={glimpse}.")
    if steps < 2 or count < 1:
        raise InputError(f"A walk has at least 2 steps and 1 number; got steps={steps}, count={count}.")
    told = (latent.mu.square() + latent.logvar.exp() - 1 - latent.logvar).sum(dim=(0, 1))
    order = told.argsort(descending=True)[:count].tolist()
    values = torch.linspace(-reach, reach, steps).to(latent.mu)
    which = slice(None) if glimpse is None else slice(glimpse - 1, glimpse)
    z = latent.mu[:, None, None].repeat(1, len(order), steps, 1, 1)
    for row, number in enumerate(order):
        z[:, row, :, which, number] = values[None, :, None]
    drawn = redraw(model, _images(model, pixels), z.flatten(1, 2)).unflatten(1, (len(order), steps)).cpu()
    heights = [*[SIDE + 0.06] * (len(order) - 1), SIDE + GAP] * len(pixels)
    figure, axes = sheet.panels(heights, [SIDE, WORDS, *[SIDE] * steps])
    for i, image in enumerate(pixels):
        sheet.show(axes[i * len(order)][0], image)
        for row, number in enumerate(order):
            panels = axes[i * len(order) + row]
            sheet.note(panels[1], f"number {number + 1} of {k}")
            for picture, axis in zip(drawn[i, row], panels[2:], strict=True):
                sheet.show(axis, picture)
    words = ["target", "", *[f"{value:+.1f}" for value in values.tolist()]]
    sheet.headings(figure, axes[0], words, [sheet.INK] * len(words), title)
    return figure


def generated(
    model: Model,
    pixels: Float[Tensor, "b c h w"] | None = None,
    *,
    count: int = ACROSS,
    seed: int = 0,
    title: str | None = None,
) -> Figure:
    """Picture what a model draws from the prior, latents that no image says.

    A baseline needs no images. A model that takes glimpses draws where it would draw those of an image: a row an image,
    which stands first.

    Args:
        model: A model that draws; left in the mode that it was in.
        pixels: Images as pixel values in [0, 1]; none for a baseline.
        count: How many pictures, of each image.
        seed: Of the random numbers.
        title: A line above it all.

    Raises:
        InputError: The model does not draw, or takes glimpses and there are no images.
    """
    given = pixels if isinstance(model, Stawm) else None
    generator = torch.Generator(next(model.parameters()).device).manual_seed(seed)
    images = None if given is None else _images(model, given)
    drawn = from_prior(model, images, count=count, generator=generator).cpu()
    if given is None:
        pictures, across = drawn[0], min(count, ACROSS)
        figure, axes = sheet.panels([SIDE + 0.06] * -(-count // across), [SIDE] * across, top=0.35 if title else 0.12)
        for picture, axis in zip(pictures, [axis for row in axes for axis in row], strict=False):
            sheet.show(axis, picture)
        sheet.headings(figure, [], [], [], title)
        return figure
    figure, axes = sheet.panels([SIDE + 0.06] * len(given), [SIDE] * (count + 1))
    for image, row, panels in zip(given, drawn, axes, strict=True):
        sheet.show(panels[0], image)
        for picture, axis in zip(row, panels[1:], strict=True):
            sheet.show(axis, picture)
    words = ["placed as for", *[f"drawn {i + 1}" for i in range(count)]]
    sheet.headings(figure, axes[0], words, [sheet.INK] * len(words), title)
    return figure


def _images(model: Model, pixels: Tensor) -> Tensor:
    return model.normalise(to_unit(pixels).to(next(model.parameters())))
