"""Training from one call."""

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from stawm import checkpoint, factory
from stawm.configuration import split_dotted
from stawm.heads.model import Model
from stawm.heads.model_config import SharedConfig
from stawm.training import data as datasets
from stawm.training import state as states
from stawm.training.data import Splits
from stawm.training.evaluation import Evaluation, check_classes, evaluate
from stawm.training.loop import Run
from stawm.training.recipes import Recipe, RecipeSpec
from stawm.training.recipes import find as find_recipe

CHECKPOINT = "model.safetensors"


@dataclass(frozen=True)
class Result:
    """What a run came to.

    Attributes:
        model: The trained model, in evaluation mode, on the CPU.
        checkpoint: The file that it was saved to.
        evaluation: What was measured on the test images at the end.
        history: One entry an epoch, as in the log.
    """

    model: Model
    checkpoint: Path
    evaluation: Evaluation
    history: list[dict[str, Any]]


def train(
    model: factory.ModelSpec,
    *,
    data: str | Splits,
    out: str | PathLike[str],
    recipe: RecipeSpec = "fast",
    seed: int = 0,
    precision: Literal["fp32", "bf16"] = "fp32",
    validation: int = 0,
    resize: bool = False,
    download: bool = False,
    cpu: bool = False,
    quiet: bool = False,
    **overrides: Any,
) -> Result:
    """Train a model; a run that was broken off in the same folder goes on where it was.

    Args:
        model: A preset's name, a configuration, or a mapping (see `stawm.config`).
        data: A set by name (see `stawm.training.data.load`), or what to train and to test on.
        out: The run's folder: the checkpoint, a log of one JSON object an epoch, and the state to go on from.
        recipe: ``paper``, ``fast``, or a recipe.
        seed: Decides the weights, the order of the images, augmentation, dropout and sampling.
        precision: Of the convolutions and products; pose, sampling and memory stay in fp32 anyhow.
        validation: How many of the last training images are held out and measured on while training,
            instead of the test images.
        resize: Whether images of another size are brought to the model's.
        download: Whether torchvision may fetch a set that is not there.
        cpu: Whether to leave a GPU alone.
        quiet: Whether to show no progress.
        **overrides: Fields of the model as in `stawm.build`, and of the recipe as ``recipe.FIELD``.

    Raises:
        StawmError: Something given is not legal, the folder cannot be written, or training diverged;
            everything that can be is checked before training starts.
    """
    out = Path(out)
    model_changes, recipe_changes = _separate(overrides)
    config = factory.config(model, **model_changes)
    chosen = find_recipe(recipe, config.name, draws=config.head("drawing") is not None, **recipe_changes)
    config = _with_recipe(config, chosen, model_changes)
    c, h, w = config.image
    splits = datasets.load(data, image=(c, h, w), resize=resize, download=download) if isinstance(data, str) else data
    states.prepare_folder(out)
    run = Run(config, chosen, seed=seed, precision=precision, cpu=cpu)
    held = datasets.hold_out_last(splits.train, validation) if validation else splits
    check_classes(run.model, splits.train)
    note = {
        "data": data if isinstance(data, str) else "given",
        "recipe": chosen.to_dict(),
        "seed": seed,
        "precision": precision,
    }
    history = run.go(held, out, note, quiet=quiet)
    measured = evaluate(run.result, splits.test.to(run.device), by_glimpse=True)
    if run.accelerator.is_main_process:
        checkpoint.save(run.result, out / CHECKPOINT, provenance={**note, "test": measured.as_dict()})
    return Result(run.result.cpu().eval(), out / CHECKPOINT, measured, history)


def _separate(overrides: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tell what changes the model from what changes the recipe."""
    recipe = {k.removeprefix("recipe."): v for k, v in overrides.items() if k.startswith("recipe.")}
    return {k: v for k, v in overrides.items() if not k.startswith("recipe.")}, split_dotted(recipe)


def _with_recipe(config: SharedConfig, recipe: Recipe, given: Mapping[str, Any]) -> SharedConfig:
    """Apply the recipe's changes of the model, except to fields that the user gave."""
    given = split_dotted(given)
    changes: dict[str, Any] = {}
    if recipe.dropout is not None and "dropout" not in given:
        changes["dropout"] = recipe.dropout
    memory, named = getattr(config, "memory", None), given.get("memory")
    of_memory = recipe.memory.get(memory.name, {}) if memory is not None else {}
    kept = {key: value for key, value in of_memory.items() if not (isinstance(named, Mapping) and key in named)}
    if kept:
        changes["memory"] = kept
    return factory.config(config, **changes) if changes else config
