"""Hypothesis strategies for memories, and what their tests share.

Shapes, rates and a seed are drawn; tensors are made from the seed, so that a failing case is short to state.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, get_args

import torch
from hypothesis import strategies as st
from torch import Tensor

from stawm.core import hebb_rosenblatt as hr
from stawm.core.activations import ACTIVATIONS, Activation, Phi, relu6
from stawm.core.hebb_rosenblatt import DenseState, FactoredState, Orientation, Rates

EPS = torch.finfo(torch.float64).eps / 2

seeds = st.integers(0, 2**32 - 1)
deltas = st.floats(1e-3, 1)
gains = st.just(0.0) | st.floats(1e-6, 2)
orientations: st.SearchStrategy[Orientation] = st.sampled_from(get_args(Orientation))
bounded = st.sampled_from(["relu6", "sigmoid", "hard-sigmoid"])


def decimals(low: float, high: float) -> st.SearchStrategy[float]:
    """Numbers of six decimals: zero or well away from it, so that no product of a few underflows."""
    return st.floats(low, high).map(lambda x: round(x, 6))


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def write(W: Tensor, e: Tensor, rates: Rates, orientation: Orientation = "paper", phi: Phi = relu6) -> Tensor:
    """One write of the Hebb-Rosenblatt memory to its matrix."""
    after = hr.write(DenseState(W), e, rates, orientation, phi)
    assert isinstance(after, DenseState)
    return after.W


def rows(E: Tensor, rates: Rates, **options: Any) -> FactoredState:
    """A Hebb-Rosenblatt memory after a stack of writes, as what was written."""
    _, after = hr.unroll(E, E[:, :0], [], rates, form="factored", **options)
    assert isinstance(after, FactoredState)
    return after


class Stack(NamedTuple):
    """What `unroll` takes, with entries of both signs."""

    E: Tensor
    Q: Tensor
    reads: list[int]
    seed: int


@st.composite
def stacks(
    draw: st.DrawFn, *, b: int = 3, n: int = 6, m: int = 6, k: int = 4, least_n: int = 0, least_k: int = 1
) -> Stack:
    """Normal entries; any reads from 0 to n, repeated and in any order. The sizes are the largest ones."""
    batch, glimpses, width = draw(st.integers(1, b)), draw(st.integers(least_n, n)), draw(st.integers(1, m))
    reads = draw(st.lists(st.integers(0, glimpses), min_size=least_k, max_size=k))
    seed = draw(seeds)
    E, Q = normal(seed, (batch, glimpses, width), (batch, len(reads), width))
    return Stack(E, Q, reads, seed)


def normal(seed: int, *shapes: Sequence[int], dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Standard normal tensors."""
    random = generator(seed)
    return [torch.randn(*shape, generator=random, dtype=torch.float64).to(dtype) for shape in shapes]


class Case(NamedTuple):
    """The setting of the stability analysis: 0 ≤ e ≤ Φ₁, a bounded φ, legal rates."""

    E: Tensor
    rates: Rates
    activation: Activation
    orientation: Orientation
    input_bound: float
    seed: int

    @property
    def slack(self) -> float:
        """What rounding may add to a bound after all writes, as a factor."""
        return 1 + 8 * (self.E.shape[1] + 2) * EPS

    def step(self, W: Tensor, e: Tensor) -> Tensor:
        """One write to the matrix."""
        return write(W, e, self.rates, self.orientation, self.activation.phi)

    def course(self, W: Tensor | None = None) -> list[Tensor]:
        """W after 0, 1, … writes."""
        b, n, m = self.E.shape
        course = [torch.zeros(b, m, m, dtype=self.E.dtype) if W is None else W]
        for t in range(n):
            course.append(self.step(course[-1], self.E[:, t]))
        return course


@st.composite
def cases(draw: st.DrawFn, *, b: int = 3, n: int = 12, m: int = 48, least_n: int = 0) -> Case:
    """Uniform e with a share of exact zeros and of exact Φ₁. The sizes are the largest ones."""
    shape = draw(st.integers(1, b)), draw(st.integers(least_n, n)), draw(st.integers(1, m))
    bound, zeros, full = draw(st.floats(0.01, 6)), draw(st.sampled_from([0, 0.3, 1])), draw(st.sampled_from([0, 0.3]))
    seed = draw(seeds)
    random = generator(seed)
    u, kind = (torch.rand(*shape, generator=random, dtype=torch.float64) for _ in range(2))
    E = bound * torch.where(kind < full, torch.ones_like(u), torch.where(kind > 1 - zeros, torch.zeros_like(u), u))
    rates = Rates(draw(deltas), draw(gains), draw(gains))
    return Case(E, rates, ACTIVATIONS[draw(bounded)], draw(orientations), bound, seed)


def assert_near(got: Tensor, expected: Tensor, tolerance: float) -> None:
    """Equal relative to the largest magnitude."""
    assert_all_near([got], [expected], tolerance)


def assert_all_near(got: Sequence[Tensor], expected: Sequence[Tensor], tolerance: float) -> None:
    """Equal relative to the largest magnitude among all, as where several gradients share their rounding."""
    assert [x.shape for x in got] == [x.shape for x in expected]
    pairs = [pair for pair in zip(got, expected, strict=True) if pair[0].numel()]
    scale = max((float(x.detach().abs().max()) for _, x in pairs), default=0.0)
    error = max((float((a - b).detach().abs().max()) for a, b in pairs), default=0.0)
    assert error <= tolerance * scale, (error, scale)


def gradients(function: Callable[..., tuple[Tensor, ...]], *inputs: Tensor) -> list[Tensor]:
    """The gradients of a fixed, random weighting of all outputs by all inputs; zero where there is none."""
    leaves = [x.detach().clone().requires_grad_() for x in inputs]
    outputs = function(*leaves)
    random = generator(11)
    weighted = [(y * torch.randn(y.shape, generator=random, dtype=torch.float64).to(y)).sum() for y in outputs]
    total = torch.stack([*weighted, *(0 * x.sum() for x in leaves)]).sum()
    return list(torch.autograd.grad(total, leaves))
