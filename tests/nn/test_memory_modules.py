"""What each module adds to its rule: rates in their range, projections, starts, bounds."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from stawm.core import delta as delta_rule
from stawm.core import gated_delta as gated_delta_rule
from stawm.core import oja as oja_rule
from stawm.core import plasticity as plasticity_rule
from stawm.errors import ConfigError
from stawm.nn.memories.backpropamine import Backpropamine
from stawm.nn.memories.base import Memory
from stawm.nn.memories.delta import Delta
from stawm.nn.memories.gated_delta import GatedDelta
from stawm.nn.memories.oja import Oja
from stawm.nn.memories.plasticity import Plasticity
from tests.nn.test_memories import EXACT, READS, B, M, build, stack
from tests.strategies import assert_near, normal, seeds


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("plasticity", {"eta": 1.5}, r"eta must be a number in \[0, 1\]; got 1.5"),
        ("plasticity", {"eta": -0.1}, r"eta must be a number in \[0, 1\]; got -0.1"),
        ("plasticity", {"trace": "hebbian"}, r"trace must be one of 'hebb', 'oja'; got 'hebbian'"),
        ("backpropamine", {"clip": 0.0}, r"clip must be a number in \(0, inf\); got 0.0"),
        ("backpropamine", {"eta": 2.0}, r"eta must be a number in \[0, 1\]; got 2.0"),
        ("delta", {"beta_max": 2.5}, r"beta_max must be a number in \(0, 2\]; got 2.5"),
        ("delta", {"beta_max": 0.0}, r"beta_max must be a number in \(0, 2\]; got 0.0"),
        ("gated-delta", {"decay": 1.0}, r"decay must be a number in \(0, 1\); got 1.0"),
        ("gated-delta", {"decay": 0.0, "beta_max": 3.0}, r"(?s)beta_max .* got 3.0.*decay .* got 0.0"),
        ("oja", {"eta": 0.0}, r"eta must be a number in \(0, 1\]; got 0.0"),
        ("oja", {"eta": float("nan")}, r"eta must be a number in \(0, 1\]; got nan"),
    ],
)
def test_rates_out_of_their_range_are_refused(name: str, fields: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=message):
        build(name, **fields)


@pytest.mark.parametrize("name", ["plasticity", "backpropamine", "oja"])
@pytest.mark.parametrize("raw", [-1e4, -3.0, 0.0, 2.0, 1e4])
def test_a_rate_cannot_be_trained_out_of_its_range(name: str, raw: float):
    """P23 for the rates that are learned."""
    memory = build(name, **({"retroactive": True} if name == "backpropamine" else {}))
    eta: Any = memory.raw_eta
    nn.init.constant_(eta, raw)
    assert 0 <= rate(memory) <= 1


@pytest.mark.parametrize("name", ["plasticity", "backpropamine", "oja"])
def test_a_rate_that_is_not_learnable_stays(name: str):
    memory = build(name, learnable=False, eta=0.3, **({"retroactive": True} if name == "backpropamine" else {}))
    assert "raw_eta" not in [key for key, p in memory.named_parameters() if p.requires_grad]
    assert rate(memory) == pytest.approx(0.3, abs=1e-7)
    assert any(p.requires_grad for p in memory.parameters())


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("plasticity", {"trace": "hebb", "eta": 0.1, "learnable": True}),
        ("backpropamine", {"retroactive": False, "clip": 1.0, "eta": 0.5, "learnable": True}),
        ("delta", {"beta_max": 1.0, "normalise_query": True, "bind": "self"}),
        ("gated-delta", {"beta_max": 1.0, "normalise_query": True, "decay": 0.95, "bind": "self"}),
        ("oja", {"eta": 0.5, "learnable": True, "normalise": True}),
    ],
)
def test_the_documented_defaults(name: str, fields: dict[str, Any]):
    assert build(name).config.to_dict() == {"name": name, **fields}


@pytest.mark.parametrize("eta", [0.0, 0.25, 1.0])
def test_the_rate_starts_where_the_configuration_says(eta: float):
    for name, fields in (("plasticity", {}), ("backpropamine", {"retroactive": True}), ("backpropamine", {})):
        assert rate(build(name, eta=eta, **fields)) == pytest.approx(eta, abs=1e-7)
    assert rate(build("oja", eta=eta or 0.5)) == pytest.approx(eta or 0.5, abs=1e-7)


def rate(memory: Memory[Any]) -> float:
    assert isinstance(memory, (Plasticity, Backpropamine, Oja))
    return torch.as_tensor(memory.rates.eta).item()


@given(seeds, st.floats(0.1, 2), st.booleans())
def test_delta_makes_unit_keys_values_and_strengths(seed: int, beta_max: float, normalise: bool):
    memory = build("delta", beta_max=beta_max, normalise_query=normalise)
    assert isinstance(memory, Delta)
    e, q = (x.abs() for x in normal(seed, (B, M), (B, M)))
    key, value, query = (linear.weight for linear in (memory.key, memory.value, memory.query))
    k, asked = e @ key.T, q @ query.T
    k = k / (k.norm(dim=-1, keepdim=True) ** 2 + 1e-6) ** 0.5
    asked = asked / (asked.norm(dim=-1, keepdim=True) ** 2 + 1e-6) ** 0.5 if normalise else asked
    beta = beta_max / (1 + (-(e @ memory.strength.weight[0] + memory.strength.bias)).exp())
    assert ((beta > 0) & (beta < beta_max)).all()
    state = memory.write(memory.init_state(B), e)
    assert_near(state.S, beta[:, None, None] * (e @ value.T)[:, :, None] * k[:, None, :], EXACT)
    assert_near(memory.read(state, q), delta_rule.read(state, asked), EXACT)


@given(seeds, st.floats(0.05, 0.95))
def test_gated_delta_forgets_by_its_own_gate(seed: int, decay: float):
    memory = build("gated-delta", decay=decay)
    assert isinstance(memory, GatedDelta)
    nothing = torch.zeros(B, M, dtype=torch.float64)
    e, S = normal(seed, (B, M), (B, M, M))
    state = gated_delta_rule.State(S)
    assert_near(memory.write(state, nothing).S, decay * S, 1e-6)
    alpha = 1 / (1 + (-(e @ memory.keep.weight[0] + memory.keep.bias)).exp())
    plain = Delta(memory_size=M).double()
    plain.load_state_dict({key: x for key, x in memory.state_dict().items() if not key.startswith("keep")})
    assert_near(memory.write(state, e).S, plain.write(delta_rule.State(alpha[:, None, None] * S), e).S, EXACT)


@pytest.mark.parametrize("name", ["delta", "gated-delta"])
def test_delta_memories_read_zeros_before_any_write_and_write_nothing_for_nothing(name: str):
    memory, (E, Q) = build(name), stack()
    assert not memory.unroll(E, Q, [0] * len(READS))[0].any()
    assert not memory.unroll(0 * E, Q, READS)[0].any()


@pytest.mark.parametrize("name", ["delta", "gated-delta"])
@given(seeds, st.floats(0.01, 100))
def test_delta_memories_are_bounded_whatever_the_input(name: str, seed: int, size: float):
    """|S|² ≤ n |v|² from keys of length 1 and β < 1: no matter how large e is, only values grow with it."""
    memory = build(name)
    assert isinstance(memory, Delta)
    E = size * normal(seed, (B, 6, M))[0]
    _, state = memory.unroll(E, E[:, :0], [])
    largest = (E @ memory.value.weight.T).norm(dim=-1).max().item()
    assert torch.linalg.matrix_norm(state.S).max() <= delta_rule.bound(6, largest, 1.0) * (1 + 1e-12)


@pytest.mark.parametrize("trace", ["hebb", "oja"])
def test_plasticity_uses_its_own_weights_and_rate(trace: Any):
    memory = build("plasticity", trace=trace)
    assert isinstance(memory, Plasticity)
    E, Q = stack()
    weights, rates = plasticity_rule.Weights(memory.w, memory.alpha), plasticity_rule.Rates(memory.raw_eta.sigmoid())
    Y, state = plasticity_rule.unroll(E, Q, READS, weights, rates, trace=trace)
    ours, after = memory.unroll(E, Q, READS)
    assert torch.equal(ours, Y)
    assert torch.equal(after.H, state.H)
    assert_near(memory.read(memory.init_state(B), Q[:, 0]), Q[:, 0] @ memory.w.T, EXACT)


def test_backpropamine_is_modulated_by_its_input():
    memory = build("backpropamine", clip=50.0)
    assert isinstance(memory, Backpropamine)
    x = stack()[0][:, 0]
    M_ = (x @ memory.modulator.weight[0] + memory.modulator.bias).tanh()
    y = (x @ memory.w.T).tanh()
    after = memory.write(memory.init_state(B), x)
    assert_near(after.H, M_[:, None, None] * y[:, :, None] * x[:, None, :], EXACT)
    clipped = build("backpropamine", clip=1e-3)
    for state in (clipped.write(clipped.init_state(B), x), clipped.unroll(x[:, None], x[:, None], [1])[1]):
        assert state.H.abs().max() == 1e-3


@given(seeds, st.floats(0.01, 1), st.floats(0.01, 100))
def test_oja_is_bounded_whatever_the_input(seed: int, eta: float, size: float):
    memory = build("oja", eta=eta)
    assert isinstance(memory, Oja)
    E = size * normal(seed, (B, 6, M))[0]
    _, state = memory.unroll(E, E[:, :0], [])
    begin = torch.linalg.matrix_norm(memory.start, ord=2).item()
    assert torch.linalg.matrix_norm(state.S, ord=2).max() <= oja_rule.bound(eta, begin) * (1 + 1e-6)


def test_oja_sees_directions_only_unless_told_otherwise():
    x, memory = 1 + stack()[0][:, 0], build("oja")
    assert isinstance(memory, Oja)
    begun = memory.init_state(B)
    assert torch.equal(begun.S, memory.start.expand(B, M, M))
    along = x / (x.square().sum(dim=-1, keepdim=True) + 1e-6) ** 0.5
    assert_near(memory.write(begun, x).S, oja_rule.write(begun, along, memory.rates).S, EXACT)
    free = build("oja", normalise=False)
    assert isinstance(free, Oja)
    assert torch.equal(free.write(begun, x).S, oja_rule.write(begun, x, free.rates).S)


@pytest.mark.parametrize(
    ("name", "parameter", "variance"),
    [
        ("plasticity", "w", 1.0),
        ("plasticity", "alpha", 1.0),
        ("backpropamine", "w", 1.0),
        ("backpropamine", "alpha", 1.0),
        ("oja", "start", 0.25),
    ],
)
def test_weights_start_at_the_documented_scale(name: str, parameter: str, variance: float):
    """The variance of 128² draws is within 6 of its own standard deviations, √2 / 128, of what it should be."""
    drawn = getattr(build(name, size=128), parameter)
    assert 128 * drawn.square().mean().item() == pytest.approx(variance, rel=6 * 2**0.5 / 128)
