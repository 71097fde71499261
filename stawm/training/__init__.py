"""Training: data, recipes, the loop, evaluation."""

from stawm.training.api import Result, train
from stawm.training.augment import Augmentation
from stawm.training.data import ImageSet, Splits
from stawm.training.evaluate import Evaluation, evaluate
from stawm.training.loop import DivergedError
from stawm.training.recipes import Recipe

__all__ = ["Augmentation", "DivergedError", "Evaluation", "ImageSet", "Recipe", "Result", "Splits", "evaluate", "train"]
