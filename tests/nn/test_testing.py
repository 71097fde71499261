"""The conformance checks: right components pass all of them, and each wrong one is caught by name."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stawm import registry
from stawm.configuration import Config as BaseConfig
from stawm.nn.backbones.base import Backbone
from stawm.nn.canvases.base import Canvas
from stawm.nn.locators.affine import Affine
from stawm.nn.testing import (
    BACKBONE_CHECKS,
    CANVAS_CHECKS,
    LOCATOR_CHECKS,
    MEMORY_CHECKS,
    ContractError,
    check_backbone,
    check_canvas,
    check_locator,
    check_memory,
)

MEMORIES = sorted(registry.entries("memory"))
CANVASES = sorted(registry.entries("canvas"))
LOCATORS = sorted(registry.entries("locator"))


def test_the_listings_are_complete() -> None:
    assert {
        "hebb-rosenblatt",
        "fast-weights",
        "delta",
        "gated-delta",
        "oja",
        "plasticity",
        "backpropamine",
        "hopfield",
        "mean",
        "recurrent",
    } <= {*MEMORIES}
    assert {"addition", "bernoulli"} <= {*CANVASES}
    assert {"affine", "crop", "filterbank"} <= {*LOCATORS}
    assert (len(MEMORY_CHECKS), len(CANVAS_CHECKS), len(LOCATOR_CHECKS), len(BACKBONE_CHECKS)) == (18, 7, 10, 5)


@pytest.mark.parametrize("name", MEMORIES)
def test_our_memories_pass(name: str) -> None:
    assert check_memory(registry.find("memory", name).load(), export=False) == ["config", *MEMORY_CHECKS]


@pytest.mark.parametrize(
    "changes", [{"form": "dense"}, {"orientation": "appendix"}, {"constrained": True, "normalise": 0.9}]
)
def test_the_settings_of_hebb_rosenblatt_pass(changes: dict[str, Any]) -> None:
    cls = registry.find("memory", "hebb-rosenblatt").load()
    assert check_memory(cls, config=cls.Config(**changes), export=False)


@pytest.mark.parametrize("name", CANVASES)
def test_our_canvases_pass(name: str) -> None:
    assert check_canvas(registry.find("canvas", name).load(), export=False) == ["config", *CANVAS_CHECKS]


@pytest.mark.parametrize("name", LOCATORS)
def test_our_locators_pass(name: str) -> None:
    assert check_locator(registry.find("locator", name).load(), export=False) == ["config", *LOCATOR_CHECKS]


@pytest.mark.parametrize("name", ["conv", "spatial-softmax", "timm:resnet18"])
def test_our_backbones_pass(name: str) -> None:
    cls = registry.find("backbone", name).load()
    assert check_backbone(cls, config=cls.Config(name=name), export=False) == ["config", *BACKBONE_CHECKS]


@pytest.mark.parametrize(
    ("kind", "name", "check"),
    [("canvas", "bernoulli", check_canvas), ("locator", "crop", check_locator), ("backbone", "conv", check_backbone)],
)
def test_each_kind_is_exported_in_its_place(kind: str, name: str, check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cls, seen = registry.find(kind, name).load(), []

    def noted(model: Any, graph: str) -> str:
        seen.append((graph, any(type(module) is cls for module in model.modules())))
        images = torch.rand(2, *model.config.image)
        assert model.eval()(images).logits.shape == (2, 10)
        return ""

    monkeypatch.setattr("stawm.nn.testing.export.export_fault", noted)
    assert check(cls, seeds=(0,))[-1] == "exports"
    assert seen == [("rollout", True), ("step", True)]


def test_a_class_without_a_configuration_is_caught() -> None:
    with pytest.raises(ContractError, match="no Config") as caught:
        check_memory(nn.Linear)
    assert set(caught.value.broken) == {"config"}


class Plain(Canvas):
    """A wrong canvas in several ways."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Nothing to set."""

        name: str = "plain"

    def __init__(self, config: BaseConfig | None = None, *, channels: int) -> None:
        super().__init__(config or self.Config(), channels=channels)
        self.sketch_channels = channels

    def activate(self, sketch: Tensor) -> Tensor:
        return sketch

    def unroll(self, sketches: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        return sketches.flip(1).cumsum(dim=1), None


def test_a_wrong_canvas_is_caught() -> None:
    with pytest.raises(ContractError) as caught:
        check_canvas(Plain)
    assert {"pixels_are_pixels", "later_sketches_come_later"} <= set(caught.value.broken)


class Elsewhere(Affine):
    """A wrong locator: starts somewhere else, and adds a constant."""

    def identity_pose(self) -> Tensor:
        return super().identity_pose() + torch.tensor([0.0, 0, 3, 0, 0, 3])

    def glimpse(self, image: Tensor, pose: Tensor) -> Tensor:
        return super().glimpse(image, pose) + 1


def test_a_wrong_locator_is_caught() -> None:
    with pytest.raises(ContractError) as caught:
        check_locator(Elsewhere)
    assert {"identity_sees_everything", "is_linear_in_the_image"} <= set(caught.value.broken)


class Mixes(Backbone):
    """A wrong backbone: misreports its width, and normalises over the batch."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Nothing to set."""

        name: str = "mixes"

    features = 7

    def __init__(self, config: BaseConfig | None = None, *, channels: int, size: tuple[int, int]) -> None:
        super().__init__(config or self.Config(), channels=channels, size=size)

    def forward(self, images: Tensor) -> Tensor:
        flat = images.flatten(1)
        return flat - flat.mean(dim=0)


def test_a_wrong_backbone_is_caught() -> None:
    with pytest.raises(ContractError) as caught:
        check_backbone(Mixes)
    assert {"reports_its_width", "samples_are_apart"} <= set(caught.value.broken)
