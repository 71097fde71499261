"""Our heads keep the contract, and each way of breaking it is caught by name."""

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from stawm import registry
from stawm.configuration import Config as BaseConfig
from stawm.errors import InputError
from stawm.heads.base import Head, Query
from stawm.nn.testing import HEAD_CHECKS, ContractError, check_head


@pytest.mark.parametrize("name", sorted(registry.entries("head")))
def test_our_heads_pass(name: str):
    assert check_head(registry.find("head", name).load(), seeds=(0, 1), export=False) == ["config", *HEAD_CHECKS]


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(registry.entries("head")))
def test_our_heads_are_exported(name: str):
    assert check_head(registry.find("head", name).load(), seeds=(0,))[-1] == "exports"


def test_our_heads_pass_in_other_settings():
    regression = registry.find("head", "regression").load()
    fields = {"values": 3, "mean": (100.0,), "std": (1.0, 2.0, 3.0), "loss": "smooth-l1", "names": ("a", "b", "c")}
    assert check_head(regression, config=regression.Config(**fields), export=False)


class Right(Head):
    """A score of each read and their mean, learned from one value."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        name: str = "right"

    fields: ClassVar = {"scores": "b n", "score": "b k"}
    targets = "values"

    def __init__(self, config: Config | None = None, *, context_features: int, memory_size: int) -> None:
        super().__init__()
        self.config = config or self.Config()
        self.query = Query(context_features, memory_size)
        self.linear = nn.Linear(memory_size, 1)

    def reads(self, glimpses: int, *, every: bool = False) -> Any:
        return range(1, glimpses + 1)

    def observe(self, answers: Tensor, scene: Any) -> Any:
        found = self.linear(answers).float() if answers.dtype == torch.float32 else self.linear(answers)
        return {"scores": found[..., 0]}, {"kept": found}

    def conclude(self, carried: Any) -> Any:
        return {"score": carried["kept"].mean(dim=1)}

    def carries(self, noise: Any) -> Any:
        return {"kept": (1,)}

    def losses(self, output: Any, images: Any, targets: Any) -> Any:
        if targets is None:
            raise InputError("no targets")
        return {"right": (output.score - targets).square().mean()}

    def measure(self, output: Any, targets: Any) -> Any:
        return {"squared": (output.score - targets).square().sum()}

    def figures(self, sums: Any, count: int) -> Any:
        return {"mse": sums["squared"].item() / count}


def test_a_right_head_passes():
    assert check_head(Right, export=False)


class ReadsTwice(Right):
    def reads(self, glimpses: int, *, every: bool = False) -> Any:
        return [glimpses, glimpses]


class Wavers(Right):
    def reads(self, glimpses: int, *, every: bool = False) -> Any:
        return range(1, glimpses + 1) if glimpses == 3 else (glimpses,)


class Undeclared(Right):
    fields: ClassVar = {"score": "b k"}


class OtherAxes(Right):
    fields: ClassVar = {"scores": "b n k", "score": "b k"}


class Reserved(Right):
    fields: ClassVar = {"pose": "b n", "scores": "b n", "score": "b k"}


class Mixes(Right):
    def observe(self, answers: Tensor, scene: Any) -> Any:
        return super().observe(answers - answers.mean(dim=1, keepdim=True), scene)


class Forgets(Right):
    def carries(self, noise: Any) -> Any:
        return {}


class Leaks(Right):
    def conclude(self, carried: Any) -> Any:
        return {"score": carried["kept"].mean(dim=1) + carried["kept"].mean()}


class Remembers(Right):
    calls = 0

    def conclude(self, carried: Any) -> Any:
        self.calls += 1
        return super().conclude(carried)


class Unused(Right):
    def __init__(self, config: Any = None, **sizes: Any) -> None:
        super().__init__(config, **sizes)
        self.other = nn.Linear(2, 2)


class Vector(Right):
    def losses(self, output: Any, images: Any, targets: Any) -> Any:
        super().losses(output, images, targets)
        return {"right": (output.score - targets).square()[:, 0]}


class Careless(Right):
    def losses(self, output: Any, images: Any, targets: Any) -> Any:
        return {"right": output.score.square().mean()}


class Averages(Right):
    def measure(self, output: Any, targets: Any) -> Any:
        return {"squared": (output.score - targets).square().mean()}


class NoNumber(Right):
    def figures(self, sums: Any, count: int) -> Any:
        return {"mse": float("nan")}


class Halves(Right):
    def observe(self, answers: Tensor, scene: Any) -> Any:
        found = self.linear(answers)
        return {"scores": found[..., 0]}, {"kept": found}


@pytest.mark.parametrize(
    ("cls", "check"),
    [
        (ReadsTwice, "reads_are_writes"),
        (Wavers, "reads_alike_at_any_length"),
        (Undeclared, "fields_are_declared"),
        (OtherAxes, "fields_are_declared"),
        (Reserved, "fields_are_declared"),
        (Mixes, "reads_are_apart"),
        (Forgets, "carries_what_it_says"),
        (Leaks, "samples_are_apart"),
        (Remembers, "nothing_on_self"),
        (Unused, "learns"),
        (Vector, "learns"),
        (Careless, "asks_for_its_targets"),
        (Averages, "measures_add_up"),
        (NoNumber, "measures_add_up"),
        (Halves, "keeps_type"),
    ],
)
def test_a_wrong_head_is_caught(cls: type, check: str):
    with pytest.raises(ContractError) as caught:
        check_head(cls, seeds=(0,), export=False)
    assert check in caught.value.broken
