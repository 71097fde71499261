"""Recipes: how a model is trained. ``paper`` is the paper's Appendix D, ``fast`` is our own.

Which recipes a preset has, its record says (`stawm/catalog/presets.py`); their fields are in
`stawm/catalog/recipes.py`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from stawm import configuration as base
from stawm import registry
from stawm.catalog import recipes as catalogue
from stawm.catalog.suggest import did_you_mean, nearest
from stawm.configuration import AT_LEAST_ONE, FRACTION, NON_NEGATIVE, POSITIVE, Interval
from stawm.errors import ConfigError
from stawm.registry import Kind
from stawm.training.data.augment import Augmentation


@dataclass(frozen=True, kw_only=True)
class Recipe(base.Config):
    """Everything that decides how a model is trained, beside the model, the data and the seed."""

    epochs: Annotated[int, AT_LEAST_ONE]
    """Passes through the training images."""
    batch: Annotated[int, AT_LEAST_ONE] = 128
    """Images in a step, over all processes together."""
    optimiser: Literal["adam", "adamw", "sgd"] = "adam"
    """Which optimiser; sgd with momentum 0.9."""
    rate: Annotated[float, POSITIVE] = 1e-3
    """The learning rate; of a one-cycle schedule, its highest."""
    schedule: Literal["steps", "one-cycle", "linear"] = "steps"
    """``steps``: decay by the epoch and drops at milestones; ``one-cycle``: up, then down along a cosine; ``linear``:
    down to 0 along a line."""
    decay: Annotated[float, FRACTION] = 1.0
    """What the learning rate is multiplied by after each epoch (steps)."""
    milestones: tuple[Annotated[int, AT_LEAST_ONE], ...] = ()
    """Epochs at which the learning rate is divided by ten (steps)."""
    warm_up: Annotated[float, FRACTION] = 0.2
    """The share of all steps in which the learning rate rises (one-cycle)."""
    weight_decay: Annotated[float, NON_NEGATIVE] = 0.0
    """How strongly weights are drawn to zero."""
    decay_all: bool = False
    """Whether biases, normalisations and rates are drawn to zero too, and not only weights with two axes or more."""
    clip: Annotated[float, POSITIVE] | None = 5.0
    """How large the gradient may be, by the measure that ``clip_by`` names; null is any size."""
    clip_by: Literal["norm", "value"] = "norm"
    """``norm``: a gradient whose norm is above ``clip`` is scaled down to it; ``value``: each number of the gradient is
    brought into [-clip, clip]."""
    pose_clip: Annotated[float, POSITIVE] | None = None
    """The largest norm of the gradient of one image's loss by one of its poses; longer ones are scaled down to it."""
    label_smoothing: Annotated[float, Interval(0, 1, open_high=True)] = 0.0
    """The share of a label that is spread over all classes."""
    frozen_norm: Annotated[float, FRACTION] = 0.0
    """The share of all steps, at the end, in which batch normalisation keeps its running statistics and uses them."""
    average: Annotated[float, Interval(0, 1, open_high=True)] = 0.0
    """The decay of the running average of the weights that is kept as the result; 0 keeps the last weights."""
    frozen_passes: Annotated[int, NON_NEGATIVE] = 1
    """Of a self-supervised model, how often frozen glimpses are computed before training; see --transfer-passes."""
    samples: Annotated[int, Interval(1, 1000)] = 1
    """How many scan paths each image of a step is looked at along, where a policy draws them."""
    sample_evaluation: bool = False
    """Whether what is random in training, latents and masks, is drawn in evaluation too."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    """How training images are changed."""

    def freezes_norm(self, step: int, steps_per_epoch: int) -> bool:
        """Return whether batch normalisation uses its running statistics in a step, as it does in use."""
        return step >= (1 - self.frozen_norm) * self.epochs * steps_per_epoch

    def rate_factor(self, step: int, steps_per_epoch: int) -> float:
        """Return what the learning rate is multiplied by at a step."""
        if self.schedule == "one-cycle":
            return one_cycle(step / (self.epochs * steps_per_epoch), self.warm_up)
        if self.schedule == "linear":
            return max(0.0, 1 - step / (self.epochs * steps_per_epoch))
        epoch = step // steps_per_epoch
        return self.decay**epoch * 0.1 ** sum(epoch >= milestone for milestone in self.milestones)


def one_cycle(progress: float, warm_up: float) -> float:
    """Return a factor that rises from 1/25 to 1 while warming up, then falls to 0, both along a cosine."""
    if progress < warm_up:
        return 1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * progress / warm_up)) / 2
    left = (progress - warm_up) / max(1 - warm_up, 1e-9)
    return (1 + math.cos(math.pi * min(left, 1))) / 2


RecipeSpec: TypeAlias = str | Recipe
C = TypeVar("C", bound=base.Config)


def find(spec: RecipeSpec, preset: str, *, draws: bool = False, **changes: Any) -> Recipe:
    """Return a recipe for a preset.

    Args:
        spec: The name of a recipe that the preset's record has, ``paper`` or ``fast``, or a recipe.
        preset: The preset's name; for a model of any other name ``fast`` is our common recipe.
        draws: Whether the model draws.
        **changes: Fields of the recipe to change; a mapping changes fields of the augmentation.

    Raises:
        ConfigError: There is no such recipe, or a change is not legal.

    Examples:
        >>> from stawm.training import recipes
        >>> recipes.find("paper", "stawm-mnist-8").milestones
        (50, 100, 150, 190, 195)
        >>> recipes.find("fast", "stawm-mnist-8", epochs=3).epochs
        3
    """
    return changed(_named(spec, preset, draws) if isinstance(spec, str) else spec, changes, "The recipe")


def trained_preset(spec: RecipeSpec, preset: str) -> str:
    """Return the preset that a recipe trains where a preset is asked for: itself, or the variant that its record names.

    Examples:
        >>> from stawm.training import recipes
        >>> recipes.trained_preset("fast", "stawm-mnist-8"), recipes.trained_preset("paper", "stawm-mnist-8")
        ('stawm-mnist-8.fast', 'stawm-mnist-8')

    Raises:
        ConfigError: Records name each other in a circle.
    """
    seen = [preset]
    while isinstance(spec, str) and isinstance(found := recipes_of(seen[-1]).get(spec), str):
        if found in seen:
            raise ConfigError([f"The recipe {spec!r} of {preset!r} leads nowhere: {' to '.join((*seen, found))}."])
        seen.append(found)
    return seen[-1]


def recipes_of(preset: str) -> Mapping[str, Mapping[str, Any] | str]:
    """Return the recipes that a preset's record has; an empty mapping for an unknown preset."""
    entry = registry.entries(Kind.PRESET).get(preset)
    return {} if entry is None else entry.recipes


def presets_with(recipe: str) -> list[str]:
    """Return the presets whose record has a recipe of a name."""
    present = registry.entries(Kind.PRESET)
    return [name for name in registry.list_names(Kind.PRESET) if recipe in present[name].recipes]


def _named(spec: str, preset: str, draws: bool) -> Recipe:
    fields = recipes_of(trained_preset(spec, preset)).get(spec)
    if isinstance(fields, Mapping):
        return from_record({"name": spec, **fields}, f"The recipe {spec!r} of {preset}")
    if spec == "fast":
        return from_record({"name": spec, **(catalogue.DRAWING if draws else catalogue.CLASSES)}, "The recipe 'fast'")
    if spec == "paper":
        trained = ", ".join(presets_with("paper"))
        raise ConfigError([f"The paper does not train {preset!r}; it does: {trained}. Use the recipe 'fast'."])
    known = sorted({"fast", "paper", *recipes_of(preset)})
    legal = " or ".join(map(repr, known))
    raise ConfigError([f"No recipe named {spec!r}.{did_you_mean(nearest(spec, known))} It must be {legal}."])


def from_record(fields: Mapping[str, Any], owner: str) -> Recipe:
    """Return the recipe that plain data describe.

    Args:
        fields: Its fields, the augmentation as a mapping.
        owner: Whose they are, for messages.

    Raises:
        ConfigError: Something is missing or not legal.
    """
    augmentation = fields.get("augmentation", {})
    if isinstance(augmentation, Mapping):
        augmentation = base.make(Augmentation, augmentation, f"{owner}'s augmentation")
    return base.make(Recipe, {**fields, "augmentation": augmentation}, owner)


def changed(present: C, changes: Mapping[str, Any], owner: str) -> C:
    """Return a configuration with fields changed; a mapping changes fields of a configuration inside."""
    if not changes:
        return present
    hints = base.field_hints(type(present))
    inside = {key: f"{name}.{key}" for name in hints for key in _fields_inside(present, name)}
    faults = [
        f"{owner} has no field {key!r}. Did you mean {inside[key]!r}?"
        for key in changes
        if key in inside and key not in hints
    ]
    faults += base.unknown_fields((key for key in changes if key not in inside), hints, owner)
    if faults:
        raise ConfigError(faults)
    values = {}
    for key, value in changes.items():
        inner = getattr(present, key)
        whole = not (isinstance(inner, base.Config) and isinstance(value, Mapping))
        values[key] = base.coerce(value, hints[key]) if whole else changed(inner, value, f"{owner}'s {key}")
    return present.replace(**values)


def _fields_inside(present: base.Config, name: str) -> list[str]:
    inner = getattr(present, name)
    return [key for key in base.field_hints(type(inner)) if key != "name"] if isinstance(inner, base.Config) else []
