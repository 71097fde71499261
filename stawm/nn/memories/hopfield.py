"""Softmax retrieval as a module; the equations are in `stawm.core.hopfield`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stawm.configuration import POSITIVE
from stawm.configuration import Config as BaseConfig
from stawm.core import hopfield as core
from stawm.core.hopfield import Rates, State
from stawm.nn.memories.base import Contributions, Memory
from stawm.nn.memories.rates import positive, raw_positive
from stawm.nn.precision import full_precision, without_autocast


class Hopfield(Memory[State]):
    """Modern Hopfield retrieval: keep every e, read Σ softmax(β e·q) e (Ramsauer et al. 2020)."""

    grows = ("E", "valid")
    formerly: ClassVar = {"raw_beta": "beta"}
    reads_many = True

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Configuration of softmax retrieval."""

        name: str = "hopfield"
        beta: Annotated[float, POSITIVE] | None = None
        """β, how sharply a read picks; 1/√m where left out, as in attention."""
        learnable: bool = False
        """Whether β is trained; it stays positive."""

    def __init__(self, config: Config | None = None, *, memory_size: int) -> None:
        config = config or self.Config()
        super().__init__(config, memory_size=memory_size)
        beta = memory_size**-0.5 if config.beta is None else config.beta
        self.raw_beta = nn.Parameter(torch.tensor(raw_positive(beta)), requires_grad=config.learnable)

    @property
    def rates(self) -> Rates:
        """β as it acts, made of ``raw_beta``."""
        return Rates(positive(full_precision(self.raw_beta)))

    def init_state(self, batch: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None) -> State:
        """Return a memory of nothing."""
        return core.init_state(batch, self.memory_size, **self._where(device, dtype))

    def matrix(self, state: State) -> Float[Tensor, "b m m"]:
        """Return the derivative of the read at q = 0."""
        with without_autocast(state.E):
            return core.matrix(state, self.rates)

    def _write(self, state: State, e: Tensor) -> State:
        return core.write(state, e)

    def _read(self, state: State, q: Tensor) -> Tensor:
        return core.read(state, q, self.rates)

    def _unroll(self, E: Tensor, Q: Tensor, reads: Sequence[int], state: State | None) -> tuple[Tensor, State]:
        return core.unroll(E, Q, reads, self.rates, state)

    def _contributions(self, E: Tensor, q: Tensor) -> Contributions:
        return Contributions(core.contributions(E, q, self.rates), torch.zeros_like(q))
