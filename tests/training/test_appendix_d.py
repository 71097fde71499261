"""The paper's recipes, whole: what the paper's Appendix D says, and nothing that is our own."""

from typing import Any

import pytest

from stawm.training import recipes

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
    "pose_clip": None,
    "label_smoothing": 0.0,
    "frozen_norm": 0.0,
    "average": 0.0,
    "frozen_passes": 0,
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
    "mnv2-cifar": COLOUR,
}


@pytest.mark.parametrize("preset", APPENDIX_D)
def test_the_papers_recipe_is_appendix_d_field_by_field(preset: str):
    recipe = recipes.find("paper", preset)
    found = {key: getattr(recipe, key) for key in recipe.to_dict()} | {"augmentation": recipe.augmentation.to_dict()}
    assert not found.pop("model", None)
    assert not found.pop("memory", None)
    assert found == {**SAME, **APPENDIX_D[preset]}
