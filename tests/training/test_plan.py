"""What a run is made from: which model a recipe trains, what options and overrides make of it."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

import stawm
from stawm import registry
from stawm.configuration import Config, field_hints
from stawm.errors import ConfigError, UnknownNameError
from stawm.models.config import ModelConfig
from stawm.storage.pretrained import OF_HEADS
from stawm.training import RunOptions, recipes, trainer
from stawm.training.data import Splits
from stawm.training.data.sources import open_source, spelled
from stawm.training.recipes import Recipe
from stawm.training.trainer import MODEL_FIELDS, make_plan
from tests.small import small
from tests.training.test_options import OTHERS
from tests.training.tiny import weights


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})


def plan(model: Any, recipe: Any = "fast", options: Any = None, **overrides: Any) -> Any:
    return make_plan(model, recipe, options, overrides)


# Variants


@pytest.mark.parametrize("preset", stawm.list_names("preset", origin="stawm"))
def test_a_recipe_trains_the_variant_that_the_record_names(preset: str, tmp_path: Path):
    variant = f"{preset}.fast" if f"{preset}.fast" in stawm.list_names("preset", "*.fast") else preset
    options = {}
    if preset.endswith("-selfsup"):
        stawm.save(small(variant), tmp_path / "m.safetensors")
        options = {"start": tmp_path / "m.safetensors", "transfer_passes": 0}
    expected = stawm.config(variant) if not options else stawm.inspect(options["start"]).config
    for asked in (preset, variant, {"preset": preset}):
        found = plan(asked, **options)
        assert found.config == expected
        assert found.recipe == recipes.find("fast", variant)


def test_the_paper_trains_the_preset_itself():
    assert plan("stawm-mnist-8", "paper").config == stawm.config("stawm-mnist-8")
    assert plan("stawm-mnist-8", Recipe(name="fast", epochs=1)).config == stawm.config("stawm-mnist-8")


def test_what_the_user_gives_comes_on_top_of_the_variant():
    assert stawm.config("stawm-mnist-8.fast").dropout == 0.0
    found = plan("stawm-mnist-8", dropout=0.25, **{"memory.delta": 0.3}).config
    assert found == stawm.config("stawm-mnist-8.fast", dropout=0.25, **{"memory.delta": 0.3})
    assert (found.memory.constrained, found.memory.delta) == (True, 0.3)
    assert not plan("stawm-mnist-8", **{"memory.constrained": False}).config.memory.constrained
    mapping = {"preset": "stawm-mnist-8", "dropout": 0.25, "memory": {"delta": 0.3}}
    assert plan(mapping).config == found
    assert plan(mapping, glimpses=2).config == found.replace(glimpses=2)


def test_a_complete_configuration_is_trained_as_it_is():
    whole = stawm.config("stawm-mnist-8", glimpses=3)
    for given in (whole, whole.to_dict()):
        found = plan(given)
        assert found.config == whole
        assert found.recipe == recipes.find("fast", "stawm-mnist-8")


def test_a_name_without_a_record_gets_the_common_recipe():
    assert plan("stawm-mnist-8", name="mine").config == stawm.config("stawm-mnist-8.fast", name="mine")
    common = plan("stawm-mnist-8", name="mine").recipe
    assert common == recipes.find("fast", "nothing")
    assert plan("stawm-mnist-draw-6", name="mine").recipe == recipes.find("fast", "nothing", draws=True) != common


def test_a_strangers_preset_brings_its_own_recipes():
    slow = {"epochs": 3, "rate": 0.5, "augmentation": {"rotation": 5}, "milestones": (1, 2)}
    stawm.register("preset", "mine", recipes={"slow": slow, "fast": "mine.bound"})({"preset": "stawm-mnist-8"})
    stawm.register("preset", "mine.bound", recipes={"fast": {"epochs": 4}})({"preset": "mine", "pose_limit": 2.0})
    found = plan("mine", "slow")
    assert (found.config, found.recipe.name) == (stawm.config("mine"), "slow")
    assert (found.recipe.epochs, found.recipe.augmentation.rotation, found.recipe.milestones) == (3, 5, (1, 2))
    assert (plan("mine").config, plan("mine").recipe.epochs) == (stawm.config("mine.bound"), 4)
    stawm.register("preset", "other", recipes={"fast": "mine"})({"preset": "stawm-digits"})
    assert plan("other").config == stawm.config("mine.bound"), "a record may name one that names another"
    with pytest.raises(
        ConfigError, match=r"No recipe named 'slwo'\. Did you mean 'slow'\? It must be 'fast' or 'paper' or 'slow'"
    ):
        plan("mine", "slwo")
    with pytest.raises(
        ConfigError,
        match=r"The paper does not train 'mine'; it does: bvae-cifar, bvae-cifar-selfsup, .*mnv2-cifar, .*stawm-mnist",
    ):
        plan("mine", "paper")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"rate": 0.5}, "The recipe 'fast' of mine lacks epochs"),
        ({"epochs": 3, "rat": 0.5}, "The recipe 'fast' of mine has no field 'rat'. Did you mean 'rate'"),
        ({"epochs": 0}, "fast: epochs must be an integer"),
        ("mine", "leads nowhere: mine to mine"),
        ("gone", "No preset named 'gone'"),
    ],
)
def test_a_strangers_recipe_that_is_not_legal(fields: Any, words: str):
    stawm.register("preset", "mine", recipes={"fast": fields})({"preset": "stawm-digits"})
    with pytest.raises((ConfigError, UnknownNameError), match=words):
        plan("mine")


# Options and overrides


def test_options_come_in_three_forms():
    few = {key: OTHERS[key] for key in ("seed", "precision", "save_every", "cpu")}
    for found in (
        plan("stawm-digits", **few),
        plan("stawm-digits", options=few),
        plan("stawm-digits", options=RunOptions(**few)),
    ):
        assert found.options == RunOptions(**few, transfer_passes=0)
    mixed = plan("stawm-digits", options={"seed": 3}, cpu=True).options
    assert (mixed.seed, mixed.cpu) == (3, True)


def test_options_reach_the_run(tmp_path: Path):
    stawm.save(small("stawm-digits"), tmp_path / "m.safetensors")
    options = {"seed": 3, "precision": "bf16", "cpu": True, "compile": True}
    run = trainer._make_run(plan("stawm-digits", options=options, memory_size=8, hidden_size=12, glimpses=1))
    assert (run.seed, run.precision, run.compiled, run.device.type) == (3, "bf16", True, "cpu")
    seeded = stawm.build(run.model.config, seed=3)
    assert torch.equal(weights(run.model), weights(seeded))
    started = trainer._make_run(plan("stawm-digits", start=tmp_path / "m.safetensors", cpu=True))
    assert torch.equal(weights(started.model), weights(small("stawm-digits")))
    assert (started.seed, started.precision, started.compiled) == (0, "fp32", False)


@pytest.mark.parametrize("flag", [{"resize": "crop"}, {"resize": "squeeze"}, {"download": True}, {"held_out": 0.5}])
def test_options_reach_the_data(monkeypatch: pytest.MonkeyPatch, few: Splits, flag: dict[str, Any]):
    calls: dict[str, Any] = {}

    def load(source: Config, **kwargs: Any) -> Splits:
        calls.update(kwargs, source=spelled(source))
        return few

    monkeypatch.setattr(trainer.datasets, "load", load)
    assert trainer._load(plan("stawm-digits", **flag), open_source("mnist:x").config) is few
    others = {"resize": False, "download": False, "held_out": 0.2, **flag}
    assert calls == {"source": "mnist:x", "image": (1, 16, 16), **others}


def test_the_model_keeps_how_images_were_resized():
    assert plan("stawm-digits").config.resize == plan("stawm-digits", resize=True).config.resize == "crop"
    squeezed = plan("stawm-digits", resize="squeeze").config
    assert squeezed.resize == "squeeze"
    assert plan(squeezed, resize=True).config.resize == plan(squeezed).config.resize == "squeeze"
    assert plan(squeezed, resize="crop").config.resize == "crop"


def test_an_option_that_is_given_twice():
    with pytest.raises(ConfigError, match="'seed' is given twice, in options and by itself"):
        plan("stawm-digits", options={"seed": 1}, seed=1)
    with pytest.raises(ConfigError, match="'cpu' is given twice"):
        plan("stawm-digits", options=RunOptions(), cpu=True)


def test_options_that_are_not_there(unchecked: None):
    with pytest.raises(ConfigError, match=r"options has no field 'sed'\. Did you mean 'seed'"):
        plan("stawm-digits", options={"sed": 1})
    with pytest.raises(ConfigError, match="options must be RunOptions or a mapping of its fields; got 3"):
        plan("stawm-digits", options=3)


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("sed", "seed"),
        ("glimpse", "glimpses"),
        ("epochs", "recipe.epochs"),
        ("reciep.rate", "recipe"),
        ("memry.x", "memory"),
    ],
)
def test_a_misspelt_keyword_is_answered_from_options_model_and_recipe(slip: str, meant: str):
    with pytest.raises(ConfigError, match=rf"named '{slip.partition('.')[0]}'.*'{meant}"):
        plan("stawm-digits", **{slip: 3})


def test_a_model_that_is_not_legal_is_no_fault_of_the_recipe():
    for recipe in ("paper", "fast", Recipe(name="r", epochs=1)):
        with pytest.raises(ConfigError) as caught:
            plan("stawm-mnist-8", recipe, glimpses=0, **{"recipe.rate": -1})
        assert [fault.partition(" must")[0] for fault in caught.value.faults] == [
            *("stawm-mnist-8.fast: glimpses" if recipe == "fast" else "stawm-mnist-8: glimpses",),
            f"{recipe if isinstance(recipe, str) else 'r'}: rate",
        ]
    with pytest.raises(UnknownNameError, match="Did you mean 'stawm-mnist-8'"):
        plan("stawm-mnst-8", "paper")


@pytest.mark.parametrize("field", ["spec", "preset", "draws"])
def test_no_field_of_a_recipe_is_taken_for_something_else(field: str):
    with pytest.raises(ConfigError, match=f"The recipe has no field '{field}'"):
        plan("stawm-digits", **{f"recipe.{field}": "x"})


def test_overrides_reach_model_and_recipe():
    found = plan("stawm-digits", **{"memory.delta": 0.3, "recipe.augmentation.shear": 3, "recipe.epochs": 2})
    assert found.config == stawm.config("stawm-digits", **{"memory.delta": 0.3})
    assert found.recipe == recipes.find("fast", "stawm-digits", epochs=2, augmentation={"shear": 3})


# Standing on a checkpoint


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawing model of which everything below the heads is another than the preset's."""
    changes: dict[str, Any] = {
        "image": (1, 26, 26),
        "glimpses": 6,
        "glimpse_size": 7,
        "memory_size": 9,
        "hidden_size": 11,
        "context_size": 13,
        "where": "rnn",
        "pose_limit": 0.5,
        "sketch_limit": 0.5,
        "pose_jitter": 0.25,
        "mean": [0.1],
        "std": [0.7],
        "context": {"layers": "4@3/2 5@3/2"},
        "backbone": {"layers": "3@3/1"},
        "locator": "crop",
        "memory": {"constrained": True, "eta": 0.25},
        "heads": {"drawing": {"decoder": None, "sketch_size": 7}},
        "canvas": "bernoulli",
        "policy": "random",
        "dropout": 0.125,
        "resize": "squeeze",
    }
    path = tmp_path_factory.mktemp("drawn") / "drawn.safetensors"
    stawm.save(stawm.build("stawm-mnist-draw-6", **changes), path)
    return path


@pytest.fixture
def selfsup() -> str:
    """A self-supervised preset with the common recipe."""
    stawm.register("preset", "x-selfsup")({"preset": "stawm-mnist-selfsup"})
    return "x-selfsup"


@pytest.mark.parametrize("field", sorted({*field_hints(ModelConfig)} - OF_HEADS))
def test_nothing_below_the_heads_is_dropped(drawn: Path, selfsup: str, field: str):
    trained, preset = stawm.inspect(drawn).config, stawm.config(selfsup)
    assert getattr(trained, field) != getattr(preset, field)
    for found in (stawm.build(selfsup, pretrained=drawn).config, plan(selfsup, start=drawn).config):
        assert getattr(found, field) == getattr(trained, field)


@pytest.mark.parametrize("field", sorted(OF_HEADS))
def test_what_is_of_the_heads_stays(drawn: Path, selfsup: str, field: str):
    assert getattr(plan(selfsup, start=drawn).config, field) == getattr(stawm.config(selfsup), field)


def test_every_field_of_a_model_is_a_field_of_the_plan():
    assert set(MODEL_FIELDS) >= {*field_hints(ModelConfig)}


@pytest.mark.parametrize(
    "changes", [{}, {"glimpses": 2}, {"memory": {"theta": 0.25}}, {"memory.normalise": 0.5, "dropout": 0.0}]
)
@pytest.mark.parametrize(
    ("preset", "recipe"),
    [("x-selfsup", "fast"), ("stawm-mnist-selfsup", "paper"), ("stawm-mnist-selfsup.fast", "fast")],
)
def test_building_on_a_checkpoint_and_training_on_it_give_one_model(
    drawn: Path, selfsup: str, preset: str, recipe: str, changes: dict[str, Any]
):
    built = stawm.build(preset, pretrained=drawn, **changes).config
    assert built == plan(preset, recipe, start=drawn, **changes).config
    assert built == stawm.config(built, **changes), "what the user gives wins"
    mapping = {"preset": preset, **changes}
    assert stawm.build(mapping, pretrained=drawn).config == built == plan(mapping, recipe, start=drawn).config


def test_going_on_from_a_presets_own_checkpoint_keeps_its_configuration(tmp_path: Path):
    path = tmp_path / "m.safetensors"
    stawm.save(small("stawm-mnist-8.fast", glimpses=2, dropout=0.25), path)
    for asked in ("stawm-mnist-8", "stawm-mnist-8.fast"):
        found = plan(asked, start=path, dropout=0.5).config
        assert found == stawm.inspect(path).config.replace(dropout=0.5)
        assert stawm.build(asked, pretrained=path, dropout=0.5).config == found
    other = plan("stawm-mnist-28", start=path).config
    assert other == stawm.config("stawm-mnist-28.fast"), "another preset is what it is"


def test_a_readout_goes_on_from_its_own_checkpoint_with_its_heads(drawn: Path, selfsup: str, tmp_path: Path):
    """It stands on a model that learned all; a checkpoint of a readout is the model itself."""
    learned = stawm.build(selfsup, pretrained=drawn, dropout=0.25, **{"heads.classification.dropout": 0.5})
    stawm.save(learned, tmp_path / "m.safetensors")
    assert stawm.build(selfsup, pretrained=tmp_path / "m.safetensors").config == learned.config
    assert plan(selfsup, start=tmp_path / "m.safetensors").config == learned.config


def test_another_form_of_the_same_memory_is_refused(drawn: Path, selfsup: str):
    words = "learned with memory.constrained=True, and are of another form than with False"
    for attempt in (
        lambda: plan(selfsup, start=drawn, memory={"constrained": False}),
        lambda: stawm.build(selfsup, pretrained=drawn, memory={"constrained": False}),
        lambda: stawm.build(stawm.config(selfsup), pretrained=drawn),
        lambda: plan(stawm.config(selfsup), start=drawn),
    ):
        with pytest.raises(ConfigError, match=words):
            attempt()
    swapped = plan(selfsup, start=drawn, memory="fast-weights").config
    assert swapped.memory.name == "fast-weights"


def test_the_checkpoint_to_start_from_is_noted_by_its_hash(drawn: Path, selfsup: str):
    found = plan(selfsup, start=drawn, seed=4)
    note = found.note(open_source("mnist:ROOT").config)
    assert note["start"] == stawm.inspect(drawn).sha256
    assert (note["data"], note["seed"], note["transfer_passes"]) == ("mnist:ROOT", 4, 1)
    assert note["recipe"] | {"frozen_passes": 1} == found.recipe.to_dict()
    assert plan("stawm-digits").note("given")["start"] is None


@pytest.mark.parametrize(
    ("tried", "ours"),
    [("lr", "recipe.rate"), ("epochs", "recipe.epochs"), ("num_classes", "heads.classification.classes")],
)
def test_names_of_other_libraries_are_answered_with_ours(tried: str, ours: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(ours)):
        make_plan("stawm-digits", "fast", {}, {tried: 3})
