"""Differentiable plasticity as a module: it owns the weights and calls `stawm.core.plasticity`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stawm.configuration import FRACTION
from stawm.configuration import Config as BaseConfig
from stawm.core import plasticity as core
from stawm.core.plasticity import Rates, State, Weights
from stawm.nn.memories.base import Contributions, Memory
from stawm.nn.memories.rates import fraction, raw_fraction
from stawm.nn.precision import full_precision


class Plasticity(Memory[State]):
    """Differentiable plasticity: y = tanh((w + α∘H)x), H ← (1-η)H + ηyxᵀ, read (w + α∘H)q (Miconi et al. 2018).

    The input e is x, what the sending neurons do. The fixed weights are part of the rule, so an empty
    memory reads w q, not zeros.

    Attributes:
        w: The fixed weights, (m, m).
        alpha: α, how plastic each connection is, (m, m).
        raw_eta: What is behind η; see `rates`.
    """

    formerly: ClassVar = {"raw_eta": "eta"}
    reads_many = True

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Configuration of differentiable plasticity."""

        name: str = "plasticity"
        trace: Literal["hebb", "oja"] = "hebb"
        """How the trace fades: everywhere at the same rate, or as fast as the receiving neuron is active."""
        eta: Annotated[float, FRACTION] = 0.1
        """η, how fast the trace follows."""
        learnable: bool = True
        """Whether η is trained, inside its range."""

    def __init__(self, config: Config | None = None, *, memory_size: int) -> None:
        """Draw the weights, both from a normal distribution of variance 1/m."""
        config = config or self.Config()
        super().__init__(config, memory_size=memory_size)
        self.w = nn.Parameter(torch.randn(memory_size, memory_size) / memory_size**0.5)
        self.alpha = nn.Parameter(torch.randn(memory_size, memory_size) / memory_size**0.5)
        self.raw_eta = nn.Parameter(torch.tensor(raw_fraction(config.eta)), requires_grad=config.learnable)

    @property
    def weights(self) -> Weights:
        """The two matrices as they act."""
        return Weights(full_precision(self.w), full_precision(self.alpha))

    @property
    def rates(self) -> Rates:
        """η as it acts."""
        return Rates(fraction(full_precision(self.raw_eta)))

    def init_state(self, batch: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None) -> State:
        """Return the memory without a trace."""
        return core.init_state(batch, self.memory_size, **self._where(device, dtype))

    def matrix(self, state: State) -> Float[Tensor, "b m m"]:
        """Return w + α∘H."""
        return core.matrix(state, self.weights)

    def _write(self, state: State, e: Tensor) -> State:
        return core.write(state, e, self.weights, self.rates, trace=self.config.trace)

    def _read(self, state: State, q: Tensor) -> Tensor:
        return core.read(state, q, self.weights)

    def _unroll(self, E: Tensor, Q: Tensor, reads: Sequence[int], state: State | None) -> tuple[Tensor, State]:
        return core.unroll(E, Q, reads, self.weights, self.rates, state, trace=self.config.trace)

    def _contributions(self, E: Tensor, q: Tensor) -> Contributions:
        writes = core.contributions(E, q, self.weights, self.rates, trace=self.config.trace)
        return Contributions(writes, q @ self.weights.w.mT)
