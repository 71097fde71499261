"""How a preset is written down: its record, and those of its variants."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from stawm.catalog.entry import Entry, Kind
from stawm.catalog.recipes import RecipeFields


def preset(
    name: str,
    summary: str,
    fields: Mapping[str, Any],
    *,
    fast: RecipeFields,
    paper: RecipeFields | None = None,
    authors: RecipeFields | None = None,
    trained: Mapping[str, Any] | None = None,
    written: Mapping[str, Any] | None = None,
    cites: tuple[str, ...] = ("harris2019",),
) -> tuple[Entry, ...]:
    """Return a preset's record, and those of its variants: the models that recipes train where these differ from it.

    Args:
        name: The preset's name.
        summary: What it is.
        fields: The model.
        fast: Our recipe.
        paper: The recipe of Appendix D.
        authors: What the authors' code did.
        trained: In what the model that our recipe trains differs.
        written: In what the model of the authors' code differs from that of the paper.
        cites: What to cite.
    """
    recipes = {key: each for key, each in (("paper", paper), ("authors", authors), ("fast", fast)) if each is not None}
    differing = {key: each for key, each in (("authors", written), ("fast", trained)) if each is not None}
    record = Entry(
        kind=Kind.PRESET,
        name=name,
        target=fields,
        summary=summary,
        cites=cites,
        recipes={key: f"{name}.{key}" if key in differing else recipe for key, recipe in recipes.items()},
    )
    variants = (
        replace(
            record,
            name=f"{name}.{key}",
            target={"preset": name, **changes},
            summary=f"{summary.removesuffix('.')}, in the form that the recipe {key!r} trains.",
            recipes={key: recipes[key]},
        )
        for key, changes in differing.items()
    )
    return record, *variants
