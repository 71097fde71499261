"""Fast weights as a module; the equations are in `stawm.core.fast_weights`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stawm.configuration import FRACTION, NON_NEGATIVE
from stawm.configuration import Config as BaseConfig
from stawm.core import fast_weights as core
from stawm.core.fast_weights import Rates, State
from stawm.core.stacks import Form, check_stack, is_factored
from stawm.nn.memories.base import Memory
from stawm.nn.memories.rates import fraction, positive, raw_fraction, raw_positive
from stawm.nn.precision import full_precision, without_autocast


class FastWeights(Memory[State]):
    """Fast weights: A ← λA + η e eᵀ, read A q (Ba et al. 2016).

    What is read grows with |e|², so their network passes it through a layer norm before its
    activation; `layer_norm` puts one on every read. It is off by default, so that reading is the
    linear A q of every other rule; turn it on where |e| is large or changes much in training.

    Attributes:
        decay: The raw parameter behind λ; see `rates`.
        eta: The raw parameter behind η; see `rates`.
        form: The form in force; it may be changed at any time, since no parameter depends on it.
    """

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
        """Make the rates.

        Args:
            config: The configuration.
            memory_size: m.
        """
        config = config or self.Config()
        super().__init__(config, memory_size=memory_size)
        self.decay = nn.Parameter(torch.tensor(raw_fraction(config.decay)), requires_grad=config.learnable)
        self.eta = nn.Parameter(torch.tensor(raw_positive(config.eta)), requires_grad=config.learnable)
        self.norm = nn.LayerNorm(memory_size) if config.layer_norm else None
        self.form: Form = config.form

    @property
    def rates(self) -> Rates:
        """λ and η as they act."""
        return Rates(fraction(full_precision(self.decay)), positive(full_precision(self.eta)))

    def init_state(
        self, batch: int, *, slots: int = 0, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> State:
        """Return the empty memory, in the form that `form` gives it."""
        where = {"device": device or self.decay.device, "dtype": dtype or full_precision(self.decay).dtype}
        if is_factored(self.form, slots, self.memory_size):
            return core.init_factored(batch, self.memory_size, slots, **where)
        return core.init_dense(batch, self.memory_size, **where)

    def write(self, state: State, e: Float[Tensor, "b m"]) -> State:
        """Return the state after one write."""
        e = full_precision(e)
        with without_autocast(e):
            return core.write(core.settle(state, self.form, 1, self.rates), e, self.rates)

    def read(self, state: State, q: Float[Tensor, "b m"]) -> Float[Tensor, "b m"]:
        """Return A q, through the layer norm where there is one."""
        q = full_precision(q)
        with without_autocast(q):
            return self._normed(core.read(state, q, self.rates))

    def matrix(self, state: State) -> Float[Tensor, "b m m"]:
        """Return A; with the layer norm, the matrix of its derivative where A q is zero."""
        with without_autocast(state[0]):
            A = core.matrix(state, self.rates)
        if self.norm is None:
            return A
        return full_precision(self.norm.weight)[:, None] * (A - A.mean(dim=1, keepdim=True)) / self.norm.eps**0.5

    def unroll(
        self, E: Float[Tensor, "b n m"], Q: Float[Tensor, "b k m"], reads: Sequence[int], state: State | None = None
    ) -> tuple[Float[Tensor, "b k m"], State]:
        """Write a whole stack and read after chosen writes, all at once."""
        check_stack(E, Q, reads, self.memory_size)
        E, Q = full_precision(E), full_precision(Q)
        with without_autocast(E):
            Y, state = core.unroll(E, Q, reads, self.rates, state, form=self.form)
            return self._normed(Y), state

    def _normed(self, y: Tensor) -> Tensor:
        if self.norm is None:
            return y
        gain, bias = full_precision(self.norm.weight), full_precision(self.norm.bias)
        return nn.functional.layer_norm(y, y.shape[-1:], gain, bias, self.norm.eps)
