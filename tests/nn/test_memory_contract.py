"""What the base class of memories does for every rule: final calls, checks of input, precision, room."""

from typing import Any

import pytest
import torch
from torch import Tensor

from stawm.errors import InputError
from stawm.nn.memories.base import Memory
from stawm.nn.memories.delta import Delta
from stawm.nn.memories.fast_weights import FastWeights
from stawm.nn.memories.hebb_rosenblatt import HebbRosenblatt
from stawm.nn.memories.hopfield import Hopfield
from stawm.nn.memories.oja import Oja
from tests.nn.test_testing_memories import List, State, Sum


@pytest.mark.parametrize(
    ("name", "own"), [("write", "_write"), ("read", "_read"), ("unroll", "_unroll"), ("with_room", "_settle")]
)
def test_what_is_final_cannot_be_defined(name: str, own: str):
    def other(self: Any, *args: Any) -> Any: ...

    with pytest.raises(TypeError, match=rf"Mine defines {name}, which is final in Memory.* Name it {own}\."):
        type("Mine", (Sum,), {name: other})
    with pytest.raises(TypeError, match=rf"Mixed defines {name}"):
        type("Mixed", (type("Mixin", (), {name: other}), Sum), {})
    type("Right", (Sum,), {own: other})


def test_a_rule_without_a_write_or_a_read_cannot_be_made():
    for missing in ("_write", "_read", "matrix", "init_state"):
        methods = {name: vars(Sum)[name] for name in ("init_state", "matrix", "_write", "_read") if name != missing}
        cls: Any = type("Half", (Memory,), methods)
        with pytest.raises(TypeError, match=missing):
            cls(Sum.Config(), memory_size=2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.write(m.init_state(2), torch.ones(2, 4)), r"e is \(b, m\) with m = 3.*; got \(2, 4\)"),
        (lambda m: m.write(m.init_state(2), torch.ones(2, 1, 3)), r"e is \(b, m\) with m = 3.*; got \(2, 1, 3\)"),
        (lambda m: m.write(m.init_state(2), torch.ones(3)), r"got \(3,\)"),
        (lambda m: m.write(m.init_state(2), torch.ones(())), r"got \(\)"),
        (lambda m: m.write(m.init_state(1), torch.ones(2, 3)), "The state is of a batch of 1; got e of a batch of 2"),
        (lambda m: m.read(m.init_state(2), torch.ones(2, 1, 1, 3)), r"q is \(b, m\) .*; got \(2, 1, 1, 3\)"),
        (lambda m: m.read(m.init_state(2), torch.ones(2, 1, 4)), r"q is \(b, k, m\) with m = 3.*; got \(2, 1, 4\)"),
        (lambda m: m.read(m.init_state(1), torch.ones(2, 3)), "The state is of a batch of 1; got q of a batch of 2"),
        (lambda m: m.unroll(torch.ones(2, 3), torch.ones(2, 1, 3), [0]), r"E is \(b, n, m\).*; got \(2, 3\)"),
        (lambda m: m.unroll(torch.ones(2, 1, 3), torch.ones(2, 3), [0]), r"Q is \(b, k, m\).*; got \(2, 3\)"),
        (lambda m: m.unroll(torch.ones(2, 1, 3), torch.ones(2, 1, 4), [0]), r"Q is \(b, k, m\).*; got \(2, 1, 4\)"),
        (lambda m: m.unroll(torch.ones(2, 1, 3), torch.ones(1, 1, 3), [0]), r"same b and m; got \(2, 1, 3\) and \(1"),
        (lambda m: m.unroll(torch.ones(2, 1, 3), torch.ones(2, 1, 3), [2]), "0 to n = 1 writes; got 2"),
        (
            lambda m: m.unroll(torch.ones(2, 1, 3), torch.ones(2, 1, 3), [0], m.init_state(1)),
            "The state is of a batch of 1; got E of a batch of 2",
        ),
        (lambda m: m.with_room(m.init_state(1), -1), "slots must be 0 or more; got -1"),
    ],
)
@pytest.mark.parametrize("cls", [Sum, HebbRosenblatt, Delta, Oja])
@pytest.mark.usefixtures("unchecked")
def test_input_that_does_not_fit_is_refused(cls: Any, call: Any, message: str):
    with pytest.raises(InputError, match=message):
        call(cls(memory_size=3))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_strangers_rule_computes_in_float32(dtype: torch.dtype):
    """Its write is a product of matrices, which autocast would make in bfloat16."""
    memory = Sum(memory_size=4)
    E, Q = torch.rand(2, 3, 4).to(dtype), torch.rand(2, 1, 4).to(dtype)
    S = sum(0.5 ** (2 - t) * (E[:, t].float() @ memory.gain) for t in range(3))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        Y, state = memory.unroll(E, Q, [3])
        one = memory.write(memory.init_state(2), E[:, 0])
        y = memory.read(state, Q[:, 0])
        assert torch.is_autocast_enabled("cpu"), "and autocast is on again"
    torch.testing.assert_close(state.S, S)
    torch.testing.assert_close(one.S, E[:, 0].float() @ memory.gain)
    torch.testing.assert_close(y, S * Q[:, 0].float())
    torch.testing.assert_close(Y[:, 0], y)


def test_a_rule_never_sees_half_precision():
    seen = []

    class Watches(Sum):
        def _write(self, state: State, e: Tensor) -> State:
            seen.append(e.dtype)
            return super()._write(state, e)

        def _read(self, state: State, q: Tensor) -> Tensor:
            seen.append(q.dtype)
            return super()._read(state, q)

    memory, E = Watches(memory_size=3), torch.rand(2, 1, 3)
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        state = memory.write(memory.init_state(2), E[:, 0].to(dtype))
        memory.read(state, E[:, 0].to(dtype))
        memory.unroll(E.to(dtype), E.to(dtype), [1])
    assert seen == [torch.float32] * 12


def test_a_stranger_is_unrolled_from_a_state_of_its_inputs_type():
    memory = Sum(memory_size=3).double()
    E = torch.rand(2, 2, 3, dtype=torch.float64)
    Y, state = memory.unroll(E, E[:, :1], [0])
    assert not Y.any()
    assert state.S.dtype == torch.float64
    assert Sum(memory_size=3).unroll(E[:, :0], E[:, :0], [])[1].S.dtype == torch.float64, "not of the parameters'"
    again, _ = memory.unroll(E[:, :0], E[:, :1], [0], state)
    torch.testing.assert_close(again[:, 0], state.S * E[:, 0])


def test_room_is_zeros_before_what_was_written():
    E = torch.rand(2, 3, 4)
    for memory in (List(memory_size=4), Hopfield(memory_size=4), HebbRosenblatt(memory_size=4)):
        state: Any = memory.unroll(E, E[:, :0], [])[1]
        roomy: Any = memory.with_room(state, 2)
        assert type(roomy) is type(state)
        for name, part in roomy._asdict().items():
            old: Tensor = getattr(state, name)
            if name in memory.grows:
                assert torch.equal(part[:, 2:], old)
                assert part.shape[1] == 5
                assert not part[:, :2].any()
            else:
                assert torch.equal(part, old)
        assert all(torch.equal(a, b) for a, b in zip(memory.with_room(state, 0), state, strict=True))
    fixed = Delta(memory_size=4)
    state = fixed.unroll(E, E[:, :0], [])[1]
    assert fixed.with_room(state, 7) == state


@pytest.mark.parametrize("cls", [FastWeights, HebbRosenblatt])
@pytest.mark.parametrize("written", [0, 1, 3])
def test_room_for_many_writes_makes_rows_a_matrix(cls: Any, written: int):
    """At 2m rows; what is read stays, and so does the form through writes that drop a row each."""
    memory, E = cls(memory_size=4), torch.rand(2, 4, 4)
    _, state = memory.unroll(E[:, :written], E[:, :0], [])
    rows = {slots: memory.with_room(state, slots - written) for slots in (7, 8)}
    assert [len(state[0].shape) for state in rows.values()] == [3, 3]
    assert rows[7][0].shape == (2, 7, 4)
    assert type(rows[8]) is not type(rows[7])
    assert rows[8][0].shape == (2, 4, 4)
    for roomy in rows.values():
        torch.testing.assert_close(memory.read(roomy, E[:, 3]), memory.read(state, E[:, 3]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(memory.with_room(state, 8)[0], memory.with_room(state, 8)[0].float())
        assert memory.with_room(state, 8)[0].dtype == torch.float32
    memory.form = "factored"
    assert memory.with_room(state, 8)[0].shape == (2, 8 + written, 4)


def test_a_state_of_one_image_is_not_spread_over_a_batch():
    memory = Sum(memory_size=3)
    with pytest.raises(InputError, match="batch of 1"):
        memory.read(State(torch.ones(1, 3)), torch.ones(2, 3))
