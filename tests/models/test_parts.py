"""Any parts together: every two of a memory, a canvas, a locator, a backbone and heads meet in some model."""

from typing import Any

import pytest
import torch
from torch import Tensor

from stawm import registry
from tests.pairwise import cover
from tests.small import inputs, shaken, tensors, tiny

LAYERS = {"name": "conv", "layers": "3@3/1 4@3/2"}
CHOICES: dict[str, Any] = {
    "memory": registry.list_names("memory", origin="stawm"),
    "canvas": registry.list_names("canvas", origin="stawm"),
    "locator": registry.list_names("locator", origin="stawm"),
    "backbone": [LAYERS, "timm:test_efficientnet", "timm:test_vit"],
    "heads": ["classification", "drawing", ("classification", "drawing")],
}
SIZES: dict[str, Any] = {"image": (1, 14, 18), "glimpse_size": 8, "glimpses": 3, "memory_size": 16}
MODELS = cover(**CHOICES)


def label(made: dict[str, Any]) -> str:
    return " ".join(str(part["name"] if isinstance(part, dict) else part) for part in made.values())


def shapes(model: Any, made: dict[str, Any], b: int) -> dict[str, tuple[int, ...]]:
    """What every output of a model has to look like."""
    (c, h, w), g, n, m = SIZES["image"], SIZES["glimpse_size"], SIZES["glimpses"], SIZES["memory_size"]
    p = model.locator.pose_size
    found: dict[str, tuple[int, ...]] = {"pose": (b, n, p), "glimpses": (b, n, c, g, g), "memory_input": (b, n, m)}
    if "classification" in made["heads"]:
        found |= {"logits": (b, 10), "glimpse_logits": (b, n, 10)}
    if "drawing" in made["heads"]:
        found |= {"canvas": (b, c, h, w), "canvases": (b, n, c, h, w), "inverse_pose": (b, n, p)}
        found |= {"mu": (b, n, 4), "logvar": (b, n, 4)}
        found |= {"sketches": (b, n, c + (made["canvas"] == "bernoulli"), g, g)}
        found |= {"masks": (b, n, 1, h, w)} if made["canvas"] == "bernoulli" else {}
    return found


def assert_depends_on_the_image(found: dict[str, Tensor]) -> None:
    for name, value in found.items():
        assert value.isfinite().all(), name
        assert not torch.equal(value[0], value[1]), f"{name} is the same for two images"


def assert_all_learn(model: Any) -> None:
    """Every weight that learns gets a gradient from the loss, and no weight has one that is not finite."""
    images, labels = inputs(model, batch=4)
    model.loss(model(images), images, labels)["total"].backward()
    learning = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    assert not {name for name, gradient in learning.items() if gradient is None or not gradient.any()}
    assert all(gradient.isfinite().all() for gradient in learning.values())


def test_every_model_is_another_one_and_they_are_few() -> None:
    assert (
        len({label(made) for made in MODELS}) == len(MODELS) <= 9 / 8 * len(CHOICES["memory"]) * len(CHOICES["locator"])
    )


@pytest.mark.parametrize("made", MODELS, ids=label)
def test_any_parts_together_see_the_image_and_learn(made: dict[str, Any]) -> None:
    model = shaken(tiny(**SIZES, **made)).double()
    found = tensors(model.eval()(inputs(model)[0], glimpse_logits="classification" in made["heads"]))
    assert {name: tuple(value.shape) for name, value in found.items()} == shapes(model, made, 2)
    assert_depends_on_the_image(found)
    assert_all_learn(model.train())
