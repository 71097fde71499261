"""Recipes: ours are as written down, and schedules are what they say."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stawm
from stawm.errors import ConfigError
from stawm.training import recipes
from stawm.training.recipes import Recipe, one_cycle

PLAIN = dict.fromkeys(("rotation", "shift", "scale", "shear", "elastic", "jitter", "hue"), 0.0)
PLAIN |= {"crop": 0, "flip": False, "resampling": "bilinear"}
FAST: dict[str, Any] = {
    "name": "fast",
    "frozen_passes": 1,
    "epochs": 20,
    "batch": 128,
    "optimiser": "adamw",
    "rate": 1.5e-3,
    "schedule": "one-cycle",
    "decay": 1.0,
    "milestones": [],
    "warm_up": 0.2,
    "weight_decay": 0.02,
    "decay_all": False,
    "clip": 1.0,
    "clip_by": "norm",
    "pose_clip": 1.0,
    "label_smoothing": 0.05,
    "frozen_norm": 0.0,
    "average": 0.999,
    "samples": 1,
    "sample_evaluation": False,
}
DRAWS = {"label_smoothing": 0, "weight_decay": 0, "rate": 1e-3, "clip": 5, "pose_clip": None, "frozen_norm": 0.3}
CROP = {"crop": 4, "flip": True}
JITTER = CROP | {"jitter": 0.25}
DISTORT = {"rotation": 15, "shift": 0.08, "scale": 0.12, "shear": 10}
ELASTIC = DISTORT | {"elastic": 0.03}
SLIGHT = {"rotation": 7, "shift": 0.08, "scale": 0.05, "elastic": 0.02}
SCENES = {"rate": 2e-3, "warm_up": 0.1, "label_smoothing": 0.0}
SCENE_TASKS = ("translated-60", "cluttered-60", "cluttered-100", "pairs-100", "sum-100")
OURS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "stawm-digits": ({"epochs": 60, "batch": 64, "rate": 4e-3, "average": 0.99, "pose_clip": None}, DISTORT),
    "stawm-figure-ground": (DRAWS | {"epochs": 8, "batch": 32, "rate": 3e-3, "warm_up": 0.1, "average": 0.99}, {}),
    "slots-figure-ground": (
        DRAWS
        | {"epochs": 4, "batch": 32, "rate": 1e-3, "warm_up": 0.1, "average": 0.99, "clip": 1.0, "frozen_norm": 0.0},
        {},
    ),
    "stawm-photo": (
        {"batch": 32, "rate": 1e-3, "average": 0.99, "epochs": 30, "frozen_norm": 0.3},
        {"flip": True, "rotation": 10, "shift": 0.08, "scale": 0.15, "jitter": 0.2},
    ),
    "stawm-mnist-8": ({"epochs": 30, "frozen_norm": 0.3}, SLIGHT),
    "stawm-mnist-28": ({"epochs": 30, "frozen_norm": 0.3}, ELASTIC),
    "stawm-mnist-draw-4": (DRAWS, DISTORT),
    "stawm-mnist-draw-6": (DRAWS, DISTORT),
    "stawm-mnist-draw-8": (DRAWS, DISTORT),
    "stawm-mnist-selfsup": ({"epochs": 40, "rate": 0.02, "pose_clip": None}, DISTORT),
    "stawm-mnist-sketchpad": (DRAWS | {"rate": 1.5e-3, "label_smoothing": 0.05, "weight_decay": 0.02}, ELASTIC),
    "stawm-cifar-mnv2": ({"epochs": 100}, CROP),
    "mnv2-cifar": ({"epochs": 100, "pose_clip": None}, CROP),
    "stawm-cifar-draw-16": (DRAWS | {"batch": 32}, JITTER),
    "stawm-cifar-selfsup": ({"epochs": 40, "rate": 0.02, "pose_clip": None}, CROP),
    "bvae-cifar": (DRAWS | {"batch": 32}, JITTER),
    "bvae-cifar-selfsup": ({"epochs": 40, "rate": 0.02, "pose_clip": None}, CROP),
    "stawm-celeba-draw-32": (DRAWS, {"flip": True}),
    **{f"stawm-{task}": (SCENES | {"epochs": 24, "frozen_norm": 0.3}, {}) for task in SCENE_TASKS},
    "stawm-recall": (SCENES | {"epochs": 14, "average": 0.99, "frozen_norm": 0.3}, {}),
    **{
        name: (DRAWS | {"epochs": 40, "rate": 2e-3, "clip": 10.0, "frozen_norm": 0.0, "sample_evaluation": True}, {})
        for name in ("draw-mnist", "draw-mnist-no-attention")
    },
    "draw-cluttered-100": (SCENES | {"epochs": 24, "rate": 1e-3}, {}),
    "stn-cluttered-60": (SCENES | {"epochs": 12, "pose_clip": None, "frozen_norm": 0.3}, {}),
    **{f"ram-cnn-{task}": (SCENES | {"epochs": 5, "pose_clip": None}, {}) for task in SCENE_TASKS[:3]},
    **{f"cnn-{task}": (SCENES | {"epochs": 5, "pose_clip": None}, {}) for task in SCENE_TASKS},
}
RAM = {"rate": 1e-3, "warm_up": 0.1, "weight_decay": 0.01, "label_smoothing": 0.0}
RAM_SCENES = ("ram-translated-60", "ram-cluttered-60", "ram-cluttered-100")
RAM_SCENES += ("dram-pairs-100", "dram-soft-pairs-100", "edram-cluttered-100")
OURS |= {"ram-mnist": (RAM | {"epochs": 40}, {}), **{name: (RAM | {"epochs": 60}, {}) for name in RAM_SCENES}}
STABLE = {"memory.constrained": True, "memory.normalise": 0.9}
TRAINED: dict[str, dict[str, Any]] = {
    "stawm-mnist-8": {"dropout": 0.0, "pose_limit": 1.0},
    "stawm-mnist-28": {"dropout": 0.0, "pose_limit": 1.0},
    "stawm-mnist-sketchpad": {"dropout": 0.3},
    "stawm-cifar-draw-16": {"dropout": 0.0},
    "stawm-cifar-mnv2": {"pose_limit": 1.0},
    **{f"stawm-mnist-{name}": {} for name in ("draw-4", "draw-6", "draw-8", "selfsup")},
    **{f"stawm-{name}": {} for name in ("cifar-selfsup", "celeba-draw-32")},
}
"""In what the variants that our recipe trains differ, beside the bounded memory."""


@pytest.mark.parametrize("preset", OURS)
def test_our_recipes_are_as_written_down(preset: str):
    fields, augmentation = OURS[preset]
    augmented = {"name": "augmentation", **PLAIN, **augmentation}
    assert recipes.find("fast", preset).to_dict() == {**FAST, **fields, "augmentation": augmented}


SGD = {"optimiser": "sgd", "rate": 0.01}
PAPERS: dict[str, dict[str, Any]] = {
    "draw-mnist": {"epochs": 100, "clip": 10.0, "sample_evaluation": True},
    "draw-mnist-no-attention": {"epochs": 100, "clip": 10.0, "sample_evaluation": True},
    "draw-cluttered-100": {"epochs": 100, "clip": 10.0},
    "stn-cluttered-60": SGD | {"epochs": 640, "batch": 256, "milestones": (213, 427)},
    **{f"ram-cnn-{task}": SGD | {"epochs": 100, "batch": 20, "decay": 0.97} for task in SCENE_TASKS[:3]},
}


@pytest.mark.parametrize("preset", PAPERS)
def test_the_recipes_of_other_papers_are_as_written_down(preset: str):
    assert recipes.find("paper", preset) == Recipe(name="paper", **PAPERS[preset])


def test_the_common_recipes_are_as_written_down():
    augmented = {"augmentation": {"name": "augmentation", **PLAIN, **DISTORT}}
    assert recipes.find("fast", "my-own").to_dict() == FAST | augmented
    assert recipes.find("fast", "my-own", draws=True).to_dict() == FAST | DRAWS | augmented


def test_every_preset_has_our_recipe_and_ours_may_be_the_only_one():
    assert {*recipes.presets_with("fast")} == {*OURS} == {*stawm.list_names("preset")}
    with pytest.raises(ConfigError, match="does not train 'stawm-digits'"):
        recipes.find("paper", "stawm-digits")


@pytest.mark.parametrize("preset", ["ram-mnist", *RAM_SCENES])
def test_the_recipe_of_ram_is_its_papers(preset: str):
    found = recipes.find("paper", preset)
    assert (found.optimiser, found.batch, found.schedule, found.clip) == ("sgd", 20, "linear", None)
    assert [found.rate_factor(step, 10) for step in (0, 1000, 2000)] == [1, 0.5, 0]
    assert found.augmentation.to_dict() == {"name": "augmentation", **PLAIN}


def test_variants_are_the_models_that_our_recipe_trains():
    assert sorted(stawm.list_names("preset", "*.fast")) == sorted(f"{preset}.fast" for preset in TRAINED)
    for preset, changes in TRAINED.items():
        assert recipes.trained_preset("fast", preset) == f"{preset}.fast"
        assert stawm.config(f"{preset}.fast") == stawm.config(preset, name=f"{preset}.fast", **STABLE, **changes)
        assert recipes.find("fast", preset) == recipes.find("fast", f"{preset}.fast")


def test_batch_normalisation_is_frozen_for_a_share_of_the_steps_at_the_end():
    def frozen(share: float) -> list[bool]:
        recipe = Recipe(name="r", epochs=4, frozen_norm=share)
        return [recipe.freezes_norm(step, 5) for step in range(20)]

    assert frozen(0.25) == [False] * 15 + [True] * 5
    assert not any(frozen(0.0))
    assert all(frozen(1.0))


@given(st.integers(1, 30), st.integers(0, 6), st.sampled_from([(), (2,), (1, 3)]), st.sampled_from([1.0, 0.99, 0.5]))
def test_steps_follow_a_rate_that_is_changed_epoch_by_epoch(
    steps_per_epoch: int, epochs: int, milestones: tuple[int, ...], decay: float
):
    recipe = Recipe(name="r", epochs=10, decay=decay, milestones=milestones)
    rate = 1.0
    for epoch in range(epochs):
        rate *= 0.1 if epoch in milestones else 1.0
        for step in range(steps_per_epoch):
            factor = recipe.rate_factor(epoch * steps_per_epoch + step, steps_per_epoch)
            assert math.isclose(factor, rate, rel_tol=1e-12)
        rate *= decay


@given(st.floats(0.01, 0.99), st.floats(0, 1), st.floats(0, 1))
def test_one_cycle_rises_then_falls(warm_up: float, a: float, b: float):
    low, high = sorted((a, b))
    assert one_cycle(0, warm_up) == pytest.approx(1 / 25)
    assert one_cycle(warm_up, warm_up) == pytest.approx(1)
    assert one_cycle(1, warm_up) == pytest.approx(0, abs=1e-12)
    if high < warm_up:
        assert one_cycle(low, warm_up) <= one_cycle(high, warm_up) + 1e-12
    if low >= warm_up:
        assert one_cycle(low, warm_up) >= one_cycle(high, warm_up) - 1e-12


def test_changes_reach_inside_and_leave_the_rest():
    changed = recipes.find("paper", "stawm-mnist-8", epochs=3, rate=1, augmentation={"shift": 0.1})
    assert (changed.epochs, changed.rate, changed.augmentation.shift) == (3, 1.0, 0.1)
    assert changed.augmentation.rotation == 20
    assert changed.milestones == (50, 100, 150, 190, 195)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epoch": 3}, "'epochs'"),
        ({"epochs": 0}, "epochs"),
        ({"rate": -1.0}, "rate"),
        ({"augmentation": {"rotatoin": 3}}, "'rotation'"),
        ({"augmentation": {"rotation": 200}}, "rotation"),
        ({"optimiser": "lion"}, "'adam'"),
    ],
)
def test_an_illegal_change_is_named(changes: dict, words: str):
    with pytest.raises(ConfigError, match=words):
        recipes.find("fast", "stawm-mnist-8", **changes)


def test_an_unknown_recipe_is_named():
    with pytest.raises(ConfigError, match=r"'papr'.*'paper'"):
        recipes.find("papr", "stawm-mnist-8")


def test_recipes_survive_json():
    for name in OURS:
        plain = recipes.find("fast", name).to_dict()
        assert json.loads(json.dumps(plain)) == plain
