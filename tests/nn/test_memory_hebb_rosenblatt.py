"""The Hebb-Rosenblatt module: its configuration, its rates, its forms, and that it is the rule."""

from typing import Any

import pytest
import torch

from stawm.core import hebb_rosenblatt as core
from stawm.core.activations import ACTIVATIONS
from stawm.core.hebb_rosenblatt import DenseState, FactoredState
from stawm.core.stacks import Form
from stawm.errors import ConfigError, InputError
from stawm.nn.memories.hebb_rosenblatt import HebbRosenblatt
from stawm.nn.testing.memory import one_by_one

Config = HebbRosenblatt.Config


def test_the_papers_rates_are_the_default():
    memory = HebbRosenblatt(memory_size=3)
    assert {name: (p.item(), p.shape) for name, p in memory.named_parameters()} == {
        "delta": (pytest.approx(0.2), ()),
        "eta": (pytest.approx(0.4), ()),
        "theta": (pytest.approx(0.5), ()),
    }
    assert all(p.requires_grad for p in memory.parameters())
    assert memory.rates == tuple(memory.parameters())
    config = memory.config
    assert (config.orientation, config.activation, config.form, config.normalise) == ("paper", "relu6", "auto", None)


@pytest.mark.parametrize("constrained", [False, True])
def test_rates_act_as_configured(constrained: bool):
    memory = HebbRosenblatt(
        Config(delta=0.3, eta=0.7, theta=0.0, constrained=constrained, learnable=False), memory_size=3
    ).double()
    expected = torch.tensor([0.3, 0.7, 0.0]).double().unbind()
    torch.testing.assert_close([*memory.rates], [*expected], rtol=1e-7, atol=0)
    assert not any(p.requires_grad for p in memory.parameters())
    names = ["delta", "eta", "theta"]
    assert [*memory.state_dict()] == ([f"raw_{name}" for name in names] if constrained else names)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_constrained_rates_stay_in_their_range_whatever_is_learned(dtype: torch.dtype):
    """δ stays so large that 1 - δ is below 1."""
    memory = HebbRosenblatt(Config(constrained=True), memory_size=3).to(dtype)
    for raw, expected in ((-1e4, (torch.finfo(dtype).eps, 0.0, 0.0)), (1e4, (1.0, 1e4, 1e4))):
        for parameter in memory.parameters():
            torch.nn.init.constant_(parameter, raw)
        assert tuple(rate.item() for rate in memory.rates) == expected
        assert 1 - memory.rates.delta < 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"constrained": True, "delta": 0.0}, r"delta must be in \(0, 1\]; got 0.0"),
        ({"constrained": True, "delta": 1.5}, r"delta must be in \(0, 1\]; got 1.5"),
        ({"constrained": True, "eta": -0.1}, r"eta must be in \[0, inf\); got -0.1"),
        ({"constrained": True, "theta": -0.1}, r"theta must be in \[0, inf\); got -0.1"),
        ({"normalise": 0.0}, r"normalise must be .*\(0, inf\).*; got 0.0"),
        ({"normalise": 0.9, "delta": 0.0}, "needs delta > 0"),
        ({"normalise": 0.9, "eta": -1.0}, "eta ≥ 0"),
        ({"delta": float("nan")}, "delta must be a number; got nan"),
        ({"orientation": "both"}, "'paper', 'appendix'"),
        ({"activation": "tanh"}, "'relu6', 'sigmoid', 'hard-sigmoid', 'identity'"),
        ({"form": "sparse"}, "'auto', 'dense', 'factored'"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        Config(**fields)


def test_free_rates_may_be_anything_finite():
    assert Config(delta=-3.0, eta=-0.5, theta=-1.0).delta == -3
    assert Config(constrained=True, delta=1.0, eta=0.0, theta=0.0).delta == 1
    assert Config(normalise=0.9, eta=0.0).eta == 0


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("orientation", ["paper", "appendix"])
def test_the_module_is_the_rule(activation: Any, orientation: Any):
    memory = HebbRosenblatt(Config(activation=activation, orientation=orientation, form="dense"), memory_size=4)
    E, Q = torch.randn(2, 3, 4), torch.randn(2, 2, 4)
    phi = ACTIVATIONS[activation].phi
    Y, state = memory.unroll(E, Q, [1, 3])
    Z, after = core.unroll(E, Q, [1, 3], core.Rates(0.2, 0.4, 0.5), orientation=orientation, phi=phi, form="dense")
    torch.testing.assert_close(Y, Z)
    torch.testing.assert_close(state[0], after[0])
    torch.testing.assert_close(memory.matrix(state) @ Q[:, 1, :, None], Y[:, 1, :, None])
    stepped = memory.write(memory.init_state(2), E[:, 0])
    torch.testing.assert_close(memory.read(stepped, Q[:, 0]), Y[:, 0])


def test_forms_can_be_changed_without_touching_the_parameters():
    memory = HebbRosenblatt(memory_size=3)
    E, Q = torch.rand(2, 4, 3), torch.rand(2, 1, 3)
    found = {}
    forms: dict[Form, type] = {"factored": FactoredState, "dense": DenseState, "auto": FactoredState}
    for form, kind in forms.items():
        memory.form = form
        Y, state = memory.unroll(E, Q, [4])
        assert type(state) is kind
        assert type(memory.init_state(2)) is kind
        assert type(memory.write(memory.init_state(2), E[:, 0])) is kind
        found[form] = Y
    torch.testing.assert_close(found["dense"], found["factored"])
    torch.testing.assert_close(found["auto"], found["factored"])


def test_auto_turns_rows_into_a_matrix_when_they_become_many():
    memory = HebbRosenblatt(memory_size=2)
    state, kinds = memory.init_state(1), []
    for _ in range(5):
        state = memory.write(state, torch.rand(1, 2))
        kinds.append(type(state))
    assert kinds == [FactoredState] * 3 + [DenseState] * 2
    assert type(memory.with_room(memory.init_state(1), 3)) is FactoredState
    assert type(memory.with_room(memory.init_state(1), 4)) is DenseState


def test_room_device_and_type():
    memory = HebbRosenblatt(Config(form="factored"), memory_size=3)
    state = memory.with_room(memory.init_state(2, dtype=torch.float64), 5)
    assert [x.shape for x in state] == [(2, 5, 3)] * 2
    assert state[0].dtype == torch.float64
    assert memory.init_state(2)[0].dtype == torch.float32
    assert memory.half().init_state(2)[0].dtype == torch.float32
    assert memory.init_state(1, device=torch.device("meta"))[0].is_meta


def test_normalise_holds_what_is_written():
    memory = HebbRosenblatt(Config(normalise=0.5, form="factored"), memory_size=4)
    E = 20 * torch.rand(2, 3, 4)
    _, state = memory.unroll(E, E[:, :0], [])
    stepped = memory.write(memory.init_state(2), E[:, 0])
    torch.testing.assert_close(stepped[0], state[0][:, :1])
    torch.testing.assert_close(0.4 * state[0].square().sum(dim=2), torch.full((2, 3), 0.5 * 0.2))
    Y, _ = memory.unroll(E.requires_grad_(), torch.rand(2, 1, 4), [3])
    Y.sum().backward()
    assert E.grad is not None
    assert (E.grad * E).sum(dim=2).abs().max() < 1e-6 * E.grad.norm() * E.norm()
    assert memory.eta.grad is not None


def test_the_module_is_the_loop():
    memory = HebbRosenblatt(Config(normalise=0.9, constrained=True), memory_size=3).double()
    E, Q = torch.randn(2, 4, 3).double(), torch.randn(2, 3, 3).double()
    Y, state = memory.unroll(E, Q, [0, 4, 2])
    Z, after = one_by_one(memory, E, Q, [0, 4, 2])
    torch.testing.assert_close(Y, Z)
    torch.testing.assert_close(memory.matrix(state), memory.matrix(after))


def test_another_width_is_refused():
    memory = HebbRosenblatt(memory_size=3)
    with pytest.raises(InputError, match=r"with m = 3, the width of the memory; got \(1, 2, 4\)"):
        memory.unroll(torch.rand(1, 2, 4), torch.rand(1, 1, 4), [2])


def test_half_precision_parameters_still_compute_in_float32():
    memory = HebbRosenblatt(memory_size=3).half()
    Y, state = memory.unroll(torch.rand(1, 2, 3).half(), torch.rand(1, 1, 3).half(), [2])
    assert Y.dtype == state[0].dtype == torch.float32
