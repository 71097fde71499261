"""Oja's subspace rule against its twin, where it converges to, and how far it can move."""

import math
from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from stawm.core import oja as fast
from stawm.core.naive import oja as naive
from stawm.core.oja import Rates, State
from stawm.errors import InputError
from tests.core.twins import (
    EXACT,
    assert_same_functions,
    assert_second_derivatives,
    assert_twins,
    uniform,
)
from tests.strategies import Stack, assert_all_near, assert_near, normal, seeds, stacks

RATES = st.just(0.0) | st.floats(1e-6, 0.5)
ROUNDING = 1 + 1e-12  # of sums of at most 6 x 6 products, carried through at most 6 writes
NEURONS = st.integers(1, 4)


def inputs(stack: Stack, eta: float, neurons: int) -> tuple[Tensor, ...]:
    """E, Q, S₀, η: short E, since the rule is cubic."""
    m = stack.E.shape[2]
    (start,) = normal(stack.seed + 1, (neurons, m))
    return stack.E / m**0.5, stack.Q, start / m**0.5, torch.tensor(eta, dtype=torch.float64)


def memory(seed: int, stack: Stack, neurons: int) -> Tensor:
    b, _, m = stack.E.shape
    return normal(seed, (b, neurons, m))[0] / m**0.5


def unroll(rule: Any, reads: list[int]) -> Any:
    def run(E: Tensor, Q: Tensor, start: Tensor, eta: Tensor, *S: Tensor) -> tuple[Tensor, Tensor]:
        Y, state = rule.unroll(E, Q, reads, start, Rates(eta), State(*S) if S else None)
        return Y, state.S

    return run


def spectral(S: Tensor) -> Tensor:
    return torch.linalg.matrix_norm(S, ord=2)


def test_the_twin_has_the_same_functions():
    assert_same_functions(fast, naive, "contributions")


@given(stacks(n=1, m=4, b=2, least_n=1), RATES, NEURONS)
def test_each_function_is_its_twin(stack: Stack, eta: float, neurons: int):
    E, Q, start, rate = inputs(stack, eta, neurons)

    def all_of(rule: Any) -> Any:
        def run(S: Tensor, x: Tensor, q: Tensor, start: Tensor, eta: Tensor) -> tuple[Tensor, ...]:
            after, begun = rule.write(State(S), x, Rates(eta)), rule.init_state(len(S), start)
            return after.S, rule.read(State(S), q), rule.matrix(State(S)), begun.S

        return run

    S = memory(stack.seed + 2, stack, neurons)
    assert_twins(all_of(fast), all_of(naive), S, E[:, 0], Q[:, 0], start, rate)


@given(stacks(n=4, m=3, b=2), RATES, NEURONS)
def test_unroll_is_its_twin_in_values_and_gradients(stack: Stack, eta: float, neurons: int):
    assert_twins(unroll(fast, stack.reads), unroll(naive, stack.reads), *inputs(stack, eta, neurons))


@given(stacks(n=4, m=3, b=2), RATES, NEURONS)
def test_unroll_from_a_memory_is_its_twin(stack: Stack, eta: float, neurons: int):
    S = memory(stack.seed + 2, stack, neurons)
    assert_twins(unroll(fast, stack.reads), unroll(naive, stack.reads), *inputs(stack, eta, neurons), S)


@given(stacks(n=6, m=3, b=2), RATES, NEURONS, st.integers(1, 4))
def test_pieces_of_any_size_are_the_twin(stack: Stack, eta: float, neurons: int, size: int):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast, "CHUNK", size)
        assert_twins(unroll(fast, stack.reads), unroll(naive, stack.reads), *inputs(stack, eta, neurons))


@given(stacks(), RATES, NEURONS, st.data())
def test_a_stack_may_be_handed_over_anywhere(stack: Stack, eta: float, neurons: int, data: st.DataObject):
    cut = data.draw(st.integers(0, stack.E.shape[1]))
    E, Q, start, _ = inputs(stack, eta, neurons)
    Y, whole = fast.unroll(E, Q, stack.reads, start, Rates(eta))
    _, first = fast.unroll(E[:, :cut], Q[:, :0], [], start, Rates(eta))
    later = [k for k, r in enumerate(stack.reads) if r >= cut]
    rest = [stack.reads[k] - cut for k in later]
    Z, second = fast.unroll(E[:, cut:], Q[:, later], rest, start, Rates(eta), first)
    assert_near(Z, Y[:, later], EXACT)
    assert_all_near(second, whole, EXACT)


def test_many_writes_are_exact():
    """More than are taken together."""
    n, m = 2 * fast.CHUNK + 3, 3
    E, Q, start = normal(0, (1, n, m), (1, 3, m), (m, m))
    arguments = (E / 2, Q, [0, fast.CHUNK, n], start / 2, Rates(0.1))
    ours, twin = fast.unroll(*arguments), naive.unroll(*arguments)
    assert_near(ours[0], twin[0], EXACT)
    assert_all_near(ours[1], twin[1], EXACT)


@pytest.mark.parametrize("started", [False, True])
def test_first_and_second_derivatives(started: bool):
    E, Q, start, S = normal(5, (1, 3, 2), (1, 3, 2), (2, 2), (1, 2, 2))
    run, eta = unroll(fast, [1, 3, 0]), torch.tensor(0.3, dtype=torch.float64)
    assert_second_derivatives(lambda *x: run(*x)[0], 0.5 * E, Q, 0.5 * start, eta, *([0.5 * S] if started else []))


@given(stacks(m=4), RATES)
def test_float32_is_float64_to_its_rounding(stack: Stack, eta: float):
    """Sums of at most 6 + 4 terms carried through at most 6 writes, with η|x|² ≤ 1/2 and |S| ≤ √2."""
    _, Q, start, _ = inputs(stack, eta, 3)
    E, start = stack.E / stack.E.norm(dim=-1, keepdim=True).clamp(min=1), start / start.norm().clamp(min=1)
    exact, _ = fast.unroll(E, Q, stack.reads, start, Rates(eta))
    rough, state = fast.unroll(E.float(), Q.float(), stack.reads, start.float(), Rates(eta))
    assert rough.dtype == state.S.dtype == torch.float32
    assert (rough.double() - exact).abs().max() <= 1e-5 * math.sqrt(2) * Q.norm(dim=-1).max()


def test_no_reads_and_no_writes():
    E, Q, start, S = normal(0, (2, 3, 4), (2, 2, 4), (3, 4), (2, 3, 4))
    rates = Rates(0.1)
    nothing, state = fast.unroll(E, Q[:, :0], [], start, rates)
    assert nothing.shape == (2, 0, 3)
    assert_all_near(state, fast.unroll(E, Q, [3, 3], start, rates)[1], EXACT)
    for begun, expected in ((None, start.expand(2, 3, 4)), (State(S), S)):
        Y, after = fast.unroll(E[:, :0], Q, [0, 0], start, rates, begun)
        assert_near(Y, Q @ expected.mT, EXACT)
        assert_near(after.S, expected, EXACT)


def test_wrong_stacks_are_refused():
    E = torch.zeros(2, 3, 4)
    with pytest.raises(InputError, match=r"0 to n = 3 writes; got 4"):
        fast.unroll(E, E[:, :1], [4], torch.zeros(4, 4), Rates(0.1))


@given(stacks(least_n=1), RATES)
def test_zero_and_orthogonal_matrices_stay_what_they_are(stack: Stack, eta: float):
    """Why a start is needed, and which does not learn: with SᵀS = I everything is explained."""
    m = stack.E.shape[2]
    orthogonal = torch.linalg.qr(normal(stack.seed + 1, (m, m))[0])[0]
    for start in (torch.zeros_like(orthogonal), orthogonal):
        _, state = fast.unroll(stack.E, stack.Q, stack.reads, start, Rates(eta))
        assert (state.S - start).abs().max() <= 1e-11 * (1 + eta * stack.E.square().sum())


@given(seeds, st.integers(1, 3), st.integers(1, 3), st.floats(0.1, 0.6))
def test_it_converges_to_an_orthonormal_basis_of_where_the_inputs_lie(seed: int, d: int, more: int, eta: float):
    """Inputs of length 1 from a d-dimensional subspace of d + more dimensions, from a start that has all of it."""
    m = d + more
    basis = torch.linalg.qr(normal(seed, (m, d))[0])[0]
    (inside,) = normal(seed + 1, (1, 200, d))
    start, steps = normal(seed + 2, (d, m))[0] / (2 * m**0.5), inside / inside.norm(dim=-1, keepdim=True)
    assume(torch.linalg.svdvals(start @ basis).min() > 0.05)
    E = steps @ basis.T
    state = None
    for _ in range(math.ceil(1 / eta)):
        _, state = fast.unroll(E, E[:, :0], [], start, Rates(eta), state)
    assert state is not None
    S = state.S[0]
    assert (S @ S.T - torch.eye(d, dtype=torch.float64)).abs().max() < 1e-6
    assert (S - S @ basis @ basis.T).abs().max() < 1e-6


def test_one_neuron_finds_the_principal_axis():
    """Of inputs that lie in all directions, with variance 9 along one and 1 along the others; to the noise of η."""
    axis = torch.tensor([3.0, 4.0, 0.0, 0.0], dtype=torch.float64) / 5
    (E, start) = normal(3, (1, 4000, 4), (1, 4))
    E = E + 2 * (E @ axis)[:, :, None] * axis
    _, state = fast.unroll(E, E[:, :0], [], 0.2 * start, Rates(2e-3))
    assert state.S.norm().item() == pytest.approx(1, abs=0.02)
    assert (state.S[0] @ axis).abs().item() == pytest.approx(1, abs=0.02)


@given(stacks(m=6), NEURONS, st.floats(0.01, 2), st.floats(0.05, 1.4142), st.booleans())
def test_the_bound_holds(stack: Stack, neurons: int, c: float, size: float, full: bool):
    """For any inputs with η|x|² ≤ c ≤ 2 and any start with |S₀|² ≤ 2; also the hardest, where all are at the limit."""
    E, _, start, _ = inputs(stack, 0.0, neurons)
    eta, (share,) = 0.5, uniform(stack.seed + 5, (*E.shape[:2], 1))
    E = E / E.norm(dim=-1, keepdim=True) * (c / eta) ** 0.5 * (1 if full else share)
    start = size * start / spectral(start)
    limit = fast.bound(c, size)
    assert limit == pytest.approx(naive.bound(c, size), rel=1e-14)
    for t in range(E.shape[1] + 1):
        _, state = fast.unroll(E[:, :t], E[:, :0], [], start, Rates(eta))
        assert spectral(state.S).max() <= limit * ROUNDING


def test_the_bound_is_needed_and_ends_where_it_says():
    """One neuron at |S|² = 2 with η|x|² = 2 turns round and stays; beyond, it runs away."""
    one = torch.ones(1, 1, 1, dtype=torch.float64)
    stays = runs = State(math.sqrt(2) * one)
    for _ in range(4):
        stays, runs = fast.write(stays, one[0], Rates(2.0)), fast.write(runs, one[0], Rates(2.2))
    assert stays.S.abs().item() == pytest.approx(fast.bound(2.0, math.sqrt(2) - 1e-12), rel=1e-9)
    assert runs.S.abs().item() > 100
    assert fast.bound(0.5, 0.3) == math.sqrt(1.25)
    for c, start in ((2.1, 0.5), (-0.1, 0.5), (0.5, 1.5)):
        assert fast.bound(c, start) == naive.bound(c, start) == math.inf


def test_the_bound_is_above_one_because_rows_can_overshoot():
    """|S| ≤ 1 is not kept up, even for small η|x|²: 1 + c/2 and not 1 is what can be promised."""
    start = torch.diag(torch.tensor([1.0, 0.0], dtype=torch.float64))
    start[1, 1] = 0.5
    x = torch.tensor([[0.6, 0.8]], dtype=torch.float64)
    after = fast.write(State(start[None]), x, Rates(0.2)).S
    assert 1 < spectral(after).item() <= fast.bound(0.2, 1.0)
