"""Recipes, listed and described: their fields, what these mean, what is legal, and which presets have them."""

import dataclasses
from collections.abc import Iterator
from dataclasses import MISSING, asdict, dataclass
from typing import Any

from stawm import registry
from stawm.catalog.suggest import did_you_mean, nearest
from stawm.configuration import Config, describe_hint, field_hints, field_meanings, plain
from stawm.errors import UnknownNameError
from stawm.registry import Kind
from stawm.training.recipes import Recipe, find, presets_with, trained_preset

FORM = "recipe"
"""The name under which the fields that every recipe has are described."""
SUMMARIES = {
    "fast": "stawm's own: what trains each preset well in little time; the default, also of presets of your own.",
    "paper": "Appendix D of the paper, preset by preset.",
    "authors": "What the authors' code did when it was run in 2018, preset by preset.",
}


@dataclass(frozen=True)
class RecipeField:
    """One field of a recipe.

    Attributes:
        name: As it is changed on the command line, after ``recipe.``.
        value: What the recipe says; None where its presets differ, or no recipe was named.
        usual: What it is where a recipe leaves it out; None where it has to be said.
        legal: What it may be, in words.
        meaning: What it decides.
    """

    name: str
    value: Any
    usual: Any
    legal: str
    meaning: str


@dataclass(frozen=True)
class RecipeDescription:
    """A recipe in words.

    Attributes:
        name: Its name.
        summary: One sentence.
        presets: The presets whose record has it.
        preset: The preset that it is described for, where one was named.
        fields: Its fields.
    """

    name: str
    summary: str
    presets: tuple[str, ...]
    preset: str | None
    fields: tuple[RecipeField, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {"kind": "recipe", **asdict(self)}

    def __str__(self) -> str:
        """Lay it out, a field a line."""
        lines = [f"recipe {self.name}" + (f" of {self.preset}" if self.preset else ""), f"  {self.summary}"]
        if self.presets and self.preset is None:
            lines.append(f"  of: {', '.join(self.presets)}")
        for field in self.fields:
            said = "" if field.value is None else f" = {_short(field.value)}"
            usual = "" if field.usual is None else f"; usually {_short(field.usual)}"
            lines += [f"  recipe.{field.name}{said}  ({field.legal}{usual})", f"      {field.meaning}"]
        return "\n".join(lines)


def list_recipes() -> list[str]:
    """Return the names of all recipes: ``fast``, ``paper``, and what the records of presets have beside them.

    Examples:
        >>> from stawm.training.listing import list_recipes
        >>> {"fast", "paper"} <= set(list_recipes())
        True
    """
    of_records = {name for entry in registry.entries(Kind.PRESET).values() for name in entry.recipes}
    return sorted({*SUMMARIES, *of_records})


def is_recipe(name: str) -> bool:
    """Whether `describe_recipe` knows a name, and no component or preset has it."""
    taken = any(name in registry.entries(kind) for kind in Kind)
    return not taken and name.partition(":")[0] in (FORM, *list_recipes())


def summary(name: str) -> str:
    """Return one sentence about a recipe."""
    presets = presets_with(name)
    return SUMMARIES.get(name, f"A recipe of {', '.join(presets)}.")


def describe_recipe(name: str) -> RecipeDescription:
    """Describe a recipe.

    Args:
        name: A recipe's name, or with a preset's after a colon, as in ``fast:stawm-mnist-8``; ``recipe`` for the fields
            that every recipe has. Without a preset, values that differ from preset to preset are left out.

    Raises:
        UnknownNameError: There is no such recipe.
        ConfigError: The preset has no recipe of that name.

    Examples:
        >>> from stawm.training.listing import describe_recipe
        >>> fields = {field.name: field for field in describe_recipe("paper:stawm-mnist-8").fields}
        >>> fields["epochs"].value, fields["rate"].usual, fields["rate"].legal
        (200, 0.001, 'a number in (0, inf)')
    """
    recipe, _, preset = name.partition(":")
    known = list_recipes()
    if recipe == FORM and not preset:
        return RecipeDescription(FORM, "What every recipe says; changed by recipe.FIELD=VALUE.", (), None, _fields([]))
    if recipe not in known:
        legal = f"There are: {', '.join(known)}; {FORM!r} shows the fields of all."
        raise UnknownNameError(f"No recipe named {recipe!r}.{did_you_mean(nearest(recipe, known))} {legal}")
    presets = presets_with(recipe)
    of = [preset] if preset else presets
    fields = _fields([find(recipe, trained_preset(recipe, each)) for each in of])
    return RecipeDescription(recipe, summary(recipe), tuple(presets), preset or None, fields)


def _fields(recipes: list[Recipe]) -> tuple[RecipeField, ...]:
    return tuple(_of_class(Recipe, list(recipes), ""))


def _of_class(cls: type[Config], values: list[Any], above: str) -> Iterator[RecipeField]:
    hints, meanings = field_hints(cls), field_meanings(cls)
    for field in dataclasses.fields(cls):
        if field.name == "name":
            continue
        usual = field.default_factory() if field.default_factory is not MISSING else field.default
        inner = [getattr(value, field.name) for value in values]
        if isinstance(usual, Config):
            yield from _of_class(type(usual), inner, f"{above}{field.name}.")
            continue
        shared = plain(inner[0]) if inner and all(value == inner[0] for value in inner) else None
        default = None if usual is MISSING else plain(usual)
        legal, meaning = describe_hint(hints[field.name]), meanings.get(field.name, "")
        yield RecipeField(above + field.name, shared, default, legal, meaning)


def _short(value: Any) -> str:
    return ",".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
