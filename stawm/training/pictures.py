"""Pictures of a model while it trains: where it looks and, where it draws, what."""

from matplotlib.figure import Figure

from stawm import viz
from stawm.heads.model import Model, Stawm
from stawm.training.augment import to_unit
from stawm.training.data import ImageSet, batches

ROWS = 8
"""How many images are shown: always the same ones, the first."""


def draw(model: Model, images: ImageSet, title: str) -> dict[str, Figure]:
    """Return the pictures that a model has, by name; a baseline, which takes no glimpses, has none."""
    if not isinstance(model, Stawm):
        return {}
    raw, labels = next(batches(images, ROWS))
    pixels = to_unit(raw).to(next(model.parameters()))
    found = {"looks": viz.looks(model, pixels, labels if model.config.class_names else None, title=title)}
    return found | {"drawings": viz.drawings(model, pixels, title=title)} if model.config.draws else found
