"""The LSTM as a memory: it owns six arrays and calls `stawm.core.recurrent`."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stawm.core import recurrent as core
from stawm.core.recurrent import State, Weights
from stawm.nn.memories.base import Memory
from stawm.nn.memories.sizing import ControlConfig, parameters_of
from stawm.nn.precision import full_precision, without_autocast


class Recurrent(Memory[State]):
    """A control: an LSTM over what is written, read V ReLU(A h + B q) (Hochreiter and Schmidhuber 1997).

    Attributes:
        U: From what is written to the gates, (4h, m).
        R: From h to the gates, (4h, h).
        b: What is added to the gates, (4h,); 1 at the forget gate at first, so that it keeps.
        A: From h to the hidden layer of the read-out, (h, h).
        B: From the query to it, (h, m).
        V: From it to what is read, (m, h).
    """

    reads_many = True

    @dataclass(frozen=True, kw_only=True)
    class Config(ControlConfig):
        """Configuration of the LSTM."""

        name: str = "recurrent"

    def __init__(self, config: Config | None = None, *, memory_size: int) -> None:
        """Draw the matrices from normal distributions, each of variance one over how many numbers it adds up."""
        config, m = config or self.Config(), memory_size
        super().__init__(config, memory_size=m)
        self.width = h = config.width or width_for(parameters_of(config.parameters_of, m), m)
        self.U = nn.Parameter(torch.randn(4 * h, m) / m**0.5)
        self.R = nn.Parameter(torch.randn(4 * h, h) / h**0.5)
        self.b = nn.Parameter(torch.zeros(4 * h))
        with torch.no_grad():
            self.b[h : 2 * h].fill_(1.0)
        self.A = nn.Parameter(torch.randn(h, h) / h**0.5)
        self.B = nn.Parameter(torch.randn(h, m) / m**0.5)
        self.V = nn.Parameter(torch.randn(m, h) / h**0.5)

    @property
    def weights(self) -> Weights:
        """The arrays as they act."""
        return Weights(*map(full_precision, (self.U, self.R, self.b, self.A, self.B, self.V)))

    def init_state(self, batch: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None) -> State:
        """Return the memory before any write."""
        return core.init_state(batch, self.width, **self._where(device, dtype))

    def matrix(self, state: State) -> Float[Tensor, "b m m"]:
        """Return the derivative of the read at q = 0."""
        with without_autocast(state.h):
            return core.matrix(state, self.weights)

    def _write(self, state: State, e: Tensor) -> State:
        return core.write(state, e, self.weights)

    def _read(self, state: State, q: Tensor) -> Tensor:
        return core.read(state, q, self.weights)

    def _unroll(self, E: Tensor, Q: Tensor, reads: Sequence[int], state: State | None) -> tuple[Tensor, State]:
        return core.unroll(E, Q, reads, self.weights, state)


def width_for(parameters: int, m: int) -> int:
    """Return the width h with the nearest number of parameters, 5h² + (6m + 4) h.

    Examples:
        >>> width_for(5 * 7**2 + (6 * 32 + 4) * 7, 32)
        7
    """
    linear = 6 * m + 4
    return max(1, round((-linear + (linear**2 + 20 * parameters) ** 0.5) / 10))
