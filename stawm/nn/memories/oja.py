"""Oja's subspace rule as a module: it owns the start and the rate, and calls `stawm.core.oja`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stawm.configuration import Config as BaseConfig
from stawm.configuration import Interval
from stawm.core import oja as core
from stawm.core.oja import Rates, State
from stawm.nn.memories.base import Contributions, Memory
from stawm.nn.memories.projections import unit
from stawm.nn.memories.rates import fraction, raw_fraction
from stawm.nn.precision import full_precision


class Oja(Memory[State]):
    """Oja's subspace rule: y = S x, S ← S + ηy(x - Sᵀy)ᵀ, read S q: the axes of what was seen (Oja 1982, 1989).

    S = 0 would stay 0, so every image starts from one learned matrix S₀, with which an empty memory
    reads. Inputs are given length 1 before they are written: then η < 1 keeps |S|² ≤ max(|S₀|², 1 + η/2)
    for ever, while |S₀|² ≤ 2 (`stawm.core.oja.bound`). Without that the rule, cubic in S, diverges as
    soon as η|e|² is beyond 2, which the memory inputs of the presets are.

    Attributes:
        start: S₀, (m, m).
        raw_eta: What is behind η; see `rates`.
    """

    formerly: ClassVar = {"raw_eta": "eta"}
    reads_many = True

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Configuration of Oja's rule."""

        name: str = "oja"
        eta: Annotated[float, Interval(0, 1, open_low=True)] = 0.5
        """η, how fast S follows."""
        learnable: bool = True
        """Whether η is trained, inside its range."""
        normalise: bool = True
        """Whether e is given length 1 before it is written."""

    def __init__(self, config: Config | None = None, *, memory_size: int) -> None:
        """Draw S₀ from a normal distribution of variance 1/(4m), which makes |S₀| about 1."""
        config = config or self.Config()
        super().__init__(config, memory_size=memory_size)
        self.start = nn.Parameter(torch.randn(memory_size, memory_size) / (2 * memory_size**0.5))
        self.raw_eta = nn.Parameter(torch.tensor(raw_fraction(config.eta)), requires_grad=config.learnable)

    @property
    def rates(self) -> Rates:
        """η as it acts."""
        return Rates(fraction(full_precision(self.raw_eta)))

    def init_state(self, batch: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None) -> State:
        """Return S₀ for every image."""
        return core.init_state(batch, full_precision(self.start).to(device=device, dtype=dtype))

    def matrix(self, state: State) -> Float[Tensor, "b m m"]:
        """Return S."""
        return core.matrix(state)

    def _write(self, state: State, e: Tensor) -> State:
        return core.write(state, self._seen(e), self.rates)

    def _read(self, state: State, q: Tensor) -> Tensor:
        return core.read(state, q)

    def _unroll(self, E: Tensor, Q: Tensor, reads: Sequence[int], state: State | None) -> tuple[Tensor, State]:
        return core.unroll(self._seen(E), Q, reads, full_precision(self.start), self.rates, state)

    def _contributions(self, E: Tensor, q: Tensor) -> Contributions:
        return Contributions(*core.contributions(self._seen(E), q, full_precision(self.start), self.rates))

    def _seen(self, e: Tensor) -> Tensor:
        return unit(e) if self.config.normalise else e
