"""Differentiable plasticity as a module: it owns the weights and calls `stawm.core.plasticity`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stawm.configuration import FRACTION
from stawm.configuration import Config as BaseConfig
from stawm.core import plasticity as core
from stawm.core.plasticity import Rates, State, Weights
from stawm.core.stacks import check_stack
from stawm.nn.memories.base import Memory
from stawm.nn.memories.rates import fraction, raw_fraction
from stawm.nn.precision import full_precision, without_autocast


class Plasticity(Memory[State]):
    """Differentiable plasticity: y = tanh((w + α∘H)x), H ← (1-η)H + ηyxᵀ, read (w + α∘H)q (Miconi et al. 2018).

    The input e is x, what the sending neurons do. The fixed weights are part of the rule, so an empty
    memory reads w q, not zeros.

    Attributes:
        w: The fixed weights, (m, m).
        alpha: α, how plastic each connection is, (m, m).
        eta: The raw parameter behind η; see `rates`.
    """

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
        """Draw the weights, both from a normal distribution of variance 1/m.

        Args:
            config: The configuration.
            memory_size: m.
        """
        config = config or self.Config()
        super().__init__(config, memory_size=memory_size)
        self.w = nn.Parameter(torch.randn(memory_size, memory_size) / memory_size**0.5)
        self.alpha = nn.Parameter(torch.randn(memory_size, memory_size) / memory_size**0.5)
        self.eta = nn.Parameter(torch.tensor(raw_fraction(config.eta)), requires_grad=config.learnable)

    @property
    def weights(self) -> Weights:
        """The two matrices as they act."""
        return Weights(full_precision(self.w), full_precision(self.alpha))

    @property
    def rates(self) -> Rates:
        """η as it acts."""
        return Rates(fraction(full_precision(self.eta)))

    def init_state(
        self, batch: int, *, slots: int = 0, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> State:
        """Return the memory without a trace; a matrix has no slots."""
        w = full_precision(self.w)
        return core.init_state(batch, self.memory_size, device=device or w.device, dtype=dtype or w.dtype)

    def write(self, state: State, e: Float[Tensor, "b m"]) -> State:
        """Return the state after one write."""
        e = full_precision(e)
        with without_autocast(e):
            return core.write(state, e, self.weights, self.rates, trace=self.config.trace)

    def read(self, state: State, q: Float[Tensor, "b m"]) -> Float[Tensor, "b m"]:
        """Return (w + α∘H) q."""
        q = full_precision(q)
        with without_autocast(q):
            return core.read(state, q, self.weights)

    def matrix(self, state: State) -> Float[Tensor, "b m m"]:
        """Return w + α∘H."""
        return core.matrix(state, self.weights)

    def unroll(
        self, E: Float[Tensor, "b n m"], Q: Float[Tensor, "b k m"], reads: Sequence[int], state: State | None = None
    ) -> tuple[Float[Tensor, "b k m"], State]:
        """Write a whole stack and read after chosen writes, without a matrix for each image on the way."""
        check_stack(E, Q, reads, self.memory_size)
        E, Q = full_precision(E), full_precision(Q)
        with without_autocast(E):
            return core.unroll(E, Q, reads, self.weights, self.rates, state, trace=self.config.trace)
