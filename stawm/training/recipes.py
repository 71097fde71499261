"""Recipes: how a model is trained. ``paper`` is the paper's Appendix D, ``fast`` is our own."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from stawm import configuration as base
from stawm.catalog.suggest import did_you_mean, nearest
from stawm.configuration import AT_LEAST_ONE, FRACTION, NON_NEGATIVE, POSITIVE, Interval
from stawm.errors import ConfigError
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
    schedule: Literal["steps", "one-cycle"] = "steps"
    """``steps``: decay by the epoch and drops at milestones; ``one-cycle``: up, then down along a cosine."""
    decay: Annotated[float, FRACTION] = 1.0
    """What the learning rate is multiplied by after each epoch (steps)."""
    milestones: tuple[Annotated[int, AT_LEAST_ONE], ...] = ()
    """Epochs at which the learning rate is divided by ten (steps)."""
    warm_up: Annotated[float, FRACTION] = 0.2
    """The share of all steps in which the learning rate rises (one-cycle)."""
    weight_decay: Annotated[float, NON_NEGATIVE] = 0.0
    """How strongly weights are drawn to zero."""
    clip: Annotated[float, POSITIVE] | None = 5.0
    """The largest norm of the gradient; longer ones are scaled down to it."""
    pose_clip: Annotated[float, POSITIVE] | None = None
    """The largest norm of the gradient of one image's loss by one of its poses; longer ones are scaled down to it."""
    label_smoothing: Annotated[float, Interval(0, 1, open_high=True)] = 0.0
    """The share of a label that is spread over all classes."""
    frozen_norm: Annotated[float, FRACTION] = 0.0
    """The share of all steps, at the end, in which batch normalisation keeps its running statistics and uses them."""
    average: Annotated[float, Interval(0, 1, open_high=True)] = 0.0
    """The decay of the running average of the weights that is kept as the result; 0 keeps the last weights."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    """How training images are changed."""
    model: dict = field(default_factory=dict)
    """Changes of the model's fields, such as its dropout."""
    memory: dict = field(default_factory=dict)
    """Changes of a memory's fields, by the memory's name."""

    def freezes_norm(self, step: int, steps_per_epoch: int) -> bool:
        """Return whether batch normalisation uses its running statistics in a step, as it does in use."""
        return step >= (1 - self.frozen_norm) * self.epochs * steps_per_epoch

    def rate_factor(self, step: int, steps_per_epoch: int) -> float:
        """Return what the learning rate is multiplied by at a step."""
        if self.schedule == "one-cycle":
            return one_cycle(step / (self.epochs * steps_per_epoch), self.warm_up)
        epoch = step // steps_per_epoch
        return self.decay**epoch * 0.1 ** sum(epoch >= milestone for milestone in self.milestones)


def one_cycle(progress: float, warm_up: float) -> float:
    """Return a factor that rises from 1/25 to 1 while warming up, then falls to 0, both along a cosine."""
    if progress < warm_up:
        return 1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * progress / warm_up)) / 2
    left = (progress - warm_up) / max(1 - warm_up, 1e-9)
    return (1 + math.cos(math.pi * min(left, 1))) / 2


TURN = Augmentation(rotation=20)
CROP = Augmentation(crop=4, flip=True)
CROP_JITTER = CROP.replace(jitter=0.25)
_MNIST_DRAWING = Recipe(name="paper", epochs=100, decay=0.99, augmentation=TURN)
_MNIST_CLASSES = _MNIST_DRAWING.replace(epochs=200, milestones=(50, 100, 150, 190, 195))
_CIFAR_MNV2 = Recipe(name="paper", epochs=300, decay=0.99, milestones=(150, 250), augmentation=CROP)
_CIFAR_DRAWING = Recipe(name="paper", epochs=100, rate=1e-4, milestones=(50, 90), augmentation=CROP_JITTER)

PAPER: Mapping[str, Recipe] = {
    "stawm-mnist-8": _MNIST_CLASSES,
    "stawm-mnist-28": _MNIST_CLASSES,
    "stawm-mnist-draw-4": _MNIST_DRAWING,
    "stawm-mnist-draw-6": _MNIST_DRAWING,
    "stawm-mnist-draw-8": _MNIST_DRAWING,
    "stawm-mnist-selfsup": _MNIST_DRAWING,
    "stawm-mnist-sketchpad": _MNIST_DRAWING.replace(epochs=20),
    "stawm-cifar-mnv2": _CIFAR_MNV2,
    "stawm-cifar-draw-16": _CIFAR_DRAWING,
    "stawm-cifar-selfsup": Recipe(name="paper", epochs=50, milestones=(25, 40, 45), augmentation=CROP),
    "stawm-celeba-draw-32": Recipe(name="paper", epochs=100, rate=1e-4),
    "bvae-cifar": _CIFAR_DRAWING.replace(rate=5e-4),
    "mnv2-cifar": _CIFAR_MNV2,
}
"""Appendix D by preset; the plain MobileNetV2, which the paper does not train, as the model around it."""

_STABLE = {"hebb-rosenblatt": {"constrained": True, "normalise": 0.9}}
_DISTORT = Augmentation(rotation=15, shift=0.08, scale=0.12, shear=10)
_FAST_CLASSES = Recipe(
    name="fast",
    epochs=20,
    optimiser="adamw",
    rate=1.5e-3,
    schedule="one-cycle",
    weight_decay=0.02,
    clip=1.0,
    pose_clip=1.0,
    label_smoothing=0.05,
    average=0.999,
    augmentation=_DISTORT,
    model={"pose_limit": 1.0},
    memory=_STABLE,
)
_FAST_DRAWING = _FAST_CLASSES.replace(
    label_smoothing=0.0, weight_decay=0.0, rate=1e-3, clip=5.0, pose_clip=None, frozen_norm=0.3, model={}
)
_ELASTIC = _DISTORT.replace(elastic=0.03)
_FAST_MNIST = _FAST_CLASSES.replace(
    epochs=30, frozen_norm=0.3, augmentation=_ELASTIC, model={"dropout": 0.0, "pose_limit": 1.0}
)
_FAST_READOUT = _FAST_CLASSES.replace(epochs=40, rate=0.02, pose_clip=None, model={})

FAST: Mapping[str, Recipe] = {
    "stawm-digits": _FAST_CLASSES.replace(epochs=60, batch=64, rate=4e-3, average=0.99, pose_clip=None, model={}),
    "stawm-mnist-8": _FAST_MNIST,
    "stawm-mnist-28": _FAST_MNIST,
    "stawm-mnist-selfsup": _FAST_READOUT,
    "stawm-mnist-sketchpad": _FAST_DRAWING.replace(
        rate=1.5e-3, label_smoothing=0.05, weight_decay=0.02, augmentation=_ELASTIC, model={"dropout": 0.3}
    ),
    "stawm-cifar-mnv2": _FAST_CLASSES.replace(epochs=100, augmentation=CROP),
    "stawm-cifar-draw-16": _FAST_DRAWING.replace(augmentation=CROP_JITTER),
    "stawm-cifar-selfsup": _FAST_READOUT.replace(augmentation=CROP),
    "stawm-celeba-draw-32": _FAST_DRAWING.replace(augmentation=Augmentation(flip=True)),
    "bvae-cifar": _FAST_DRAWING.replace(augmentation=CROP_JITTER),
    "mnv2-cifar": _FAST_CLASSES.replace(epochs=100, augmentation=CROP, pose_clip=None, model={}),
}
"""Our own, where it is not the common one."""

RecipeSpec: TypeAlias = str | Recipe
C = TypeVar("C", bound=base.Config)


def find(spec: RecipeSpec, preset: str, *, draws: bool = False, **changes: Any) -> Recipe:
    """Return a recipe for a preset.

    Args:
        spec: ``paper``, ``fast``, or a recipe.
        preset: The preset's name; a model of another name gets the recipe that is common to its like.
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


def _named(spec: str, preset: str, draws: bool) -> Recipe:
    if spec == "fast":
        return FAST.get(preset, _FAST_DRAWING if draws else _FAST_CLASSES)
    if spec != "paper":
        raise ConfigError(
            [f"No recipe named {spec!r}.{did_you_mean(nearest(spec, ('paper', 'fast')))} 'paper' or 'fast'."]
        )
    if preset not in PAPER:
        raise ConfigError([f"The paper does not train {preset!r}; it does: {', '.join(PAPER)}. Use the recipe 'fast'."])
    return PAPER[preset]


def changed(present: C, changes: Mapping[str, Any], owner: str) -> C:
    """Return a configuration with fields changed; a mapping changes fields of a configuration inside."""
    hints = base.field_hints(type(present))
    faults = base.unknown_fields(changes, hints, owner)
    if faults:
        raise ConfigError(faults)
    values = {}
    for key, value in changes.items():
        inner = getattr(present, key)
        whole = not (isinstance(inner, base.Config) and isinstance(value, Mapping))
        values[key] = base.coerce(value, hints[key]) if whole else changed(inner, value, f"{owner}'s {key}")
    return present.replace(**values)
