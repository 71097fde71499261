"""The retrieval module: its β, its precision, and that it is the rule."""

import pytest
import torch

from stawm.core import hopfield as core
from stawm.errors import ConfigError, InputError
from stawm.nn.memories.hopfield import Hopfield
from stawm.nn.testing.memory import one_by_one

Config = Hopfield.Config


@pytest.mark.parametrize(("beta", "expected"), [(None, 0.5), (3.0, 3.0)])
def test_beta_is_that_of_attention_or_what_is_configured(beta: float | None, expected: float):
    memory = Hopfield(Config(beta=beta), memory_size=4)
    assert float(memory.rates.beta) == pytest.approx(expected)
    assert {name: (p.shape, p.requires_grad) for name, p in memory.named_parameters()} == {"raw_beta": ((), False)}
    assert Hopfield(Config(learnable=True), memory_size=4).raw_beta.requires_grad


def test_beta_is_positive():
    with pytest.raises(ConfigError, match=r"beta must be a number in \(0, inf\) or None \(null\); got 0.0"):
        Config(beta=0.0)


def test_the_module_is_the_rule():
    memory = Hopfield(Config(beta=0.7), memory_size=4).double()
    E, Q = torch.randn(2, 3, 4).double(), torch.randn(2, 3, 4).double()
    Y, state = memory.unroll(E, Q, [0, 1, 3])
    torch.testing.assert_close(Y, core.unroll(E, Q, [0, 1, 3], memory.rates)[0])
    torch.testing.assert_close(one_by_one(memory, E, Q, [0, 1, 3])[0], Y)
    torch.testing.assert_close(
        memory.read(memory.write(memory.with_room(memory.init_state(2), 2), E[:, 0]), Q[:, 1]), Y[:, 1]
    )
    slope = torch.func.jacrev(lambda q: memory.read(core.State(state.E[:1], state.valid[:1]), q[None])[0])
    torch.testing.assert_close(memory.matrix(state)[0], slope(torch.zeros(4).double()))


def test_room_and_precision():
    memory = Hopfield(memory_size=3).half()
    assert [x.shape for x in memory.with_room(memory.init_state(2), 4)] == [(2, 4, 3), (2, 4)]
    assert memory.init_state(2).E.shape == (2, 0, 3)
    assert memory.init_state(2).E.dtype == torch.float32
    assert memory.init_state(2, device=torch.device("meta")).valid.is_meta
    assert memory.init_state(2, dtype=torch.float64).valid.dtype == torch.float64
    E = torch.rand(1, 2, 3).half()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        Y, state = memory.unroll(E, E, [1, 2])
        once = memory.read(memory.write(state, E[:, 0]), E[:, 0])
    assert Y.dtype == once.dtype == memory.matrix(state).dtype == state.E.dtype == torch.float32


def test_another_width_is_refused():
    with pytest.raises(InputError, match=r"with m = 3, the width of the memory; got \(1, 2, 4\)"):
        Hopfield(memory_size=3).unroll(torch.rand(1, 2, 4), torch.rand(1, 1, 4), [2])
