"""Training: data, recipes, the loop, evaluation.

What the package offers is imported when it is first used: data and evaluation need no Accelerate.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stawm.training.data import ImageSet, Splits
    from stawm.training.data.augment import Augmentation
    from stawm.training.divergence import DivergedError
    from stawm.training.evaluation import Evaluation, evaluate
    from stawm.training.options import RunOptions
    from stawm.training.recipes import Recipe
    from stawm.training.trainer import Result, train

_HOMES = {
    "Augmentation": "data.augment",
    "DivergedError": "divergence",
    "Evaluation": "evaluation",
    "ImageSet": "data",
    "Recipe": "recipes",
    "Result": "trainer",
    "RunOptions": "options",
    "Splits": "data",
    "evaluate": "evaluation",
    "train": "trainer",
}

__all__ = [
    "Augmentation",
    "DivergedError",
    "Evaluation",
    "ImageSet",
    "Recipe",
    "Result",
    "RunOptions",
    "Splits",
    "evaluate",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"stawm.training.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'stawm.training' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
