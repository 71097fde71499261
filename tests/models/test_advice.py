"""What `stawm.diagnose` advises, on both sides of every threshold."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import stawm
from stawm.models.diagnosis import Diagnosis
from tests.small import shaken

WORDS = {
    "finite": "The memory is not finite: go back",
    "rates": "The rates left their legal range",
    "writes": "are no contractions",
    "gradient": "The gradient through the memory may grow",
    "saturated": "are saturated and pass no gradient",
    "silent": "are zero: the memory hardly writes",
    "half": "and fp16 ends at 65504: keep reads in float32",
}
"""By each measure, the words of its advice."""


def model_of(ones: int, size: int = 8, query: float = 0.0, **rates: float) -> Any:
    """A model whose memory is given the same e at each glimpse: so many ones, the rest zeros."""
    free = {"constrained": False, "normalise": None}
    plain: dict[str, Any] = {"mean": [0.0], "std": [1.0], "glimpses": 4, "hidden_size": 8}
    model: Any = stawm.build("stawm-digits", seed=0, memory_size=size, memory=free, **plain).double()
    asked = model.heads["classification"].query.linear
    with torch.no_grad():
        for layer, bias in ((model.loop.what, 1.0), (model.loop.where, 1.0), (asked, query)):
            layer.weight.zero_()
            layer.bias.fill_(bias)
        model.loop.what.bias[ones:] = 0.0
        for name, rate in rates.items():
            getattr(model.memory, name).fill_(rate)
    return model


def images(count: int = 3) -> Tensor:
    return torch.rand(count, 1, 16, 16, dtype=torch.float64)


def advised(report: Diagnosis) -> set[str]:
    return {measure for measure, words in WORDS.items() if any(words in line for line in report.advice)}


STEEP = {"theta": 12.0, "eta": 0.01}
"""Every response to a one is at ReLU6's bound, and η|e|² is far below δ."""


@pytest.mark.parametrize(
    ("ones", "more", "expected"),
    [
        (2, {}, {"writes"}),
        (2, {"eta": 0.099}, set()),
        (2, {"delta": 0.25, "eta": 0.125}, {"writes"}),  # η|e|² = δ brings nothing nearer
        (1, {"eta": 4.7}, {"writes"}),  # (1 - δ + η)⁴ = 915
        (1, {"eta": 5.0}, {"writes", "gradient"}),  # 1131
        (4, STEEP, set()),
        (5, STEEP, {"saturated"}),
        (5, STEEP | {"theta": 5.0}, set()),
        (2, {"size": 16, "eta": 0.05}, set()),
        (1, {"size": 16, "eta": 0.05}, {"silent"}),  # 15 of 16 responses
        (0, {}, {"silent"}),
        (2, {"theta": 0.0, "eta": 0.05}, {"silent"}),
        (1, {"theta": 12.0, "eta": 1800.0, "query": 1.0}, {"writes", "gradient"}),  # reads reach η·6·(1 - 0.8⁴)/0.2
        (1, {"theta": 12.0, "eta": 1900.0, "query": 1.0}, {"writes", "gradient", "half"}),
        (2, {"delta": 1.0, "eta": 0.05}, set()),
        (2, {"delta": 1.001, "eta": 0.05}, {"rates"}),
        (2, {"delta": 0.0, "eta": 0.05}, {"rates", "writes"}),
        (2, {"eta": -0.01}, {"rates"}),
        (2, {"theta": -0.01, "eta": 0.05}, {"rates", "silent"}),
        (2, {"eta": math.nan}, {"finite", "rates", "writes"}),
        (1, {"theta": 12.0, "eta": 1e153}, {"finite", "writes", "gradient"}),  # only from the third write on
        (2, {"eta": math.inf}, {"finite", "writes", "gradient"}),
    ],
)
def test_advice_follows_from_what_was_measured(ones: int, more: dict[str, Any], expected: set[str]) -> None:
    report = stawm.diagnose(model_of(ones, **more), images())
    assert advised(report) == expected, report
    assert len(report.advice) == len(expected), "all advice is known here"
    assert report.healthy == (not expected)


def test_advice_names_the_numbers_it_follows_from() -> None:
    written, gradient = stawm.diagnose(model_of(1, eta=5.0), images()).advice
    assert "Up to 100% of a glimpse's writes" in written
    assert "(η|e|² reaches 5, δ is 0.2)" in written
    assert "may grow 1.1e+03 times" in gradient
    (saturated,) = stawm.diagnose(model_of(5, **STEEP), images()).advice
    assert saturated.startswith("62% of the last responses")
    (rates,) = stawm.diagnose(model_of(2, eta=-0.01), images()).advice
    assert "got δ 0.2, η -0.01, θ 0.5" in rates


def test_the_worst_glimpse_decides_on_the_writes() -> None:
    """Of a model that sees something else each time, with an η by which half of its writes are contractions."""
    free = {"constrained": False, "normalise": None}
    plain: dict[str, Any] = {"mean": [0.0], "std": [1.0], "hidden_size": 8, "memory_size": 8, "memory": free}
    model = shaken(stawm.build("stawm-digits", seed=0, **plain), 0.3).double().eval()
    seen = images(20)
    with torch.no_grad():
        driven = model(seen).trace.memory_input.square().sum(-1)
        model.memory.eta.copy_(model.memory.delta / driven.median())
    report = stawm.diagnose(model, seen)
    shares = [health.contracting or 0.0 for health in report.glimpses]
    drives = [health.drive_max or 0.0 for health in report.glimpses]
    assert min(shares) < max(shares)
    assert min(drives) < max(drives)
    (line,) = [line for line in report.advice if WORDS["writes"] in line]
    assert line.startswith(f"Up to {1 - min(shares):.0%} of")
    assert f"(η|e|² reaches {max(drives):.3g}," in line


@pytest.mark.parametrize("glimpses", [1, 2, 6])
def test_as_many_glimpses_are_measured_as_are_asked_for(glimpses: int) -> None:
    model = model_of(2, query=1.0)
    report = stawm.diagnose(model, images(), glimpses=glimpses)
    longest = stawm.diagnose(model, images(), glimpses=6)
    assert [health.glimpse for health in report.glimpses] == list(range(1, glimpses + 1))
    for health, expected in zip(report.glimpses, longest.glimpses[:glimpses], strict=True):
        found = {name: value for name, value in vars(health).items() if value is not None}
        assert found == pytest.approx({name: getattr(expected, name) for name in found}, rel=1e-12)
    assert len(stawm.diagnose(model, images()).glimpses) == 4
