"""The bag as a module: it owns three matrices and calls `stawm.core.mean`."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stawm.core import mean as core
from stawm.core.mean import State, Weights
from stawm.nn.memories.base import Memory
from stawm.nn.memories.sizing import ControlConfig, parameters_of
from stawm.nn.precision import full_precision, without_autocast


class Mean(Memory[State]):
    """A control: the mean ē of what was written, read V ReLU(A ē + B q): a bag without order (Zaheer et al. 2017).

    Attributes:
        A: From the mean to the hidden layer, (h, m).
        B: From the query to it, (h, m).
        V: From it to what is read, (m, h).
    """

    reads_many = True

    @dataclass(frozen=True, kw_only=True)
    class Config(ControlConfig):
        """Configuration of the bag."""

        name: str = "mean"

    def __init__(self, config: Config | None = None, *, memory_size: int) -> None:
        """Draw the matrices from normal distributions, each of variance one over how many numbers it adds up."""
        config = config or self.Config()
        super().__init__(config, memory_size=memory_size)
        h = config.width or max(1, round(parameters_of(config.parameters_of, memory_size) / (3 * memory_size)))
        self.A = nn.Parameter(torch.randn(h, memory_size) / memory_size**0.5)
        self.B = nn.Parameter(torch.randn(h, memory_size) / memory_size**0.5)
        self.V = nn.Parameter(torch.randn(memory_size, h) / h**0.5)

    @property
    def weights(self) -> Weights:
        """The matrices as they act."""
        return Weights(*map(full_precision, (self.A, self.B, self.V)))

    def init_state(self, batch: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None) -> State:
        """Return the memory of nothing."""
        return core.init_state(batch, self.memory_size, **self._where(device, dtype))

    def matrix(self, state: State) -> Float[Tensor, "b m m"]:
        """Return the derivative of the read at q = 0."""
        with without_autocast(state.S):
            return core.matrix(state, self.weights)

    def _write(self, state: State, e: Tensor) -> State:
        return core.write(state, e)

    def _read(self, state: State, q: Tensor) -> Tensor:
        return core.read(state, q, self.weights)

    def _unroll(self, E: Tensor, Q: Tensor, reads: Sequence[int], state: State | None) -> tuple[Tensor, State]:
        return core.unroll(E, Q, reads, self.weights, state)
