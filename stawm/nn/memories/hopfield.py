"""Softmax retrieval as a module; the equations are in `stawm.core.hopfield`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stawm.configuration import POSITIVE
from stawm.configuration import Config as BaseConfig
from stawm.core import hopfield as core
from stawm.core.hopfield import Rates, State
from stawm.core.stacks import check_stack
from stawm.nn.memories.base import Memory
from stawm.nn.memories.rates import positive, raw_positive
from stawm.nn.precision import full_precision, without_autocast


class Hopfield(Memory[State]):
    """Modern Hopfield retrieval: keep every e, read Σ softmax(β e·q) e (Ramsauer et al. 2020).

    Attributes:
        beta: The raw parameter behind β; see `rates`.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Configuration of softmax retrieval."""

        name: str = "hopfield"
        beta: Annotated[float, POSITIVE] | None = None
        """β, how sharply a read picks; 1/√m where left out, as in attention."""
        learnable: bool = False
        """Whether β is trained; it stays positive."""

    def __init__(self, config: Config | None = None, *, memory_size: int) -> None:
        """Make β.

        Args:
            config: The configuration.
            memory_size: m.
        """
        config = config or self.Config()
        super().__init__(config, memory_size=memory_size)
        beta = memory_size**-0.5 if config.beta is None else config.beta
        self.beta = nn.Parameter(torch.tensor(raw_positive(beta)), requires_grad=config.learnable)

    @property
    def rates(self) -> Rates:
        """β as it acts."""
        return Rates(positive(full_precision(self.beta)))

    def init_state(
        self, batch: int, *, slots: int = 0, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> State:
        """Return a memory of nothing."""
        device, dtype = device or self.beta.device, dtype or full_precision(self.beta).dtype
        return core.init_state(batch, self.memory_size, slots, device=device, dtype=dtype)

    def write(self, state: State, e: Float[Tensor, "b m"]) -> State:
        """Return the state with one more pattern."""
        return core.write(state, full_precision(e))

    def read(self, state: State, q: Float[Tensor, "b m"]) -> Float[Tensor, "b m"]:
        """Return the mean of the patterns, weighted by the softmax of β e·q."""
        q = full_precision(q)
        with without_autocast(q):
            return core.read(state, q, self.rates)

    def matrix(self, state: State) -> Float[Tensor, "b m m"]:
        """Return the derivative of the read at q = 0."""
        with without_autocast(state.E):
            return core.matrix(state, self.rates)

    def unroll(
        self, E: Float[Tensor, "b n m"], Q: Float[Tensor, "b k m"], reads: Sequence[int], state: State | None = None
    ) -> tuple[Float[Tensor, "b k m"], State]:
        """Write a whole stack and read after chosen writes, in one masked attention."""
        check_stack(E, Q, reads, self.memory_size)
        E, Q = full_precision(E), full_precision(Q)
        with without_autocast(E):
            return core.unroll(E, Q, reads, self.rates, state)
