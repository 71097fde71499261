"""The paper's memory as a module: it owns the three rates and calls `stawm.core.hebb_rosenblatt`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stawm.configuration import NON_NEGATIVE, POSITIVE, Interval
from stawm.configuration import Config as BaseConfig
from stawm.core import hebb_rosenblatt as core
from stawm.core.activations import ACTIVATIONS
from stawm.core.hebb_rosenblatt import Rates, State
from stawm.core.stacks import Form
from stawm.nn.memories.base import Contributions, Memory
from stawm.nn.memories.rates import fraction, positive, raw_fraction, raw_positive
from stawm.nn.precision import full_precision, without_autocast


class HebbRosenblatt(Memory[State]):
    """The Hebb-Rosenblatt memory: W ← (1-δ)W + η e φ(W e + θ e)ᵀ, read W q (Harris et al. 2019, Eq. 2).

    Attributes:
        delta: δ where the rates are free. Where they are constrained there is ``raw_delta`` in its place,
            from which `rates` makes it; likewise the others.
        eta: η, or ``raw_eta``.
        theta: θ, or ``raw_theta``.
        form: The form in force; it may be changed at any time, since no parameter depends on it.
    """

    grows = ("E", "F")
    formerly: ClassVar = {"raw_delta": "delta", "raw_eta": "eta", "raw_theta": "theta"}
    reads_many = True

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Configuration of the Hebb-Rosenblatt memory."""

        name: str = "hebb-rosenblatt"
        delta: float = 0.2
        """δ, what a write takes away of W."""
        eta: float = 0.4
        """η, the size of the increment."""
        theta: float = 0.5
        """θ, the share of e that a neuron gets besides W e."""
        learnable: bool = True
        """Whether the rates are trained."""
        constrained: bool = False
        """Whether training keeps δ in (0, 1] (a sigmoid) and η, θ ≥ 0 (softplus); the paper leaves them free."""
        normalise: Annotated[float, POSITIVE] | None = None
        """c: scale e down where η|e|² would exceed c·δ; below 1 every write is a contraction."""
        orientation: Literal["paper", "appendix"] = "paper"
        """W e as in Eq. 2, or Wᵀ e as in Eq. 8."""
        activation: Literal["relu6", "sigmoid", "hard-sigmoid", "identity"] = "relu6"
        """φ."""
        form: Literal["auto", "dense", "factored"] = "auto"
        """How the state is kept; "auto" keeps rows while there are fewer than 2m, then the matrix."""

        def faults(self) -> list[str]:
            """Rates that constraining or normalising could not hold are at fault."""
            ranges = {"delta": Interval(0, 1, open_low=True), "eta": NON_NEGATIVE, "theta": NON_NEGATIVE}
            found = [
                f"{self.name}: with constrained rates {key} must be in {legal}; got {getattr(self, key)!r}."
                for key, legal in ranges.items()
                if self.constrained and getattr(self, key) not in legal
            ]
            if self.normalise is not None and not self.constrained and (self.delta <= 0 or self.eta < 0):
                found.append(
                    f"{self.name}: normalise keeps η|e|² ≤ c·δ, which needs delta > 0 and eta ≥ 0; "
                    f"got delta {self.delta!r}, eta {self.eta!r}."
                )
            return found

    def __init__(self, config: Config | None = None, *, memory_size: int) -> None:
        config = config or self.Config()
        super().__init__(config, memory_size=memory_size)
        raw = (raw_fraction, raw_positive, raw_positive) if config.constrained else (float, float, float)
        for name, key, inverse in zip(self._names, Rates._fields, raw, strict=True):
            start = torch.tensor(inverse(getattr(config, key)))
            self.register_parameter(name, nn.Parameter(start, requires_grad=config.learnable))
        self.form: Form = config.form
        self.phi = ACTIVATIONS[config.activation].phi

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(self.formerly) if self.config.constrained else Rates._fields

    @property
    def rates(self) -> Rates:
        """δ, η, θ as they act."""
        delta, eta, theta = (full_precision(getattr(self, name)) for name in self._names)
        if self.config.constrained:
            least = torch.finfo(delta.dtype).eps  # below it 1 - δ is 1 in this arithmetic, and δ might as well be 0
            return Rates(fraction(delta).clamp(min=least), positive(eta), positive(theta))
        return Rates(delta, eta, theta)

    def init_state(self, batch: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None) -> State:
        """Return the empty memory, in the form that `form` gives it."""
        init = core.init_dense if self.form == "dense" else core.init_factored
        return init(batch, self.memory_size, **self._where(device, dtype))

    def matrix(self, state: State) -> Float[Tensor, "b m m"]:
        """Return the matrix that `read` multiplies the query by."""
        with without_autocast(state[0]):
            W = core.matrix(state, self.rates)
        return W if self.config.orientation == "paper" else W.mT

    def _write(self, state: State, e: Tensor) -> State:
        rates = self.rates
        state = core.settle(state, self.form, 1, rates)
        return core.write(state, self._scaled(e, rates), rates, self.config.orientation, self.phi)

    def _read(self, state: State, q: Tensor) -> Tensor:
        return core.read(state, q, self.rates, self.config.orientation)

    def _unroll(self, E: Tensor, Q: Tensor, reads: Sequence[int], state: State | None) -> tuple[Tensor, State]:
        rates, options = self.rates, {"orientation": self.config.orientation, "phi": self.phi, "form": self.form}
        return core.unroll(self._scaled(E, rates), Q, reads, rates, state, **options)

    def _contributions(self, E: Tensor, q: Tensor) -> Contributions:
        rates = self.rates
        writes = core.contributions(self._scaled(E, rates), q, rates, self.config.orientation, self.phi)
        return Contributions(writes, torch.zeros_like(q))

    def _settle(self, state: State, writes: int) -> State:
        return core.settle(state, self.form, writes, self.rates)

    def _scaled(self, e: Tensor, rates: Rates) -> Tensor:
        c = self.config.normalise
        return e if c is None else core.normalise(e, rates, c)
