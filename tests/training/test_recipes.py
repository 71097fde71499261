"""Recipes: the paper's are its Appendix D, and schedules are what they say."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stawm
from stawm.errors import ConfigError
from stawm.training import recipes
from stawm.training.recipes import Recipe, one_cycle

STEPS = (50, 100, 150, 190, 195)
APPENDIX_D = {
    # preset: epochs, rate, decay, milestones, rotation, crop, jitter
    "stawm-mnist-8": (200, 1e-3, 0.99, STEPS, 20, 0, 0),
    "stawm-mnist-28": (200, 1e-3, 0.99, STEPS, 20, 0, 0),
    "stawm-mnist-draw-4": (100, 1e-3, 0.99, (), 20, 0, 0),
    "stawm-mnist-draw-6": (100, 1e-3, 0.99, (), 20, 0, 0),
    "stawm-mnist-draw-8": (100, 1e-3, 0.99, (), 20, 0, 0),
    "stawm-mnist-selfsup": (100, 1e-3, 0.99, (), 20, 0, 0),
    "stawm-mnist-sketchpad": (20, 1e-3, 0.99, (), 20, 0, 0),
    "stawm-cifar-mnv2": (300, 1e-3, 0.99, (150, 250), 0, 4, 0),
    "stawm-cifar-draw-16": (100, 1e-4, 1.0, (50, 90), 0, 4, 0.25),
    "stawm-cifar-selfsup": (50, 1e-3, 1.0, (25, 40, 45), 0, 4, 0),
    "bvae-cifar": (100, 5e-4, 1.0, (50, 90), 0, 4, 0.25),
    "stawm-celeba-draw-32": (100, 1e-4, 1.0, (), 0, 0, 0),
}


@pytest.mark.parametrize("preset", APPENDIX_D)
def test_the_paper_recipe_is_appendix_d(preset: str):
    recipe = recipes.find("paper", preset)
    augmentation = recipe.augmentation
    found = (recipe.epochs, recipe.rate, recipe.decay, recipe.milestones)
    assert (*found, augmentation.rotation, augmentation.crop, augmentation.jitter) == APPENDIX_D[preset]
    assert (recipe.optimiser, recipe.batch, recipe.clip, recipe.schedule) == ("adam", 128, 5, "steps")
    assert augmentation.flip == (augmentation.crop > 0)
    assert (recipe.weight_decay, recipe.label_smoothing, recipe.average, recipe.memory) == (0, 0, 0, {})


def test_every_preset_has_a_recipe_of_both_kinds_or_says_why_not():
    ours = {"stawm-digits"}
    assert set(recipes.PAPER) == set(stawm.list_names("preset")) - ours
    assert set(recipes.FAST) <= set(stawm.list_names("preset"))
    for preset in stawm.list_names("preset"):
        assert recipes.find("fast", preset).name == "fast"
    with pytest.raises(ConfigError, match="does not train 'stawm-digits'"):
        recipes.find("paper", "stawm-digits")


def test_batch_normalisation_is_frozen_for_a_share_of_the_steps_at_the_end():
    def frozen(share: float) -> list[bool]:
        recipe = Recipe(name="r", epochs=4, frozen_norm=share)
        return [recipe.freezes_norm(step, 5) for step in range(20)]

    assert frozen(0.25) == [False] * 15 + [True] * 5
    assert not any(frozen(0.0))
    assert all(frozen(1.0))


def test_the_recipe_of_a_model_that_draws_smooths_no_labels():
    assert recipes.find("fast", "my-own", draws=True).label_smoothing == 0
    assert recipes.find("fast", "my-own").label_smoothing > 0


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
    assert changed.milestones == STEPS


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
    for recipe in (*recipes.PAPER.values(), *recipes.FAST.values()):
        plain = recipe.to_dict()
        assert json.loads(json.dumps(plain)) == plain
