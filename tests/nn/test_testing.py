"""The conformance checks: right components pass all of them, and each wrong one is caught by name."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from stawm import registry
from stawm.configuration import Config as BaseConfig
from stawm.nn.backbones.base import Backbone
from stawm.nn.canvases.base import Canvas
from stawm.nn.locators.affine import Affine
from stawm.nn.memories.base import Memory
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
    } <= {*MEMORIES}
    assert {"addition", "bernoulli"} <= {*CANVASES}
    assert {"affine", "crop", "filterbank"} <= {*LOCATORS}
    assert (len(MEMORY_CHECKS), len(CANVAS_CHECKS), len(LOCATOR_CHECKS), len(BACKBONE_CHECKS)) == (12, 7, 7, 5)


@pytest.mark.parametrize("name", MEMORIES)
def test_our_memories_pass(name: str) -> None:
    assert check_memory(registry.find("memory", name).load()) == ["config", *MEMORY_CHECKS]


@pytest.mark.parametrize(
    "changes", [{"form": "dense"}, {"orientation": "appendix"}, {"constrained": True, "normalise": 0.9}]
)
def test_the_settings_of_hebb_rosenblatt_pass(changes: dict[str, Any]) -> None:
    cls = registry.find("memory", "hebb-rosenblatt").load()
    assert check_memory(cls, config=cls.Config(**changes))


@pytest.mark.parametrize("name", CANVASES)
def test_our_canvases_pass(name: str) -> None:
    assert check_canvas(registry.find("canvas", name).load()) == ["config", *CANVAS_CHECKS]


@pytest.mark.parametrize("name", LOCATORS)
def test_our_locators_pass(name: str) -> None:
    assert check_locator(registry.find("locator", name).load()) == ["config", *LOCATOR_CHECKS]


@pytest.mark.parametrize("name", ["conv", "timm:resnet18"])
def test_our_backbones_pass(name: str) -> None:
    cls = registry.find("backbone", name).load()
    assert check_backbone(cls, config=cls.Config(name=name)) == ["config", *BACKBONE_CHECKS]


class State(NamedTuple):
    """The sum of what was written."""

    S: Tensor


class Sum(Memory[State]):
    """A right memory: keeps a decaying sum, and multiplies a query by it."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Nothing to set."""

        name: str = "sum"

    decay = 0.5

    def __init__(self, config: BaseConfig | None = None, *, memory_size: int) -> None:
        super().__init__(config or self.Config(), memory_size=memory_size)
        self.gain = nn.Parameter(torch.ones(()))

    def init_state(
        self, batch: int, *, slots: int = 0, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> State:
        return State(torch.zeros(batch, self.memory_size, device=device, dtype=dtype))

    def write(self, state: State, e: Tensor) -> State:
        return State(self.decay * state.S + self.gain * e)

    def read(self, state: State, q: Tensor) -> Tensor:
        return state.S * q

    def matrix(self, state: State) -> Tensor:
        return torch.diag_embed(state.S)


def test_a_right_stranger_passes() -> None:
    assert check_memory(Sum) == ["config", *MEMORY_CHECKS]


class KeepsStateOnSelf(Sum):
    def write(self, state: State, e: Tensor) -> State:
        self.last = e
        return super().write(state, e)


class LeaksBetweenSamples(Sum):
    def write(self, state: State, e: Tensor) -> State:
        return super().write(state, e + 0.01 * e.mean(dim=0, keepdim=True))


class Explodes(Sum):
    decay = 1.3


class WritesInPlace(Sum):
    def write(self, state: State, e: Tensor) -> State:
        state.S.mul_(self.decay).add_(self.gain.detach() * e.detach())
        return State(state.S.clone())


class UnrollsSomethingElse(Sum):
    def unroll(self, E: Tensor, Q: Tensor, reads: Any, state: State | None = None) -> tuple[Tensor, State]:
        Y, after = super().unroll(E, Q, reads, state)
        return Y * 1.001, after


class ForgetsTheState(Sum):
    def unroll(self, E: Tensor, Q: Tensor, reads: Any, state: State | None = None) -> tuple[Tensor, State]:
        return super().unroll(E, Q, reads, None)


class FeelsEmptySlots(Sum):
    def init_state(
        self, batch: int, *, slots: int = 0, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> State:
        return State(super().init_state(batch, device=device, dtype=dtype).S + slots)


class ShowsAnotherMatrix(Sum):
    def matrix(self, state: State) -> Tensor:
        return 2 * super().matrix(state)


class WidensTheType(Sum):
    def read(self, state: State, q: Tensor) -> Tensor:
        return super().read(state, q).double()


class HasAnIdleParameter(Sum):
    def __init__(self, config: BaseConfig | None = None, *, memory_size: int) -> None:
        super().__init__(config, memory_size=memory_size)
        self.idle = nn.Parameter(torch.ones(3))


class RollsDice(Sum):
    def read(self, state: State, q: Tensor) -> Tensor:
        return super().read(state, q) * (1 + 1e-6 * torch.rand(()))


class HandsOutAList(Sum):
    def init_state(self, *args: Any, **kwargs: Any) -> Any:
        return list(super().init_state(*args, **kwargs))

    def write(self, state: Any, e: Tensor) -> Any:
        return list(super().write(State(*state), e))

    def read(self, state: Any, q: Tensor) -> Tensor:
        return super().read(State(*state), q)


@pytest.mark.parametrize(
    ("cls", "check"),
    [
        (KeepsStateOnSelf, "nothing_on_self"),
        (LeaksBetweenSamples, "samples_are_apart"),
        (Explodes, "does_not_explode"),
        (WritesInPlace, "states_are_values"),
        (UnrollsSomethingElse, "unroll_is_the_loop"),
        (ForgetsTheState, "splits_anywhere"),
        (FeelsEmptySlots, "empty_slots_change_nothing"),
        (ShowsAnotherMatrix, "matrix_is_the_read"),
        (WidensTheType, "keeps_type"),
        (HasAnIdleParameter, "learns"),
        (RollsDice, "repeats"),
        (HandsOutAList, "state_is_explicit"),
    ],
)
def test_a_wrong_memory_is_caught_by_name(cls: type, check: str) -> None:
    with pytest.raises(ContractError, match=cls.__name__) as caught:
        check_memory(cls)
    assert check in caught.value.broken


def test_every_memory_check_catches_something() -> None:
    (mark,) = test_a_wrong_memory_is_caught_by_name.pytestmark
    assert {check for _, check in mark.args[1]} == set(MEMORY_CHECKS)


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
