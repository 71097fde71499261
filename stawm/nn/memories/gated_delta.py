"""The gated delta rule as a module: it owns the projections and calls `stawm.core.gated_delta`."""

from dataclasses import dataclass
from types import ModuleType
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn

from stawm.configuration import Interval
from stawm.core import gated_delta
from stawm.nn.memories.delta import Delta
from stawm.nn.memories.projections import project
from stawm.nn.memories.rates import raw_fraction


class GatedDelta(Delta):
    """The gated delta rule: S ← αS(I - βkkᵀ) + βvkᵀ, read S q: the delta rule that also forgets (Yang et al. 2025).

    `Delta` with one more number made of each input e: α in (0, 1), the share of everything that is
    kept. It is σ of a linear layer, ``keep``, which is the papers' exp(-A softplus(…)) with A = 1.
    """

    rule: ClassVar[ModuleType] = gated_delta

    @dataclass(frozen=True, kw_only=True)
    class Config(Delta.Config):
        """Configuration of the gated delta rule."""

        name: str = "gated-delta"
        decay: Annotated[float, Interval(0, 1, open_low=True, open_high=True)] = 0.95
        """What α is for e = 0 before any training."""

    def __init__(self, config: Config | None = None, *, memory_size: int) -> None:
        config = config or self.Config()
        super().__init__(config, memory_size=memory_size)
        self.keep = nn.Linear(memory_size, 1)
        with torch.no_grad():
            self.keep.bias.fill_(raw_fraction(config.decay))

    def _terms(self, e: Tensor) -> tuple[Tensor, ...]:
        what = e if self.bind == "self" else e.chunk(2, dim=-1)[0]
        return *super()._terms(e), project(self.keep, what)[..., 0].sigmoid()
