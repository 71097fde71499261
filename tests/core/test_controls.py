"""The two controls against their twins, and what each of them does and does not know."""

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from stawm.core import mean, recurrent
from stawm.core.naive import mean as slow_mean
from stawm.core.naive import recurrent as slow_recurrent
from stawm.errors import ConfigError
from stawm.nn.memories.mean import Mean
from stawm.nn.memories.recurrent import Recurrent
from stawm.nn.memories.sizing import parameters_of
from tests.core.twins import EXACT, assert_same_functions, assert_twins
from tests.strategies import assert_near, normal, seeds

B, M, H = 2, 3, 2


class Control(NamedTuple):
    fast: ModuleType
    slow: ModuleType
    shapes: tuple[tuple[int, ...], ...]
    state: tuple[tuple[int, ...], ...]
    width: int

    def weights(self, *arrays: Tensor) -> Any:
        return self.fast.Weights(*arrays)

    def start(self, *arrays: Tensor) -> Any:
        """A state; how often a bag was written is no number that anything is derived by."""
        first, second = arrays
        return self.fast.State(first, second.detach() + 0 * second if self.width == M else second)

    def write(self, module: ModuleType, state: Any, e: Tensor, weights: Any) -> Any:
        return module.write(state, e, *(() if module.__name__.endswith("mean") else (weights,)))


CONTROLS = {
    "mean": Control(mean, slow_mean, ((H, M), (H, M), (M, H)), ((B, M), (B, 1)), M),
    "recurrent": Control(
        recurrent,
        slow_recurrent,
        ((4 * H, M), (4 * H, H), (4 * H,), (H, H), (H, M), (M, H)),
        ((B, H), (B, H)),
        H,
    ),
}
each = pytest.mark.parametrize("name", CONTROLS)


def drawn(control: Control, seed: int) -> tuple[list[Tensor], list[Tensor]]:
    """Weights, and a state after three writes or so."""
    state = [x.abs() for x in normal(seed + 1, *control.state)]
    if control.state[1] == (B, 1):
        state[1] = torch.tensor([[3.0], [0.0]]).double()
    return normal(seed, *control.shapes), state


def run(control: Control, module: ModuleType, call: Callable[..., Any]) -> Callable[..., tuple[Tensor, ...]]:
    """A function of plain tensors: weights first, then the state, then the rest."""
    count = len(control.shapes)

    def of(*given: Tensor) -> tuple[Tensor, ...]:
        weights, state = control.weights(*given[:count]), control.start(*given[count : count + 2])
        return tuple(call(module, weights, state, *given[count + 2 :]))

    return of


@each
def test_the_twin_has_the_same_functions(name: str):
    more = ("read_out", "slope") if name == "mean" else ()
    assert_same_functions(CONTROLS[name].fast, CONTROLS[name].slow, *more)


@each
@settings(max_examples=10)
@given(seed=seeds)
def test_each_function_is_its_twin(name: str, seed: int):
    control = CONTROLS[name]
    weights, state = drawn(control, seed)
    e, Q = normal(seed + 2, (B, M), (B, 2, M))

    def all_of(module: ModuleType, w: Any, s: Any, e: Tensor, Q: Tensor) -> tuple[Tensor, ...]:
        return *control.write(module, s, e, w), module.read(s, e, w), module.read(s, Q, w), module.matrix(s, w)

    ours, twin = (run(control, module, all_of) for module in (control.fast, control.slow))
    assert_twins(ours, twin, *weights, *state, e, Q)
    for part, other in zip(control.fast.init_state(B, M), control.slow.init_state(B, M), strict=True):
        assert torch.equal(part, other)


@each
@settings(max_examples=10)
@given(seed=seeds, reads=st.lists(st.integers(0, 3), min_size=1, max_size=3), begun=st.booleans())
def test_unroll_is_its_twin_in_values_and_gradients(name: str, seed: int, reads: list[int], begun: bool):
    control = CONTROLS[name]
    weights, state = drawn(control, seed)
    E, Q = normal(seed + 2, (B, 3, M), (B, len(reads), M))

    def unrolled(module: ModuleType, w: Any, s: Any, E: Tensor, Q: Tensor) -> tuple[Tensor, ...]:
        Y, after = module.unroll(E, Q, reads, w, s if begun else None)
        return Y, *after

    ours, twin = (run(control, module, unrolled) for module in (control.fast, control.slow))
    assert_twins(ours, twin, *weights, *state, E, Q)


@each
@given(seed=seeds)
def test_no_read_is_longer_than_the_bound(name: str, seed: int):
    control = CONTROLS[name]
    weights, _ = drawn(control, seed)
    E, Q = normal(seed + 2, (B, 5, M), (B, 5, M))
    Y, _ = control.fast.unroll(6 * E, Q, range(1, 6), control.weights(*weights))
    a, b, v = (float(torch.linalg.matrix_norm(x, 2)) for x in weights[-3:])
    most = (6 * float(E.norm(dim=-1).max()) if name == "mean" else H, float(Q.norm(dim=-1).max()), a, b, v)
    assert float(Y.norm(dim=-1).max()) <= control.fast.bound(*most) * (1 + 1e-12)
    assert control.fast.bound(*most) == pytest.approx(control.slow.bound(*most), rel=1e-12)


@given(seeds)
def test_a_bag_does_not_know_the_order_and_an_lstm_does(seed: int):
    for name, control in CONTROLS.items():
        weights = control.weights(*drawn(control, seed)[0])
        E, Q = normal(seed + 2, (B, 3, M), (B, 1, M))
        states = [control.fast.unroll(x, Q, [3], weights)[1] for x in (E, E.flip(1))]
        gap = max(float((a - b).abs().max()) for a, b in zip(*states, strict=True))
        assert (gap <= EXACT) == (name == "mean")


def test_the_lstm_is_pytorchs():
    control = CONTROLS["recurrent"]
    weights = control.weights(*drawn(control, 3)[0])
    E, Q = normal(5, (B, 4, M), (B, 1, M))
    cell: Any = torch.nn.LSTM(M, H, batch_first=True).double()
    with torch.no_grad():
        for name, own in (("weight_ih_l0", weights.U), ("weight_hh_l0", weights.R), ("bias_ih_l0", weights.b)):
            getattr(cell, name).copy_(own)
        cell.bias_hh_l0.zero_()
        _, (h, c) = cell(E)
    state = recurrent.unroll(E, Q, [4], weights)[1]
    assert_near(state.h, h[0], EXACT)
    assert_near(state.c, c[0], EXACT)


@pytest.mark.parametrize("cls", [Mean, Recurrent])
@pytest.mark.parametrize("against", ["delta", "plasticity", "backpropamine", "gated-delta"])
@pytest.mark.parametrize("m", [32, 96, 256])
def test_a_control_has_the_parameters_of_what_it_stands_against(cls: Any, against: str, m: int):
    control = cls(cls.Config(parameters_of=against), memory_size=m)
    wanted = parameters_of(against, m)
    step = 3 * m if cls is Mean else 6 * m + 4 + 10 * control.width + 5  # what one more neuron costs
    assert abs(sum(p.numel() for p in control.parameters()) - wanted) <= step / 2
    assert cls(cls.Config(width=5), memory_size=m).V.shape == (m, 5)


@pytest.mark.parametrize("cls", [Mean, Recurrent])
def test_a_control_stands_against_no_control(cls: Any):
    with pytest.raises(ConfigError, match="must be a memory that is no control; got 'mean'"):
        cls.Config(parameters_of="mean")
