"""The checks of memories: strangers that are right pass, and each wrong one is caught by name."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from stawm.configuration import Config as BaseConfig
from stawm.nn.memories.base import Contributions, Memory
from stawm.nn.testing import (
    MEMORY_CHECKS,
    ContractError,
    check_memory,
)


class State(NamedTuple):
    """The sum of what was written."""

    S: Tensor


class Sum(Memory[State]):
    """A right memory: keeps a decaying sum, and multiplies a query by it. Nothing in it knows of autocast."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Nothing to set."""

        name: str = "sum"

    decay = 0.5

    def __init__(self, config: BaseConfig | None = None, *, memory_size: int) -> None:
        super().__init__(config or self.Config(), memory_size=memory_size)
        self.gain = nn.Parameter(torch.rand(memory_size, memory_size))

    def init_state(self, batch: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None) -> State:
        where = {"device": device or self.gain.device, "dtype": dtype or self.gain.dtype}
        return State(torch.zeros(batch, self.memory_size, **where))

    def matrix(self, state: State) -> Tensor:
        return torch.diag_embed(state.S)

    def _write(self, state: State, e: Tensor) -> State:
        return State(self.decay * state.S + e @ self.gain)

    def _read(self, state: State, q: Tensor) -> Tensor:
        return state.S * q


class SumsUp(Sum):
    """A right memory that says what each write gives to a read."""

    def _contributions(self, E: Tensor, q: Tensor) -> Contributions:
        left = self.decay ** torch.arange(E.shape[1] - 1, -1, -1, dtype=E.dtype)
        return Contributions(left[:, None] * (E @ self.gain) * q[:, None], torch.zeros_like(q))


class ForgetsThatItFades(SumsUp):
    def _contributions(self, E: Tensor, q: Tensor) -> Contributions:
        return Contributions((E @ self.gain) * q[:, None], torch.zeros_like(q))


class MixesImages(SumsUp):
    def _contributions(self, E: Tensor, q: Tensor) -> Contributions:
        writes, rest = super()._contributions(E, q)
        moved = writes.mean(dim=0, keepdim=True)
        return Contributions(writes - moved, rest + moved.sum(dim=1))


class Rows(NamedTuple):
    """What was written, and how old each entry is."""

    E: Tensor
    age: Tensor


class List(Sum):
    """A right memory that grows: each entry counts half as much as the next."""

    grows = ("E",)

    def init_state(self, batch: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None) -> Any:
        (S,) = super().init_state(batch, device=device, dtype=dtype)
        return Rows(S[:, None][:, :0], S[:, :1])

    def matrix(self, state: Any) -> Tensor:
        return torch.diag_embed(self._sum(state))

    def _write(self, state: Any, e: Tensor) -> Any:
        return Rows(torch.cat([state.E, (e @ self.gain)[:, None]], dim=1), state.age + 1)

    def _read(self, state: Any, q: Tensor) -> Tensor:
        return self._sum(state) * q

    def _sum(self, state: Any) -> Tensor:
        t = state.E.shape[1]
        return (state.E * self.decay ** torch.arange(t - 1, -1, -1.0, device=state.E.device)[:, None]).sum(dim=1)


@pytest.mark.parametrize("cls", [Sum, SumsUp, List])
def test_a_right_stranger_passes(cls: type) -> None:
    assert check_memory(cls, export=False) == ["config", *MEMORY_CHECKS]


class KeepsStateOnSelf(Sum):
    def _write(self, state: State, e: Tensor) -> State:
        self.last = e
        return super()._write(state, e)


class LeaksBetweenSamples(Sum):
    def _write(self, state: State, e: Tensor) -> State:
        return super()._write(state, e + 0.01 * e.mean(dim=0, keepdim=True))


class Explodes(Sum):
    decay = 1.3


class WritesInPlace(Sum):
    def _write(self, state: State, e: Tensor) -> State:
        state.S.mul_(self.decay).add_((e @ self.gain).detach())
        return State(state.S.clone())


class UnrollsSomethingElse(Sum):
    def _unroll(self, E: Tensor, Q: Tensor, reads: Any, state: State | None) -> tuple[Tensor, State]:
        Y, after = super()._unroll(E, Q, reads, state)
        return Y * 1.001, after


class UnrollsToAnotherState(Sum):
    def _unroll(self, E: Tensor, Q: Tensor, reads: Any, state: State | None) -> tuple[Tensor, State]:
        Y, after = super()._unroll(E, Q, reads, state)
        return Y, State(after.S * 1.001)


class UnrollsWithoutAGradient(Sum):
    def _unroll(self, E: Tensor, Q: Tensor, reads: Any, state: State | None) -> tuple[Tensor, State]:
        Y, after = super()._unroll(E, Q.detach(), reads, state)
        return Y, after


class ForgetsTheState(Sum):
    def _unroll(self, E: Tensor, Q: Tensor, reads: Any, state: State | None) -> tuple[Tensor, State]:
        return super()._unroll(E, Q, reads, None)


class TakesAnyReads(Sum):
    def _unroll(self, E: Tensor, Q: Tensor, reads: Any, state: State | None) -> tuple[Tensor, State]:
        bounded = [min(max(r, 0), E.shape[1]) for r in (*reads, *[0] * Q.shape[1])]
        return super()._unroll(E, Q, bounded[: Q.shape[1]], state)


class TakesNegativeReads(Sum):
    def _unroll(self, E: Tensor, Q: Tensor, reads: Any, state: State | None) -> tuple[Tensor, State]:
        return super()._unroll(E, Q, [max(r, 0) for r in reads], state)


class HasAnotherBatch(Sum):
    def init_state(self, batch: int, **kwargs: Any) -> State:
        return super().init_state(batch + 1, **kwargs)


class IgnoresTheType(Sum):
    def init_state(self, batch: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None) -> State:
        return super().init_state(batch, device=device)


class IgnoresTheParametersType(Sum):
    def init_state(self, batch: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None) -> State:
        return super().init_state(batch, device=device, dtype=dtype or torch.float32)


class IgnoresTheDevice(Sum):
    def init_state(self, batch: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None) -> State:
        return super().init_state(batch, dtype=dtype)


class FeelsEmptySlots(List):
    def _sum(self, state: Any) -> Tensor:
        return super()._sum(state) / max(1, state.E.shape[1])


class FeelsRoomThatIsMadeLate(List):
    def _sum(self, state: Any) -> Tensor:
        first = state.E[:, :1] * (state.age[:, :, None] > 1)
        return super()._sum(state) + first.sum(dim=1)


class DoesNotSayThatItGrows(List):
    grows = ()


class GrowsAtTheFront(List):
    def _write(self, state: Any, e: Tensor) -> Any:
        after = super()._write(state, e)
        return after._replace(E=after.E.roll(1, dims=1))


class SaysThatAllGrows(List):
    grows = ("E", "age")


class ShowsAnotherMatrix(Sum):
    def matrix(self, state: State) -> Tensor:
        return 2 * super().matrix(state)


class WidensTheType(Sum):
    def _read(self, state: State, q: Tensor) -> Tensor:
        return super()._read(state, q).double()


class WidensTheState(Sum):
    def _write(self, state: State, e: Tensor) -> State:
        return State(super()._write(state, e).S.double())

    def _read(self, state: State, q: Tensor) -> Tensor:
        return super()._read(state, q).to(q.dtype)


class StartsInHalfPrecision(Sum):
    """Its start is a product, which autocast makes in half precision."""

    def init_state(self, batch: int, **kwargs: Any) -> State:
        empty = super().init_state(batch, **kwargs).S
        return State((empty + 0.1) @ self.gain.to(empty))


class ListensToAutocast(Sum):
    """Its start is another number under autocast, of the right type."""

    def init_state(self, batch: int, **kwargs: Any) -> State:
        return State(super().init_state(batch, **kwargs).S + 1e-3 * torch.is_autocast_enabled("cpu"))


class HasAnIdleParameter(Sum):
    def __init__(self, config: BaseConfig | None = None, *, memory_size: int) -> None:
        super().__init__(config, memory_size=memory_size)
        self.idle = nn.Parameter(torch.ones(3))


class RollsDice(Sum):
    def _read(self, state: State, q: Tensor) -> Tensor:
        return super()._read(state, q) * (1 + 1e-6 * torch.rand(()))


class HandsOutAList(Sum):
    def init_state(self, *args: Any, **kwargs: Any) -> Any:
        return list(super().init_state(*args, **kwargs))

    def _write(self, state: Any, e: Tensor) -> Any:
        return list(super()._write(State(*state), e))

    def _read(self, state: Any, q: Tensor) -> Tensor:
        return super()._read(State(*state), q)


class HasTheBatchSecond(Sum):
    def _write(self, state: State, e: Tensor) -> State:
        return State(super()._write(state, e).S[: e.shape[0] - 1])


class ReadsManyInAnotherOrder(Sum):
    reads_many = True

    def _read(self, state: State, q: Tensor) -> Tensor:
        return super()._read(state, q) if q.ndim == 2 else state.S[:, None] * q.flip(1)


@pytest.mark.parametrize(
    ("cls", "check"),
    [
        (ReadsManyInAnotherOrder, "reads_many_at_once"),
        (KeepsStateOnSelf, "nothing_on_self"),
        (LeaksBetweenSamples, "samples_are_apart"),
        (Explodes, "does_not_explode"),
        (WritesInPlace, "states_are_values"),
        (UnrollsSomethingElse, "unroll_is_the_loop"),
        (UnrollsToAnotherState, "unroll_is_the_loop"),
        (UnrollsWithoutAGradient, "unroll_is_the_loop"),
        (ForgetsTheState, "splits_anywhere"),
        (TakesAnyReads, "refuses_wrong_reads"),
        (TakesNegativeReads, "refuses_wrong_reads"),
        (HasAnotherBatch, "starts_as_asked"),
        (IgnoresTheType, "starts_as_asked"),
        (IgnoresTheParametersType, "starts_as_asked"),
        (IgnoresTheDevice, "starts_as_asked"),
        (FeelsEmptySlots, "empty_slots_change_nothing"),
        (FeelsRoomThatIsMadeLate, "empty_slots_change_nothing"),
        (DoesNotSayThatItGrows, "grows_as_declared"),
        (GrowsAtTheFront, "grows_as_declared"),
        (SaysThatAllGrows, "grows_as_declared"),
        (ShowsAnotherMatrix, "matrix_is_the_read"),
        (ForgetsThatItFades, "contributions_sum_up"),
        (MixesImages, "contributions_sum_up"),
        (WidensTheType, "keeps_type"),
        (WidensTheState, "keeps_type"),
        (StartsInHalfPrecision, "safe_under_autocast"),
        (ListensToAutocast, "safe_under_autocast"),
        (HasAnIdleParameter, "learns"),
        (RollsDice, "repeats"),
        (HandsOutAList, "state_is_explicit"),
        (HasTheBatchSecond, "state_is_explicit"),
    ],
)
def test_a_wrong_memory_is_caught_by_name(cls: type, check: str) -> None:
    with pytest.raises(ContractError, match=cls.__name__) as caught:
        check_memory(cls)
    assert check in caught.value.broken


class CountsItsImages(Sum):
    """Right in every way, but for what no graph can have."""

    def _read(self, state: State, q: Tensor) -> Tensor:
        return super()._read(state, q) * (int(q.shape[0]) > 0)


def test_what_cannot_be_exported_is_caught_by_name() -> None:
    assert check_memory(CountsItsImages, export=False)
    with pytest.raises(
        ContractError, match=r"exports: .*memory \(CountsItsImages\), at test_testing_memories.py"
    ) as caught:
        check_memory(CountsItsImages)
    assert set(caught.value.broken) == {"exports"}


def test_what_breaks_its_contract_is_not_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stawm.nn.testing.export.export_fault", lambda *args: pytest.fail("it was exported"))
    with pytest.raises(ContractError) as caught:
        check_memory(HasAnIdleParameter)
    assert "exports" not in caught.value.broken


def test_every_memory_check_catches_something() -> None:
    (mark,) = test_a_wrong_memory_is_caught_by_name.pytestmark
    assert {check for _, check in mark.args[1]} == set(MEMORY_CHECKS)
