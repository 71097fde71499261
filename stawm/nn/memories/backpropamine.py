"""Backpropamine as a module: it owns the weights and what modulates them, and calls `stawm.core.backpropamine`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stawm.configuration import FRACTION, POSITIVE
from stawm.configuration import Config as BaseConfig
from stawm.core import backpropamine as core
from stawm.core.backpropamine import State
from stawm.core.plasticity import Rates, Weights
from stawm.nn.memories.base import Memory
from stawm.nn.memories.projections import project
from stawm.nn.memories.rates import fraction, raw_fraction
from stawm.nn.precision import full_precision


class Backpropamine(Memory[State]):
    """Backpropamine: H ← clip(H + M y xᵀ), read (w + α∘H)q, where M says how much is noted (Miconi et al. 2019).

    The input e is x, what the sending neurons do, and M = tanh(a·e + c) is made of it too. The fixed
    weights are part of the rule, so an empty memory reads w q, not zeros; in the retroactive form so
    does a memory after its first write.

    Attributes:
        w: The fixed weights, (m, m).
        alpha: α, how plastic each connection is, (m, m).
        modulator: From e to M, before the tanh.
        raw_eta: What is behind η of the retroactive form, else None; see `rates`.
    """

    formerly: ClassVar = {"raw_eta": "eta"}
    reads_many = True

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Configuration of backpropamine."""

        name: str = "backpropamine"
        retroactive: bool = False
        """Whether M works on an eligibility trace of what was active before, not on what is active now."""
        clip: Annotated[float, POSITIVE] = 1.0
        """What no entry of H exceeds."""
        eta: Annotated[float, FRACTION] = 0.5
        """η, how fast the eligibility trace follows; the simple form has none."""
        learnable: bool = True
        """Whether η is trained, inside its range."""

    def __init__(self, config: Config | None = None, *, memory_size: int) -> None:
        """Draw the weights, w and α from a normal distribution of variance 1/m."""
        config = config or self.Config()
        super().__init__(config, memory_size=memory_size)
        self.w = nn.Parameter(torch.randn(memory_size, memory_size) / memory_size**0.5)
        self.alpha = nn.Parameter(torch.randn(memory_size, memory_size) / memory_size**0.5)
        self.modulator = nn.Linear(memory_size, 1)
        eta = nn.Parameter(torch.tensor(raw_fraction(config.eta)), requires_grad=config.learnable)
        self.raw_eta = eta if config.retroactive else None

    @property
    def weights(self) -> Weights:
        """The two matrices as they act."""
        return Weights(full_precision(self.w), full_precision(self.alpha))

    @property
    def rates(self) -> Rates:
        """η as it acts."""
        return Rates(self.config.eta if self.raw_eta is None else fraction(full_precision(self.raw_eta)))

    def init_state(self, batch: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None) -> State:
        """Return the memory without a trace."""
        where = self._where(device, dtype)
        return core.init_state(batch, self.memory_size, retroactive=self.config.retroactive, **where)

    def matrix(self, state: State) -> Float[Tensor, "b m m"]:
        """Return w + α∘H."""
        return core.matrix(state, self.weights)

    def _write(self, state: State, e: Tensor) -> State:
        return core.write(state, e, self._modulation(e), self.weights, self.rates, clip=self.config.clip)

    def _read(self, state: State, q: Tensor) -> Tensor:
        return core.read(state, q, self.weights)

    def _unroll(self, E: Tensor, Q: Tensor, reads: Sequence[int], state: State | None) -> tuple[Tensor, State]:
        options = {"clip": self.config.clip, "retroactive": self.config.retroactive}
        return core.unroll(E, self._modulation(E), Q, reads, self.weights, self.rates, state, **options)

    def _modulation(self, e: Tensor) -> Tensor:
        return project(self.modulator, e)[..., 0].tanh()
