"""Fast weights as a module; the equations are in `stawm.core.fast_weights`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stawm.configuration import FRACTION, NON_NEGATIVE
from stawm.configuration import Config as BaseConfig
from stawm.core import fast_weights as core
from stawm.core.fast_weights import Rates, State
from stawm.core.stacks import Form
from stawm.nn.memories.base import Contributions, Memory
from stawm.nn.memories.rates import fraction, positive, raw_fraction, raw_positive
from stawm.nn.precision import full_precision, without_autocast


class FastWeights(Memory[State]):
    """Fast weights: A ← λA + η e eᵀ, read A q (Ba et al. 2016).

    What is read grows with |e|², so their network passes it through a layer norm before its
    activation; `layer_norm` puts one on every read. It is off by default, so that reading is the
    linear A q of every other rule; turn it on where |e| is large or changes much in training.

    Attributes:
        raw_decay: What is behind λ; see `rates`.
        raw_eta: What is behind η; see `rates`.
        form: The form in force; it may be changed at any time, since no parameter depends on it.
    """

    grows = ("E",)
    formerly: ClassVar = {"raw_decay": "decay", "raw_eta": "eta"}
    reads_many = True

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Configuration of fast weights."""

        name: str = "fast-weights"
        decay: Annotated[float, FRACTION] = 0.95
        """λ, what a write keeps of A."""
        eta: Annotated[float, NON_NEGATIVE] = 0.5
        """η, the size of the increment."""
        learnable: bool = False
        """Whether λ and η are trained, each inside its range; they are fixed in the paper."""
        layer_norm: bool = False
        """Whether what is read passes a layer norm with its own gain and bias."""
        form: Literal["auto", "dense", "factored"] = "auto"
        """How the state is kept; "auto" keeps rows while there are fewer than 2m, then the matrix."""

    def __init__(self, config: Config | None = None, *, memory_size: int) -> None:
        config = config or self.Config()
        super().__init__(config, memory_size=memory_size)
        self.raw_decay = nn.Parameter(torch.tensor(raw_fraction(config.decay)), requires_grad=config.learnable)
        self.raw_eta = nn.Parameter(torch.tensor(raw_positive(config.eta)), requires_grad=config.learnable)
        self.norm = nn.LayerNorm(memory_size) if config.layer_norm else None
        self.form: Form = config.form

    @property
    def rates(self) -> Rates:
        """λ and η as they act."""
        return Rates(fraction(full_precision(self.raw_decay)), positive(full_precision(self.raw_eta)))

    def init_state(self, batch: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None) -> State:
        """Return the empty memory, in the form that `form` gives it."""
        init = core.init_dense if self.form == "dense" else core.init_factored
        return init(batch, self.memory_size, **self._where(device, dtype))

    def matrix(self, state: State) -> Float[Tensor, "b m m"]:
        """Return A; with the layer norm, the matrix of its derivative where A q is zero."""
        with without_autocast(state[0]):
            A = core.matrix(state, self.rates)
        if self.norm is None:
            return A
        return full_precision(self.norm.weight)[:, None] * (A - A.mean(dim=1, keepdim=True)) / self.norm.eps**0.5

    def _write(self, state: State, e: Tensor) -> State:
        return core.write(self._settle(state, 1), e, self.rates)

    def _read(self, state: State, q: Tensor) -> Tensor:
        return self._normed(core.read(state, q, self.rates))

    def _unroll(self, E: Tensor, Q: Tensor, reads: Sequence[int], state: State | None) -> tuple[Tensor, State]:
        Y, state = core.unroll(E, Q, reads, self.rates, state, form=self.form)
        return self._normed(Y), state

    def _contributions(self, E: Tensor, q: Tensor) -> Contributions:
        writes = core.contributions(E, q, self.rates)
        if self.norm is None:
            return Contributions(writes, torch.zeros_like(q))
        # The layer norm divides the sum by one number, and so each of its terms; its bias is no write's.
        spread = (writes.sum(dim=1, keepdim=True).var(dim=2, keepdim=True, correction=0) + self.norm.eps).sqrt()
        centred = writes - writes.mean(dim=2, keepdim=True)
        bias = full_precision(self.norm.bias).expand_as(q)
        return Contributions(full_precision(self.norm.weight) * centred / spread, bias)

    def _settle(self, state: State, writes: int) -> State:
        return core.settle(state, self.form, writes, self.rates)

    def _normed(self, y: Tensor) -> Tensor:
        if self.norm is None:
            return y
        gain, bias = full_precision(self.norm.weight), full_precision(self.norm.bias)
        return nn.functional.layer_norm(y, y.shape[-1:], gain, bias, self.norm.eps)
