"""The paper's recipes, whole: what its Appendix D says, and what the authors' code did when it was run in 2018."""

from typing import Any

import pytest

import stawm
from stawm.training import recipes
from tests.small import OURS, PEERS

SAME: dict[str, Any] = {
    "name": "paper",
    "batch": 128,
    "optimiser": "adam",
    "rate": 1e-3,
    "schedule": "steps",
    "decay": 1.0,
    "milestones": (),
    "warm_up": 0.2,
    "weight_decay": 0.0,
    "clip": 5.0,
    "clip_by": "value",
    "pose_clip": None,
    "label_smoothing": 0.0,
    "frozen_norm": 0.0,
    "frozen_passes": 0,
    "average": 0.0,
    "decay_all": False,
    "sample_evaluation": False,
    "samples": 1,
}
"""What all of them share; a field that is not named here or below is not of the paper."""
PLAIN: dict[str, Any] = {
    "name": "augmentation",
    "rotation": 0.0,
    "shift": 0.0,
    "scale": 0.0,
    "shear": 0.0,
    "crop": 0,
    "flip": False,
    "elastic": 0.0,
    "jitter": 0.0,
    "hue": 0.0,
    "resampling": "bilinear",
}
TURNED, CUT = PLAIN | {"rotation": 20.0}, PLAIN | {"crop": 4, "flip": True}
JITTERED = CUT | {"jitter": 0.25}
DIGITS = {"epochs": 100, "decay": 0.99, "augmentation": TURNED}
CLASSES = DIGITS | {"epochs": 200, "milestones": (50, 100, 150, 190, 195)}
COLOUR = {"epochs": 300, "decay": 0.99, "milestones": (150, 250), "augmentation": CUT}
PHOTOGRAPHS = {"epochs": 100, "rate": 1e-4, "milestones": (50, 90), "augmentation": JITTERED}
APPENDIX_D: dict[str, dict[str, Any]] = {
    "stawm-mnist-8": CLASSES,
    "stawm-mnist-28": CLASSES,
    "stawm-mnist-draw-4": DIGITS,
    "stawm-mnist-draw-6": DIGITS,
    "stawm-mnist-draw-8": DIGITS,
    "stawm-mnist-selfsup": DIGITS,
    "stawm-mnist-sketchpad": DIGITS | {"epochs": 20},
    "stawm-cifar-mnv2": COLOUR,
    "stawm-cifar-draw-16": PHOTOGRAPHS,
    "stawm-cifar-selfsup": {"epochs": 50, "milestones": (25, 40, 45), "augmentation": CUT},
    "stawm-celeba-draw-32": {"epochs": 100, "rate": 1e-4, "augmentation": PLAIN},
    "bvae-cifar": PHOTOGRAPHS | {"rate": 5e-4},
    "bvae-cifar-selfsup": {"epochs": 50, "milestones": (25, 40, 45), "augmentation": CUT},
    "mnv2-cifar": COLOUR,
}


@pytest.mark.parametrize("preset", APPENDIX_D)
def test_the_papers_recipe_is_appendix_d_field_by_field(preset: str):
    recipe = recipes.find("paper", preset)
    found = {key: getattr(recipe, key) for key in recipe.to_dict()} | {"augmentation": recipe.augmentation.to_dict()}
    assert not found.pop("model", None)
    assert not found.pop("memory", None)
    assert found == {**SAME, **APPENDIX_D[preset]}


RAN = SAME | {"name": "authors", "clip": None, "clip_by": "norm"}
"""What the authors' runs share: gradients were clipped in the first step alone."""
NEAREST = TURNED | {"resampling": "nearest"}
COLOURS = PLAIN | {"flip": True, "jitter": 0.25, "hue": 0.25}
RAN_DIGITS = {"epochs": 100, "decay": 0.99, "augmentation": NEAREST}
RAN_DRAWING = RAN_DIGITS | {"sample_evaluation": True}
RAN_PHOTOGRAPHS = {"epochs": 100, "rate": 1e-4, "milestones": (50, 90), "augmentation": COLOURS}
AUTHORS: dict[str, dict[str, Any]] = {
    "stawm-mnist-8": RAN_DIGITS | {"epochs": 200},
    "stawm-mnist-28": RAN_DIGITS | {"epochs": 200},
    "stawm-mnist-draw-4": RAN_DRAWING,
    "stawm-mnist-draw-6": RAN_DRAWING,
    "stawm-mnist-draw-8": RAN_DRAWING,
    "stawm-mnist-selfsup": RAN_DIGITS,
    "stawm-mnist-sketchpad": RAN_DRAWING | {"epochs": 20},
    "stawm-cifar-mnv2": {
        "epochs": 350,
        "optimiser": "sgd",
        "weight_decay": 5e-4,
        "decay_all": True,
        "milestones": (150, 250),
        "augmentation": CUT,
    },
    "stawm-cifar-draw-16": RAN_PHOTOGRAPHS,
    "stawm-cifar-selfsup": {"epochs": 50, "milestones": (25, 40, 45), "augmentation": COLOURS},
    "stawm-celeba-draw-32": {"epochs": 100, "rate": 1e-4, "augmentation": PLAIN},
    "bvae-cifar": RAN_PHOTOGRAPHS | {"rate": 5e-4},
    "bvae-cifar-selfsup": {"epochs": 50, "milestones": (25, 40, 45), "augmentation": COLOURS},
}
WRITTEN: dict[str, dict[str, Any]] = {
    "stawm-mnist-28": {"glimpses": 8},
    "stawm-mnist-selfsup": {"frozen_loop": "training"},
    "stawm-cifar-mnv2": {"backbone": "mobilenetv2-cifar"},
    "stawm-cifar-draw-16": {"backbone.init": "authors"},
    "stawm-cifar-selfsup": {"backbone.init": "authors", "frozen_loop": "training"},
    "stawm-celeba-draw-32": {"dropout": 0.5, "context.init": "pytorch", "backbone.init": "pytorch"},
    "bvae-cifar": {"backbone.init": "authors"},
    "bvae-cifar-selfsup": {"backbone.init": "authors"},
}
"""In what the models of the authors' code differ from the paper's."""


@pytest.mark.parametrize("preset", AUTHORS)
def test_the_authors_recipe_is_what_their_code_did_field_by_field(preset: str):
    recipe = recipes.find("authors", preset)
    found = {key: getattr(recipe, key) for key in recipe.to_dict()} | {"augmentation": recipe.augmentation.to_dict()}
    assert found == {**RAN, **AUTHORS[preset]}


def test_the_models_of_the_authors_are_variants():
    assert sorted(stawm.list_names("preset", "*.authors")) == sorted(f"{preset}.authors" for preset in WRITTEN)
    for preset in AUTHORS:
        changes, name = WRITTEN.get(preset), recipes.trained_preset("authors", preset)
        assert name == (preset if changes is None else f"{preset}.authors")
        assert stawm.config(name) == stawm.config(preset, name=name, **(changes or {}))


def test_every_preset_has_the_recipes_that_there_are():
    assert {*recipes.presets_with("paper")} - PEERS == {*APPENDIX_D} == {*stawm.list_names("preset")} - OURS
    assert {*recipes.presets_with("authors")} == {*AUTHORS} == {*APPENDIX_D} - {"mnv2-cifar"}
