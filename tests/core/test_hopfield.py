"""Softmax retrieval against its twin, and what makes it a memory: the convex hull, its limits, its slope."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stawm.core import hopfield as fast
from stawm.core.hopfield import Rates, State
from stawm.core.naive import hopfield as naive
from tests.core.twins import assert_same_functions, assert_second_derivatives, assert_twins
from tests.strategies import Stack, assert_near, normal, stacks

EXACT = 1e-10
BETAS = st.floats(0.01, 3)


def gappy(seed: int, b: int, m: int) -> State:
    """Three slots, of which the first is empty in every sample and the second in every other one."""
    (E,) = normal(seed, (b, 3, m))
    valid = torch.tensor([[0.0, i % 2, 1.0] for i in range(b)], dtype=torch.float64)
    return State(E * valid[:, :, None], valid)


def whole(rule: Any, reads: list[int], state: State | None = None) -> Any:
    def run(E: Tensor, Q: Tensor, beta: Tensor, patterns: Tensor | None = None) -> tuple[Tensor, Tensor]:
        start = None if state is None or patterns is None else State(patterns, state.valid)
        Y, after = rule.unroll(E, Q, reads, Rates(beta), start)
        return Y, after.E

    return run


def test_the_twin_has_the_same_functions():
    assert_same_functions(fast, naive, "contributions")


def empty_slots(b: int, m: int, slots: int) -> State:
    return State(torch.zeros(b, slots, m, dtype=torch.float64), torch.zeros(b, slots, dtype=torch.float64))


@given(st.integers(0, 3), st.integers(1, 3), st.integers(0, 3))
def test_a_memory_of_nothing_reads_zero(b: int, m: int, slots: int):
    for ours, twin in zip(fast.init_state(b, m), naive.init_state(b, m), strict=True):
        assert torch.equal(ours, twin)
    for empty in (fast.init_state(b, m, dtype=torch.float64), empty_slots(b, m, slots)):
        zeros = torch.zeros(b, m, m, dtype=torch.float64)
        assert torch.equal(fast.read(empty, torch.ones_like(zeros[:, 0]), Rates(1.0)), zeros[:, 0])
        assert torch.equal(fast.matrix(empty, Rates(1.0)), zeros)


@given(stacks(n=1, least_n=1), BETAS)
def test_each_function_is_its_twin(stack: Stack, beta: float):
    b, _, m = stack.E.shape
    state, e = gappy(stack.seed + 1, b, m), stack.E[:, 0]
    for ours, twin in zip(fast.write(state, e), naive.write(state, e), strict=True):
        assert_near(ours, twin, EXACT)
    assert_near(fast.read(state, e, Rates(beta)), naive.read(state, e, Rates(beta)), EXACT)
    error = (fast.matrix(state, Rates(beta)) - naive.matrix(state, Rates(beta))).abs().max()
    assert error <= EXACT * beta * state.E.square().max()
    assert fast.bound(2.5, beta) == pytest.approx(naive.bound(2.5, beta), rel=1e-12)


@given(stacks(n=4, m=4, b=2), BETAS)
def test_unroll_is_its_twin_in_values_and_gradients(stack: Stack, beta: float):
    inputs = stack.E, stack.Q, torch.tensor(beta, dtype=torch.float64)
    assert_twins(whole(fast, stack.reads), whole(naive, stack.reads), *inputs)
    state = gappy(stack.seed + 1, stack.E.shape[0], stack.E.shape[2])
    assert_twins(*(whole(rule, stack.reads, state) for rule in (fast, naive)), *inputs, state.E)


@given(stacks(), BETAS, st.integers(0, 3), st.data())
def test_hand_over_and_empty_slots_change_nothing(stack: Stack, beta: float, slots: int, data: st.DataObject):
    cut = data.draw(st.integers(0, stack.E.shape[1]))
    Y, _ = fast.unroll(stack.E, stack.Q, stack.reads, Rates(beta))
    start = empty_slots(stack.E.shape[0], stack.E.shape[2], slots)
    _, first = fast.unroll(stack.E[:, :cut], stack.Q[:, :0], [], Rates(beta), start)
    later = [k for k, r in enumerate(stack.reads) if r >= cut]
    reads = [stack.reads[k] - cut for k in later]
    Z, state = fast.unroll(stack.E[:, cut:], stack.Q[:, later], reads, Rates(beta), first)
    assert_near(Z, Y[:, later], EXACT)
    assert state.E.shape[1] == slots + stack.E.shape[1]
    assert (state.valid.sum(dim=1) == stack.E.shape[1]).all()


@given(stacks(least_n=1), BETAS)
def test_a_read_lies_among_the_patterns_and_moves_no_faster_than_the_bound(stack: Stack, beta: float):
    _, state = fast.unroll(stack.E, stack.Q[:, :0], [], Rates(beta))
    p, q = stack.Q[:, 0], stack.Q[:, -1] + 0.3
    a, b = fast.read(state, p, Rates(beta)), fast.read(state, q, Rates(beta))
    assert (a <= stack.E.amax(dim=1) + 1e-12).all()
    assert (a >= stack.E.amin(dim=1) - 1e-12).all()
    longest = stack.E.norm(dim=2).amax(dim=1)
    for i in range(len(p)):
        slope = fast.bound(float(longest[i]), beta)
        assert (a[i] - b[i]).norm() <= slope * (p[i] - q[i]).norm() * (1 + 1e-12)
        assert torch.linalg.matrix_norm(fast.matrix(state, Rates(beta))[i], 2) <= slope * (1 + 1e-12)


def test_opposite_patterns_attain_the_bound():
    state = State(torch.tensor([[[2.0, 0.0], [-2.0, 0.0]]]), torch.ones(1, 2))
    assert float(torch.linalg.matrix_norm(fast.matrix(state, Rates(0.7)), 2)) == pytest.approx(fast.bound(2, 0.7))


def test_a_sharp_read_returns_the_nearest_pattern_and_a_flat_one_the_mean():
    E = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]])
    _, state = fast.unroll(E, E[:, :0], [], Rates(1.0))
    q = torch.tensor([[0.2, 0.9]])
    torch.testing.assert_close(fast.read(state, q, Rates(200.0)), E[:, 1])
    torch.testing.assert_close(fast.read(state, 0 * q, Rates(1.0)), E.mean(dim=1))


@pytest.mark.parametrize("size", [1e4, 1e18])
def test_scores_of_any_size_give_finite_reads(size: float):
    """Also where every score is far below zero, beside an empty slot."""
    start = State(torch.zeros(1, 1, 2), torch.zeros(1, 1))
    E = torch.tensor([[[size, 0.0], [size, 1.0]]], requires_grad=True)
    Y, _ = fast.unroll(E, torch.tensor([[[-size, 0.0], [0.0, 0.0]]]), [2, 0], Rates(1.0), start)
    assert Y[0, 0, 0].item() == pytest.approx(size, rel=1e-6)
    assert torch.equal(Y[0, 1], torch.zeros(2))
    (gradient,) = torch.autograd.grad(Y.sum(), E)
    assert gradient.isfinite().all()


def test_first_and_second_derivatives():
    E, Q = normal(5, (1, 3, 2), (1, 2, 2))

    def run(E: Tensor, Q: Tensor, beta: Tensor) -> Tensor:
        return fast.unroll(E, Q, [1, 3], Rates(beta))[0]

    assert_second_derivatives(run, E, Q, torch.tensor(1 / math.sqrt(2), dtype=torch.float64))
