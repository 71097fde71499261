"""Training from one call."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

from stawm.catalog.families import FAMILIES
from stawm.catalog.suggest import called_here, did_you_mean, nearest
from stawm.configuration import Config, field_hints, make, split_dotted
from stawm.errors import CheckpointError, ConfigError, Faults
from stawm.models.config import SharedConfig
from stawm.models.model import Model
from stawm.models.resolve import ModelSpec, renewed
from stawm.models.resolve import config as resolve_config
from stawm.storage import checkpoint
from stawm.storage.checkpoint import WEIGHTS, CheckpointInfo
from stawm.storage.file import read
from stawm.storage.pretrained import resolve_weights, stand_on
from stawm.training import data as datasets
from stawm.training import folder, identity
from stawm.training.adapt import given_fields, meet
from stawm.training.data import Splits
from stawm.training.data.alignment import learns_places
from stawm.training.data.sources import DataSpec, channels_of, fields_of, is_named, open_source, spelled
from stawm.training.data.torch_datasets import AnySet
from stawm.training.divergence import check_measured
from stawm.training.endings import say, telling
from stawm.training.evaluation import Evaluation, evaluate
from stawm.training.loop import Loop
from stawm.training.options import NAMES, RunOptions
from stawm.training.processes import ignored_settings, in_first, make_accelerator
from stawm.training.provenance import fields_without_folders, hardware, run_of_checkpoint, source_without_folders
from stawm.training.readout import ReadoutRun, can_keep
from stawm.training.recipes import Recipe, RecipeSpec, changed, trained_preset
from stawm.training.recipes import find as find_recipe
from stawm.training.report import check_packages
from stawm.training.run import Run

_SHARED = ("seed", "precision", "cpu", "compile", "capture", "partial")
"""The options that a run takes as they are."""
MODEL_FIELDS = tuple(
    dict.fromkeys(field for family in FAMILIES.values() for field in field_hints(family.load_config()))
)


@dataclass(frozen=True)
class Result:
    """What a run came to.

    Attributes:
        model: The trained model, in evaluation mode, on the CPU.
        checkpoint: The file that it was saved to.
        evaluation: What was measured on the test images at the end.
        history: One entry an epoch, as in the log.
        adapted: What the model took from the data and not from its preset, in words.
        trained: Whether anything was left to do; a run that was finished before is only read.
    """

    model: Model
    checkpoint: Path
    evaluation: Evaluation
    history: list[dict[str, Any]]
    adapted: tuple[str, ...] = ()
    trained: bool = True

    @property
    def verdict(self) -> str:
        """What became of the run, in a line."""
        if self.trained:
            return f"saved {self.checkpoint}"
        return f"nothing to do: this run was finished before; {self.checkpoint} is as it was"


@dataclass(frozen=True)
class Plan:
    """What a run is made from, checked.

    Attributes:
        config: The model.
        recipe: How it is trained.
        options: The rest; ``transfer_passes`` is known.
        begun: The checkpoint that it starts from, if there is one.
        fixed: Which of the fields that follow the data do not (see `stawm.training.adapt`).
        adapted: What the model took from the data, in words.
    """

    config: SharedConfig
    recipe: Recipe
    options: RunOptions
    begun: CheckpointInfo | None
    fixed: frozenset[str] = frozenset()
    adapted: tuple[str, ...] = ()

    def note(self, data: Any) -> dict[str, Any]:
        """Return what tells the run from another one, as JSON values; data by name is a configuration."""
        start = None if self.begun is None else self.begun.sha256
        recipe = identity.of_recipe(self.recipe)
        named = isinstance(data, Config)
        fields = fields_of(data) if named else {}
        said = {"data": spelled(data) if named else "given", **({"data_fields": fields} if fields else {})}
        return {**said, "recipe": recipe, **self.options.note(), "start": start}


def train(
    model: ModelSpec,
    /,
    *,
    data: DataSpec | Splits | AnySet | Sequence[AnySet] | Mapping[str, AnySet],
    out: str | PathLike[str],
    recipe: RecipeSpec = "fast",
    options: RunOptions | Mapping[str, Any] | None = None,
    **overrides: Any,
) -> Result:
    """Train a model; a run that was broken off in the same folder goes on where it was.

    Args:
        model: A preset's name, a configuration, or a mapping (see `stawm.config`). Where the record of a preset says
            that the recipe trains a variant of it, such as ``stawm-mnist-8.fast``, that is trained; a complete
            configuration is trained as it is. In a preset, number and names of the classes, the images' channels and
            mean and std follow the data unless they are given; what does is said on stderr, and in the result.
        data: A set by name (see `stawm.training.data.load`), whose fields are overridden as ``data.FIELD``; or what to
            train and to test on: `Splits`, or PyTorch's data sets or loaders, as a pair or by ``train`` and ``test``
            (see `stawm.training.data.as_image_set`). Of a single one a fifth is held out for testing.
        out: The run's folder: the checkpoint, the state to go on from, pictures, and logs, for TensorBoard
            and as one JSON object an epoch.
        recipe: ``paper``, ``fast``, another name in the preset's record, or a recipe.
        options: How the run is made: `RunOptions`, or its fields as a mapping.
        **overrides: Fields of the model as in `stawm.build`, of the recipe as ``recipe.FIELD``, of the data set as
            ``data.FIELD``, and of the options.

    Raises:
        StawmError: Something given is not legal, the folder cannot be written, or training diverged;
            everything that can be is checked before training starts.

    Examples:
        Small digits, on the CPU::

            train("stawm-digits", data="digits", out="runs/digits", seed=3, cpu=True, **{"recipe.epochs": 2})
    """
    out = Path(out)
    data, overrides = chosen_data(data, overrides)
    plan = make_plan(model, recipe, options, overrides)
    accelerator = make_accelerator(plan.options.cpu)
    with ExitStack() as stack:
        in_first(accelerator, lambda: stack.enter_context(folder.claimed(out)))
        stack.enter_context(telling(out, alone=accelerator.num_processes == 1))
        check_packages(plan.options.pictures)
        return _train(plan, data, out, [_announcement(model, plan), *map(_in_vain, ignored_settings())])


def _train(plan: Plan, data: Any, out: Path, announcements: list[str]) -> Result:
    splits = _load(plan, data)
    config, splits, adapted = meet(plan.config, splits, _held_out(plan.options, splits).train, plan.fixed)
    plan = replace(plan, config=config, adapted=adapted)
    held = _held_out(plan.options, splits)
    run = _make_run(plan)
    note = {**plan.note(data), "images": identity.of_images(splits)}
    if run.accelerator.is_main_process and not plan.options.quiet:
        for line in filter(None, (*announcements, *plan.adapted)):
            say(line)
    loop = Loop(run, held, out, note, plan.options)
    finished = loop.finished
    history = loop.go()
    sample = plan.recipe.sample_evaluation
    measured = evaluate(run.result, splits.test.to(run.device), by_glimpse=True, fit=splits.train, sample=sample)
    check_measured(measured.as_dict(), "by the end")
    left = not (finished and is_whole(out / WEIGHTS))
    if run.accelerator.is_main_process and left:
        noted = {
            **note,
            "data": source_without_folders(note["data"]),
            **({"data_fields": fields_without_folders(note["data_fields"])} if "data_fields" in note else {}),
            "start": None if plan.options.start is None else run_of_checkpoint(plan.options.start),
            "start_sha256": note["start"],
            "hardware": hardware(run.device),
            "test": measured.as_dict(),
            **({"adapted": list(plan.adapted)} if plan.adapted else {}),
        }
        checkpoint.save(run.result, out / WEIGHTS, provenance=noted)
    return Result(run.result.cpu().eval(), out / WEIGHTS, measured, history, plan.adapted, trained=left)


def chosen_data(data: Any, overrides: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return a data set that is named as its configuration, with its fields taken out of the overrides.

    Raises:
        InputError: There is no such set.
        ConfigError: A field does not exist or is not legal, or fields are given for data that is not named.
    """
    fields = {key.partition(".")[2]: value for key, value in overrides.items() if key.startswith("data.")}
    rest = {key: value for key, value in overrides.items() if not key.startswith("data.")}
    if is_named(data):
        return open_source(data, fields).config, rest
    if fields:
        raise ConfigError([f"data.{key} is for data sets by name; the data is given as images." for key in fields])
    return data, rest


def is_whole(path: Path) -> bool:
    """Whether a checkpoint is there, and is as it was saved."""
    try:
        read(path)
    except CheckpointError:
        return False
    return True


def make_plan(
    model: ModelSpec,
    recipe: RecipeSpec,
    options: RunOptions | Mapping[str, Any] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Plan:
    """Return what a run is made from; the arguments are those of `train`.

    Raises:
        CheckpointError: The weights to start from are not there, or damaged.
        ConfigError: Everything that is wrong with model, recipe and options.
        UnknownNameError: A name that is not registered is all that is wrong.
    """
    faults, given, model = Faults(), split_dotted(overrides or {}), renewed(model)
    of_recipe = given.pop("recipe", {})
    own = {key: given.pop(key) for key in NAMES if key in given}
    chosen = faults.attempt(_options, options, own)
    begun = checkpoint.inspect(resolve_weights(chosen.start)) if chosen and chosen.start is not None else None
    faults.add(*(_unknown(key) for key in given if key not in MODEL_FIELDS))
    changes = {key: value for key, value in given.items() if key in MODEL_FIELDS}
    config = faults.attempt(_configure, model, recipe, begun, changes, partial=chosen is not None and chosen.partial)
    found = faults.attempt(_recipe, recipe, config, of_recipe)
    faults.settle()
    assert config is not None
    assert found is not None
    assert chosen is not None
    if found.augmentation.moves and learns_places(config):
        raise ConfigError(
            [
                f"{config.name} learns where things are, by its policy, so images must stay as they are: leave out of "
                "recipe.augmentation what moves them, or take policy=deterministic."
            ]
        )
    if isinstance(chosen.resize, str):
        config = config.replace(resize=chosen.resize)
    passes = _passes(config, found, chosen)
    fixed = given_fields(model, changes, None if begun is None else begun.config)
    return Plan(config, found, chosen.replace(transfer_passes=passes), begun, fixed)


def _options(whole: RunOptions | Mapping[str, Any] | None, own: Mapping[str, Any]) -> RunOptions:
    fields = vars(whole) if isinstance(whole, RunOptions) else whole or {}
    if not isinstance(fields, Mapping):
        raise ConfigError([f"options must be RunOptions or a mapping of its fields; got {whole!r}."])
    twice = [f"{key!r} is given twice, in options and by itself." for key in own if key in fields]
    if twice:
        raise ConfigError(twice)
    return make(RunOptions, {**fields, **own}, "options")


def _unknown(key: str) -> str:
    plain = (*NAMES, *MODEL_FIELDS, "recipe")
    spelled = {f: f"recipe.{f}" for f in field_hints(Recipe)} | {name: name for name in plain}
    meant = [spelled[name] for name in nearest(key, spelled, limit=3)]
    return (
        f"No option of a run and no field of a model is named {key!r}.{did_you_mean(meant)}{called_here(key)} "
        "Fields of the recipe are given as recipe.FIELD."
    )


def _configure(
    model: ModelSpec, recipe: RecipeSpec, begun: CheckpointInfo | None, changes: Mapping[str, Any], *, partial: bool
) -> SharedConfig:
    spec = trained_spec(model, recipe)
    return resolve_config(spec, **changes) if begun is None else stand_on(spec, begun.config, changes, partial=partial)


def _recipe(recipe: RecipeSpec, config: SharedConfig | None, changes: Mapping[str, Any]) -> Recipe:
    """Return the recipe; where the model is not legal, which is said already, only the changes are checked."""
    if config is not None:
        found = find_recipe(recipe, config.name, draws=config.draws)
    else:
        found = recipe if isinstance(recipe, Recipe) else Recipe(name=recipe, epochs=1)
    return changed(found, changes, "The recipe")


def trained_spec(model: ModelSpec, recipe: RecipeSpec) -> ModelSpec:
    """Return the model that a recipe trains: the variant, where a preset is given and its record names one."""
    if isinstance(model, str):
        return trained_preset(recipe, model)
    if isinstance(model, Mapping) and isinstance(model.get("preset"), str):
        return {**model, "preset": trained_preset(recipe, model["preset"])}
    return model


def _announcement(model: ModelSpec, plan: Plan) -> str:
    """Say which variant is trained, where another name was given."""
    given = model.get("preset") if isinstance(model, Mapping) else model
    if not isinstance(given, str) or given == plan.config.name or not plan.config.name.startswith(f"{given}."):
        return ""
    return f"The recipe {plan.recipe.name!r} trains {plan.config.name}, a variant of {given}."


def _in_vain(setting: str) -> str:
    return f"{setting} has no effect: how stawm trains is said by its own options."


def _load(plan: Plan, data: Any) -> Splits:
    if not isinstance(data, Config):
        return datasets.as_splits(data, plan.options.seed, plan.options.held_out)
    c, h, w = plan.config.image
    c = c if "image" in plan.fixed else channels_of(data) or c
    options = plan.options
    resize = plan.config.resize if options.resize else False
    return datasets.load(data, image=(c, h, w), resize=resize, download=options.download, held_out=options.held_out)


def _held_out(options: RunOptions, splits: Splits) -> Splits:
    """Return what is learned from, and what is measured on while learning."""
    held = datasets.hold_out_last(splits.train, options.validation) if options.validation else splits
    if options.train_images is None:
        return held
    return Splits(datasets.take_first(held.train, options.train_images), held.test)


def _make_run(plan: Plan) -> Run:
    options = plan.options
    shared: dict[str, Any] = {key: getattr(options, key) for key in _SHARED}
    shared["start"] = None if plan.begun is None else plan.begun.path
    if options.transfer_passes:
        return ReadoutRun(plan.config, plan.recipe, passes=options.transfer_passes, **shared)
    return Run(plan.config, plan.recipe, **shared)


def _passes(config: SharedConfig, recipe: Recipe, options: RunOptions) -> int:
    """Return how often frozen glimpses are computed before training starts; 0 where they are not kept."""
    asked = options.transfer_passes
    if not config.is_readout:
        if asked is not None:
            raise ConfigError(
                [f"transfer_passes is for models of which only the readout learns; {config.name} learns all."]
            )
        return 0
    if options.start is None:
        raise ConfigError(
            [f"{config.name} learns a readout of frozen glimpses: give the checkpoint of the drawing model (--start)."]
        )
    if not can_keep(config):
        if asked:
            raise ConfigError(
                [
                    f"{config.name} draws or trains with dropout in its loop, so it needs new glimpses in each step: "
                    "transfer_passes must be 0."
                ]
            )
        return 0
    return asked if asked is not None else recipe.frozen_passes
