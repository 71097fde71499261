"""The images that a model takes for something else, with what it drew of them (paper, Figure 7)."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from stawm.errors import InputError
from stawm.models.model import Model
from stawm.viz import sheet
from stawm.viz.looks import looks
from stawm.viz.seen import Seen, look

BATCH = 256
ACROSS = 4
"""How many mistakes stand side by side."""


class Mistakes(NamedTuple):
    """Images that were classified wrongly, the surest answers first.

    Attributes:
        index: Which images.
        answers: What each was taken for.
        certainty: How likely the model found that.
    """

    index: Int[Tensor, "wrong"]
    answers: Int[Tensor, "wrong"]
    certainty: Float[Tensor, "wrong"]


def mistakes(
    model: Model,
    pixels: Float[Tensor, "b c h w"],
    labels: Int[Tensor, "b"],
    *,
    count: int = 12,
    title: str | None = None,
) -> Figure:
    """Picture the mistakes that a model was surest of.

    Of a model that draws, each image stands beside what the model drew of it; of another one, its glimpses
    are shown as in `looks`.

    Args:
        model: A model that takes glimpses and classifies; left in the mode that it was in.
        pixels: Images as pixel values in [0, 1].
        labels: Their true classes.
        count: How many mistakes to show at most.
        title: A line above it all; the share of mistakes where left out.

    Raises:
        InputError: The model does not classify or takes no glimpses, the images are not of its form, or there
            is no mistake to show.
    """
    found = find_mistakes(model, pixels, labels)
    if not len(found.index):
        raise InputError(
            f"{model.config.name} makes no mistake on these {len(pixels):,} images, so there is none to show."
        )
    title = title or f"{len(found.index):,} of {len(pixels):,} images were taken for something else"
    chosen = Mistakes(*(part[:count] for part in found))
    some, truth = pixels[chosen.index], labels[chosen.index]
    seen = look(model, some)
    if seen.output.canvas is None:
        return looks(model, some, truth, title=title)
    across = min(ACROSS, len(some))
    rows = -(-len(some) // across)
    figure, axes = sheet.panels([1.5] * rows, [1.2, 1.2, 0.15] * across)
    pairs = [(row[3 * k], row[3 * k + 1]) for row in axes for k in range(across)]
    for i in range(len(some)):
        _pair(pairs[i], seen, i, some[i], int(truth[i]))
    words = ["it saw", "it drew", ""] * across
    sheet.headings(figure, axes[0], words, [sheet.INK] * len(words), title)
    return figure


def find_mistakes(model: Model, pixels: Float[Tensor, "b c h w"], labels: Int[Tensor, "b"]) -> Mistakes:
    """Find the images that a model classifies wrongly.

    Raises:
        InputError: The model does not classify or takes no glimpses, or the images are not of its form.
    """
    if model.config.glimpses is None or not model.config.classifies:
        raise InputError(f"{model.config.name} does not classify glimpses, so there are no mistakes to show.")
    chances = []
    for part in pixels.split(BATCH):
        answered = look(model, part).chances
        assert answered is not None
        chances.append(answered[:, -1])
    certainty, answers = torch.cat(chances).max(dim=-1)
    wrong = (answers != labels.cpu()).nonzero().flatten()
    wrong = wrong[certainty[wrong].argsort(descending=True, stable=True)]
    return Mistakes(wrong, answers[wrong], certainty[wrong])


def _pair(panels: tuple[Axes, Axes], seen: Seen, i: int, image: Tensor, label: int) -> None:
    assert seen.output.canvas is not None
    sheet.show(panels[0], image)
    sheet.under(panels[0], seen.label(panels[0], label), sheet.FAINT)
    sheet.show(panels[1], seen.output.canvas[i])
    assert seen.chances is not None
    sheet.under(panels[1], *seen.answer(panels[1], seen.chances[i, -1], label))
