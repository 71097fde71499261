"""`stawm.diagnose`: what it measures is what is there, and what it advises follows from it."""

import json
from typing import Any

import pytest
import torch
from torch import Tensor

import stawm
from stawm.core import hebb_rosenblatt as rule
from stawm.errors import InputError
from stawm.models.diagnosis import UNTRAINED, Diagnosis
from stawm.models.model import Stawm


def digits(**overrides: Any) -> Stawm:
    model = stawm.build("stawm-digits", seed=0, memory_size=8, hidden_size=16, **overrides)
    assert isinstance(model, Stawm)
    return model.double()


def images(count: int = 5) -> Tensor:
    return torch.rand(count, 1, 16, 16, generator=torch.Generator().manual_seed(1)).double()


def with_drive(model: Stawm, scale: float) -> Stawm:
    """Make the model write inputs that are so many times larger."""
    with torch.no_grad():
        model.loop.what.weight.mul_(scale)
        model.loop.what.bias.mul_(scale)
    return model


def diagnose(model: Stawm) -> Diagnosis:
    return stawm.diagnose(model, images())


def test_the_measures_are_those_of_the_memory() -> None:
    model = with_drive(digits(memory={"constrained": False, "normalise": None}), 20).eval()
    report = diagnose(model)
    trace = model(model.normalise(images())).trace
    assert trace is not None
    E = trace.memory_input
    rates = model.memory.rates
    state: Any = rule.init_dense(len(E), E.shape[2], dtype=E.dtype)
    for t, health in enumerate(report.glimpses):
        e = E[:, t]
        f = rule.respond(state, e, rates)
        state = rule.write(state, e, rates)
        drive = rates.eta * e.square().sum(dim=1)
        expected = {
            "norm": state.W.flatten(1).norm(dim=1).max(),
            "radius": torch.linalg.eigvals(state.W).abs().max(),
            "drive": drive.mean(),
            "drive_max": drive.max(),
            "contracting": (drive < rates.delta).double().mean(),
            "saturated": (f >= 6).double().mean(),
            "silent": (f == 0).double().mean(),
            "fill": state.W.max() / (rates.eta * 36 * (1 - (1 - rates.delta) ** (t + 1)) / rates.delta),
        }
        for name, value in expected.items():
            assert getattr(health, name) == pytest.approx(value.item(), rel=1e-6, abs=1e-12), name
    assert len(report.glimpses) == E.shape[1] == 4


def test_the_gradient_bound_holds() -> None:
    model = with_drive(digits(memory={"constrained": False, "normalise": None}), 20).eval()
    report = diagnose(model)
    E = model(images()).trace.memory_input.detach()
    rates = model.memory.rates

    def final(W: Tensor) -> Tensor:
        state = rule.DenseState(W)
        for e in E[:1].unbind(1):
            state = rule.write(state, e, rates)
        return state.W

    W = torch.rand(1, 8, 8, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(final, W).reshape(64, 64)
    assert report.glimpses[-1].gradient is not None
    assert torch.linalg.matrix_norm(jacobian, 2) <= report.glimpses[-1].gradient * (1 + 1e-12)


def test_a_calm_memory_needs_no_advice() -> None:
    report = diagnose(digits())
    assert report.healthy
    assert report.glimpses[-1].contracting == 1


def test_normalising_makes_every_write_a_contraction() -> None:
    wild = diagnose(with_drive(digits(memory={"constrained": False, "normalise": None}), 200))
    tame = diagnose(with_drive(digits(memory={"constrained": False, "normalise": 0.9}), 200))
    assert not wild.healthy
    assert any("memory.normalise" in line for line in wild.advice)
    assert all(health.contracting == 1 for health in tame.glimpses)


def test_illegal_rates_are_named() -> None:
    report = diagnose(digits(memory={"constrained": False, "normalise": None, "delta": 1.5}))
    assert any("δ 1.5" in line and "memory.constrained" in line for line in report.advice)
    assert report.glimpses[0].fill is None


def test_reads_past_half_precision_are_named() -> None:
    model = with_drive(digits(memory={"constrained": False, "normalise": None}), 1e4)
    with torch.no_grad():
        model.heads["classification"].query.linear.bias.fill_(6.0)
        model.memory.eta.fill_(1e3)
    assert any("fp16" in line for line in diagnose(model).advice)


@pytest.mark.parametrize("memory", ["fast-weights", "delta", "hopfield"])
def test_other_memories_are_measured_too(memory: str) -> None:
    report = stawm.diagnose(digits(memory=memory), images())
    assert report.columns() == ["glimpse", "norm", "radius", "read"]
    assert report.memory == memory


def test_it_is_json_and_a_table() -> None:
    report = diagnose(digits())
    assert json.loads(json.dumps(report.as_dict()))["healthy"] is True
    text = str(report)
    assert all(name in text for name in report.columns())
    assert len(text.splitlines()) == 1 + (1 + 4) + 1 + (1 + 4) + 2
    assert text.splitlines()[-2:] == [UNTRAINED, "nothing to mend"]


def test_the_model_is_left_as_it_was() -> None:
    model = digits().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    diagnose(model)
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.usefixtures("unchecked")
def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match="Baseline"):
        stawm.diagnose(stawm.build("bvae-cifar"), torch.rand(1, 3, 32, 32))  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match=r"\(b, 1, 16, 16\)"):
        stawm.diagnose(digits(), torch.rand(2, 1, 8, 8).double())
    with pytest.raises(InputError, match="at least one image"):
        stawm.diagnose(digits(), images(0))
    with pytest.raises(InputError, match="finite"):
        stawm.diagnose(digits(), images() / 0)


def test_it_tells_what_learned_rates_became() -> None:
    model: Any = stawm.build("stawm-digits", memory={"constrained": False, "normalise": None}, glimpses=2, seed=0)
    pixels = torch.rand(2, 1, 16, 16)
    untouched = stawm.diagnose(model, pixels)
    assert untouched.rates_at_start == pytest.approx({"delta": 0.2, "eta": 0.4, "theta": 0.5})
    assert "delta 0.2, eta 0.4, theta 0.5" in str(untouched)
    torch.nn.init.constant_(model.memory.delta, 0.05)
    learned = stawm.diagnose(model, pixels)
    assert learned.rates == pytest.approx({"delta": 0.05, "eta": 0.4, "theta": 0.5})
    assert "delta 0.05 (from 0.2), eta 0.4, theta 0.5" in str(learned)
    assert learned.as_dict()["rates_at_start"]["delta"] == pytest.approx(0.2)


@pytest.mark.parametrize(("memory", "rates"), [("oja", {"eta": 0.5}), ("fast-weights", {"decay": 0.95, "eta": 0.5})])
def test_rates_of_other_memories_are_told_without_advice_on_them(memory: str, rates: dict[str, float]) -> None:
    model = stawm.build("stawm-digits", memory=memory, glimpses=2, seed=0)
    found = stawm.diagnose(model, torch.rand(2, 1, 16, 16))
    assert found.rates == pytest.approx(rates, rel=1e-5)
    assert found.rates_at_start == pytest.approx(rates)
    assert not [line for line in found.advice if "rates" in line]


def test_a_memory_may_have_no_single_rates() -> None:
    found = stawm.diagnose(stawm.build("stawm-digits", memory="delta", glimpses=2, seed=0), torch.rand(2, 1, 16, 16))
    assert found.rates == found.rates_at_start == {}
