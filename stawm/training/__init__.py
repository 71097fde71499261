"""Training: data, recipes, the loop, evaluation.

What the package offers is imported when it is first used: data and evaluation need no Accelerate.
"""

from typing import TYPE_CHECKING

from stawm.lazy import attach

if TYPE_CHECKING:
    from stawm.training.data import ImageSet as ImageSet
    from stawm.training.data import Splits as Splits
    from stawm.training.data.augment import Augmentation as Augmentation
    from stawm.training.divergence import DivergedError as DivergedError
    from stawm.training.evaluation import Evaluation as Evaluation
    from stawm.training.evaluation import evaluate as evaluate
    from stawm.training.listing import describe_recipe as describe_recipe
    from stawm.training.listing import list_recipes as list_recipes
    from stawm.training.options import RunOptions as RunOptions
    from stawm.training.recipes import Recipe as Recipe
    from stawm.training.seeds import SeededRuns as SeededRuns
    from stawm.training.seeds import train_seeds as train_seeds
    from stawm.training.stopping import tune_stop as tune_stop
    from stawm.training.trainer import Result as Result
    from stawm.training.trainer import train as train

_HOMES = {
    "Augmentation": "stawm.training.data.augment",
    "DivergedError": "stawm.training.divergence",
    "Evaluation": "stawm.training.evaluation",
    "ImageSet": "stawm.training.data",
    "Recipe": "stawm.training.recipes",
    "Result": "stawm.training.trainer",
    "RunOptions": "stawm.training.options",
    "SeededRuns": "stawm.training.seeds",
    "Splits": "stawm.training.data",
    "describe_recipe": "stawm.training.listing",
    "evaluate": "stawm.training.evaluation",
    "list_recipes": "stawm.training.listing",
    "train": "stawm.training.trainer",
    "train_seeds": "stawm.training.seeds",
    "tune_stop": "stawm.training.stopping",
}

__getattr__, __dir__, __all__ = attach("stawm.training", _HOMES)
