"""The delta rule as a module: it owns the projections and calls `stawm.core.delta`."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stawm.configuration import Config as BaseConfig
from stawm.configuration import Interval
from stawm.core import delta
from stawm.core.delta import State
from stawm.nn.memories.base import Contributions, Memory
from stawm.nn.memories.projections import EPSILON, project, unit
from stawm.nn.precision import full_precision, without_autocast


class Delta(Memory[State]):
    """The delta rule: S ← S(I - βkkᵀ) + βvkᵀ, read S q: what stands under a key is replaced (Schlag et al. 2021).

    Of each input e it makes a key k of length 1, a value v and a strength β, as Schlag et al. (2021)
    and Yang et al. (2024) do, without their feature map and convolution; queries go the way of the
    keys. An empty memory reads zeros.

    Attributes:
        key: From e, or from where it was seen, to k, before it is given length 1.
        value: From e, or from what was seen, to v.
        strength: From the same to β, before the sigmoid.
        query: From q to what the memory is asked, before it is given length 1.
    """

    rule: ClassVar[ModuleType] = delta
    reads_many = True

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Configuration of the delta rule."""

        name: str = "delta"
        beta_max: Annotated[float, Interval(0, 2, open_low=True)] = 1.0
        """What β stays below; above 1 a write can overshoot, below 2 it still moves no two memories apart."""
        normalise_query: bool = True
        """Whether queries are given length 1 too, as in the papers; without it reading is linear."""
        bind: Literal["self", "what-where"] = "self"
        """What a key and a value are made of: both of e, or the key of where it was seen and the value of what was,
        so that what is seen later at a place replaces what was seen there before, whatever it was."""

    def __init__(self, config: Config | None = None, *, memory_size: int) -> None:
        config = config or self.Config()
        super().__init__(config, memory_size=memory_size)
        self.bind = config.bind
        self.key = nn.Linear(memory_size, memory_size, bias=False)
        self.value = nn.Linear(memory_size, memory_size, bias=False)
        self.strength = nn.Linear(memory_size, 1)
        self.query = nn.Linear(memory_size, memory_size, bias=False)

    def init_state(self, batch: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None) -> State:
        """Return the empty memory."""
        return delta.init_state(batch, self.memory_size, **self._where(device, dtype))

    def matrix(self, state: State) -> Float[Tensor, "b m m"]:
        """Return S times the query's projection; where queries are given length 1, over the root of `EPSILON`."""
        with without_autocast(state.S):
            W = state.S @ full_precision(self.query.weight)
        return W / EPSILON**0.5 if self.config.normalise_query else W

    def _write(self, state: State, e: Tensor) -> State:
        return self.rule.write(state, *self._terms(e))

    def _read(self, state: State, q: Tensor) -> Tensor:
        return delta.read(state, self._asked(q))

    def _unroll(self, E: Tensor, Q: Tensor, reads: Sequence[int], state: State | None) -> tuple[Tensor, State]:
        return self.rule.unroll(*self._terms(E), self._asked(Q), reads, state)

    def _contributions(self, E: Tensor, q: Tensor) -> Contributions:
        return Contributions(self.rule.contributions(*self._terms(E), self._asked(q)), torch.zeros_like(q))

    def _terms(self, e: Tensor) -> tuple[Tensor, ...]:
        """What the rule writes: k, v, β; bound to where it was, k is made of that, and v and β of what it is."""
        what, where = (e, e) if self.bind == "self" else e.chunk(2, dim=-1)
        beta = self.config.beta_max * project(self.strength, what)[..., 0].sigmoid()
        return unit(project(self.key, where)), project(self.value, what), beta

    def _asked(self, q: Tensor) -> Tensor:
        asked = project(self.query, q)
        return unit(asked) if self.config.normalise_query else asked
