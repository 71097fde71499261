"""Training from one call."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import torch

from stawm.configuration import field_hints, split_dotted
from stawm.errors import ConfigError, InputError
from stawm.models.config import ModelConfig, SharedConfig
from stawm.models.model import Model
from stawm.models.resolve import ModelSpec
from stawm.models.resolve import config as resolve_config
from stawm.storage import checkpoint
from stawm.storage.pretrained import find_checkpoint
from stawm.training import data as datasets
from stawm.training import state as states
from stawm.training.data import ImageSet, Splits
from stawm.training.evaluation import Evaluation, check_classes, evaluate
from stawm.training.loop import Loop
from stawm.training.readout import ReadoutRun, can_keep
from stawm.training.recipes import Recipe, RecipeSpec
from stawm.training.recipes import find as find_recipe
from stawm.training.run import Run

CHECKPOINT = "model.safetensors"
LARGEST_SEED = 2**32 - 1


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


LEGAL: dict[str, tuple[Callable[[Any], bool], str]] = {
    "seed": (lambda value: _is_count(value) and value <= LARGEST_SEED, f"a whole number from 0 to {LARGEST_SEED}"),
    "precision": (lambda value: value in ("fp32", "bf16"), "'fp32' or 'bf16'"),
    "validation": (_is_count, "a whole number, 0 or more"),
    "train_images": (lambda value: value is None or (_is_count(value) and value > 0), "a whole number, 1 or more"),
    "transfer_passes": (lambda value: value is None or _is_count(value), "a whole number, 0 or more"),
    "save_every": (lambda value: isinstance(value, (int, float)) and value >= 0, "minutes, 0 or more"),
    "pictures": (_is_count, "a whole number, 0 or more"),
}
"""What is legal of the arguments of `train` that are plain numbers and words."""


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
    model: ModelSpec,
    *,
    data: str | Splits,
    out: str | PathLike[str],
    recipe: RecipeSpec = "fast",
    seed: int = 0,
    precision: Literal["fp32", "bf16"] = "fp32",
    validation: int = 0,
    train_images: int | None = None,
    start: str | Path | None = None,
    transfer_passes: int | None = None,
    save_every: float = 5.0,
    pictures: int = 5,
    compile: bool = False,
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
        out: The run's folder: the checkpoint, the state to go on from, pictures, and logs, for TensorBoard
            and as one JSON object an epoch.
        recipe: ``paper``, ``fast``, or a recipe.
        seed: Decides the weights, the order of the images, augmentation, dropout and sampling.
        precision: Of the convolutions and products; pose, sampling and memory stay in fp32 anyhow.
        validation: How many of the last training images are held out and measured on while training,
            instead of the test images.
        train_images: How many of the first training images are learned from; all that are not held out where left
            out.
        start: A checkpoint whose weights to begin with, instead of random ones, or the name of a preset whose
            weights come with the package. A self-supervised model takes those of the drawing model on whose
            glimpses it stands.
        transfer_passes: For a model of which only the readout learns, how often the frozen glimpses of each
            image are computed before training starts: 1 as it is, more with augmentations; 0 computes them
            anew in each step, augmented as the recipe says. Where left out 0 for the paper's recipe, else 1.
        save_every: Minutes from one saved state to the next; after an epoch it is saved anyhow.
        pictures: Every how many epochs pictures of glimpses and drawings are made; 0 for never.
        compile: Whether the model is compiled with `torch.compile`: slower to start, then faster.
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
    config = resolve_config(model, **model_changes)
    chosen = find_recipe(recipe, config.name, draws=config.draws, **recipe_changes)
    config = _with_recipe(config, chosen, model_changes)
    _check(
        seed=seed,
        precision=precision,
        validation=validation,
        train_images=train_images,
        transfer_passes=transfer_passes,
        save_every=save_every,
        pictures=pictures,
    )
    weights = None if start is None else find_checkpoint(start)
    begun = None if weights is None else checkpoint.inspect(weights)
    if begun is not None:
        config = _as_begun(begun.config, config, model_changes)
    passes = _passes(config, chosen, start, transfer_passes)
    c, h, w = config.image
    splits = datasets.load(data, image=(c, h, w), resize=resize, download=download) if isinstance(data, str) else data
    held = datasets.hold_out_last(splits.train, validation) if validation else splits
    if train_images is not None:
        held = Splits(datasets.take_first(held.train, train_images), held.test)
    states.prepare_folder(out)
    options: dict[str, Any] = {"seed": seed, "precision": precision, "cpu": cpu, "compile": compile, "start": weights}
    run = ReadoutRun(config, chosen, passes=passes, **options) if passes else Run(config, chosen, **options)
    for part in (*held, splits.test):
        _check_images(run.model, part)
    note = {
        "data": data if isinstance(data, str) else "given",
        "recipe": chosen.to_dict(),
        "seed": seed,
        "precision": precision,
        "validation": validation,
        "train_images": train_images,
        "resize": resize,
        "start": None if begun is None else begun.sha256,
        "transfer_passes": passes,
    }
    loop = Loop(run, out, note, quiet=quiet, save_every=save_every, pictures=pictures)
    history = loop.go(held)
    measured = evaluate(run.result, splits.test.to(run.device), by_glimpse=True, fit=splits.train)
    if run.accelerator.is_main_process:
        noted = {
            **note,
            "data": source_without_folders(note["data"]),
            "start": None if start is None else run_of_checkpoint(start),
            "start_sha256": note["start"],
            "hardware": hardware(run.device),
            "test": measured.as_dict(),
        }
        checkpoint.save(run.result, out / CHECKPOINT, provenance=noted)
    return Result(run.result.cpu().eval(), out / CHECKPOINT, measured, history)


def _as_begun(begun: SharedConfig, config: SharedConfig, given: Mapping[str, Any]) -> SharedConfig:
    """Take over with the weights what they mean nothing without, looking and memory, except what the user gave."""
    if not (isinstance(begun, ModelConfig) and isinstance(config, ModelConfig)):
        return config
    named = split_dotted(given)
    looking = {field: getattr(begun, field) for field in ("where", "pose_limit", "locator") if field not in named}
    config = config.replace(**looking)
    if begun.memory.name != config.memory.name:
        return config
    config = config.replace(memory=begun.memory)
    config = resolve_config(config, memory=named["memory"]) if "memory" in named else config
    forms = [getattr(memory, "constrained", None) for memory in (begun.memory, getattr(config, "memory", None))]
    if forms[0] != forms[1]:
        raise ConfigError(
            [
                f"The rates to start from were learned with memory.constrained={forms[0]}, and are of another form "
                f"than with {forms[1]}: leave it as it was, or train from random weights."
            ]
        )
    return config


def _check(**given: Any) -> None:
    """Raise a ConfigError that lists everything that is not legal."""
    faults = [
        f"{name} must be {legal}; got {given[name]!r}."
        for name, (is_legal, legal) in LEGAL.items()
        if not is_legal(given[name])
    ]
    if faults:
        raise ConfigError(faults)


def _check_images(model: Model, images: ImageSet) -> None:
    """Raise an InputError unless a model can be trained or tested on images."""
    if not len(images) or images.shape != tuple(model.config.image):
        have, want = ("x".join(map(str, shape)) for shape in (images.shape, model.config.image))
        raise InputError(f"{model.config.name} takes images of {want}; got {len(images):,} of {have}.")
    check_classes(model, images)


def _passes(config: SharedConfig, recipe: Recipe, start: str | Path | None, asked: int | None) -> int:
    """Return how often frozen glimpses are computed before training starts; 0 where they are not kept."""
    if not config.is_readout:
        if asked is not None:
            raise ConfigError(
                [f"transfer_passes is for models of which only the readout learns; {config.name} learns all."]
            )
        return 0
    if start is None:
        raise ConfigError(
            [f"{config.name} learns a readout of frozen glimpses: give the checkpoint of the drawing model (--start)."]
        )
    if not can_keep(config):
        if asked:
            raise ConfigError([f"{config.name} draws, and needs its glimpses in each step: transfer_passes must be 0."])
        return 0
    return asked if asked is not None else int(recipe.name != "paper")


def _separate(overrides: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tell what changes the model from what changes the recipe."""
    recipe = {k.removeprefix("recipe."): v for k, v in overrides.items() if k.startswith("recipe.")}
    return {k: v for k, v in overrides.items() if not k.startswith("recipe.")}, split_dotted(recipe)


def _with_recipe(config: SharedConfig, recipe: Recipe, given: Mapping[str, Any]) -> SharedConfig:
    """Apply the recipe's changes of the model, except to fields that the user gave."""
    given, fields = split_dotted(given), field_hints(type(config))
    changes = {key: value for key, value in recipe.model.items() if key in fields and key not in given}
    memory, named = getattr(config, "memory", None), given.get("memory")
    of_memory = recipe.memory.get(memory.name, {}) if memory is not None else {}
    kept = {key: value for key, value in of_memory.items() if not (isinstance(named, Mapping) and key in named)}
    if kept:
        changes["memory"] = kept
    return resolve_config(config, **changes) if changes else config


def source_without_folders(source: str) -> str:
    """Return a data source without the folders of the machine that it was on.

    Examples:
        >>> source_without_folders("mnist:/home/me/data")
        'mnist:ROOT'
    """
    name, _, root = source.partition(":")
    first, _, second = root.partition(",")
    if name == "folder":
        return f"folder:{Path(first).name}"
    return name + (":ROOT" if root else "") + (f",{Path(second).name}" if second else "")


def run_of_checkpoint(path: str | Path) -> str:
    """Return a run's checkpoint by the run's own folder.

    Examples:
        >>> run_of_checkpoint("/home/me/trials/draw-6/model.safetensors")
        'runs/draw-6/model.safetensors'
    """
    path = Path(path)
    return f"runs/{path.parent.name}/{path.name}" if path.parent.name else path.name


def hardware(device: torch.device) -> str:
    """Name what a model is trained on."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{threads} CPU thread{'s' * (threads > 1)}"
