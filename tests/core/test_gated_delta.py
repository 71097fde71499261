"""The gated delta rule against its twin and against the delta rule, and how far it can move."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stawm.core import delta
from stawm.core import gated_delta as fast
from stawm.core.gated_delta import State
from stawm.core.naive import gated_delta as naive
from tests.core.twins import (
    EXACT,
    assert_same_functions,
    assert_second_derivatives,
    assert_twins,
    uniform,
)
from tests.strategies import Stack, assert_all_near, assert_near, gradients, normal, stacks

ROUNDING = 1 + 1e-12  # of sums of at most 6 x 6 squares, carried through at most 6 writes


def inputs(stack: Stack) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """K, V, β, α, Q: keys of any length, β and α from 0 to 1, now and then α = 0 and α = 1."""
    b, n, m = stack.E.shape
    (V,), (beta, alpha) = normal(stack.seed + 1, (b, n, m)), uniform(stack.seed + 2, (b, n), (b, n))
    return stack.E / math.sqrt(m), V, beta, (1.4 * alpha - 0.2).clamp(0, 1), stack.Q


def memory(seed: int, stack: Stack) -> State:
    b, _, m = stack.E.shape
    return State(*normal(seed, (b, m, m)))


def unroll(rule: Any, reads: list[int]) -> Any:
    def run(K: Tensor, V: Tensor, beta: Tensor, alpha: Tensor, Q: Tensor, *S: Tensor) -> tuple[Tensor, Tensor]:
        Y, state = rule.unroll(K, V, beta, alpha, Q, reads, State(*S) if S else None)
        return Y, state.S

    return run


def test_the_twin_has_the_same_functions():
    assert_same_functions(fast, naive, "contributions")


@given(stacks(n=1, m=4, b=2, least_n=1))
def test_write_is_its_twin(stack: Stack):
    K, V, beta, alpha, _ = inputs(stack)
    ours, twin = (lambda *x, rule=rule: tuple(rule.write(State(x[0]), *x[1:])) for rule in (fast, naive))
    assert_twins(ours, twin, memory(stack.seed + 3, stack).S, K[:, 0], V[:, 0], beta[:, 0], alpha[:, 0])


@given(stacks(n=4, m=3, b=2))
def test_unroll_is_its_twin_in_values_and_gradients(stack: Stack):
    assert_twins(unroll(fast, stack.reads), unroll(naive, stack.reads), *inputs(stack))


@given(stacks(n=4, m=3, b=2))
def test_unroll_from_a_memory_is_its_twin(stack: Stack):
    ours, twin = unroll(fast, stack.reads), unroll(naive, stack.reads)
    assert_twins(ours, twin, *inputs(stack), memory(stack.seed + 3, stack).S)


@given(stacks(n=6, m=3, b=2), st.integers(1, 4))
def test_pieces_of_any_size_are_the_twin(stack: Stack, size: int):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast, "CHUNK", size)
        assert_twins(unroll(fast, stack.reads), unroll(naive, stack.reads), *inputs(stack))


@given(stacks(), st.data())
def test_a_stack_may_be_handed_over_anywhere(stack: Stack, data: st.DataObject):
    cut = data.draw(st.integers(0, stack.E.shape[1]))
    K, V, beta, alpha, Q = inputs(stack)
    Y, whole = fast.unroll(K, V, beta, alpha, Q, stack.reads)
    _, first = fast.unroll(K[:, :cut], V[:, :cut], beta[:, :cut], alpha[:, :cut], Q[:, :0], [])
    later = [k for k, r in enumerate(stack.reads) if r >= cut]
    rest = [stack.reads[k] - cut for k in later]
    Z, second = fast.unroll(K[:, cut:], V[:, cut:], beta[:, cut:], alpha[:, cut:], Q[:, later], rest, first)
    assert_near(Z, Y[:, later], EXACT)
    assert_all_near(second, whole, EXACT)


def test_many_writes_are_exact():
    """More than are solved together."""
    n, m = 2 * fast.CHUNK + 3, 3
    K, V, Q = normal(0, (1, n, m), (1, n, m), (1, 3, m))
    K = K / K.norm(dim=-1, keepdim=True)
    beta, alpha = torch.full((1, n), 0.9, dtype=torch.float64), torch.full((1, n), 0.97, dtype=torch.float64)
    arguments = (K, V, beta, alpha, Q, [0, fast.CHUNK, n])
    ours, twin = fast.unroll(*arguments), naive.unroll(*arguments)
    assert_near(ours[0], twin[0], EXACT)
    assert_all_near(ours[1], twin[1], EXACT)


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("forgotten", [False, True])
def test_first_and_second_derivatives(started: bool, forgotten: bool):
    """Also where α = 0, through which the products of what is left must not be divided."""
    K, V, beta, alpha, Q, S = normal(5, (1, 3, 2), (1, 3, 2), (1, 3), (1, 3), (1, 3, 2), (1, 2, 2))
    alpha = alpha * torch.tensor([1, 0 if forgotten else 1, 1])
    run = unroll(fast, [1, 3, 0])
    assert_second_derivatives(lambda *x: run(*x)[0], K, V, beta, alpha, Q, *([S] if started else []))


@given(stacks(m=4))
def test_float32_is_float64_to_its_rounding(stack: Stack):
    """Sums of at most 6 + 4 terms carried through at most 6 non-expansive writes, relative to what is summed."""
    K, V, beta, alpha, Q = inputs(stack)
    K = K / K.norm(dim=-1, keepdim=True).clamp(min=1)
    exact, _ = fast.unroll(K, V, beta, alpha, Q, stack.reads)
    rough, state = fast.unroll(K.float(), V.float(), beta.float(), alpha.float(), Q.float(), stack.reads)
    assert rough.dtype == state.S.dtype == torch.float32
    scale = V.norm(dim=-1).sum() * Q.norm(dim=-1).max() if V.numel() else torch.tensor(0.0)
    assert (rough.double() - exact).abs().max() <= 1e-5 * scale


@given(stacks())
def test_without_forgetting_it_is_the_delta_rule(stack: Stack):
    K, V, beta, alpha, Q = inputs(stack)
    start = memory(stack.seed, stack)
    gated = fast.unroll(K, V, beta, torch.ones_like(alpha), Q, stack.reads, start)
    plain = delta.unroll(K, V, beta, Q, stack.reads, start)
    assert_near(gated[0], plain[0], EXACT)
    assert_all_near(gated[1], plain[1], EXACT)


@given(stacks())
def test_without_writing_it_only_forgets(stack: Stack):
    K, V, beta, alpha, Q = inputs(stack)
    start = memory(stack.seed, stack)
    _, state = fast.unroll(K, V, 0 * beta, alpha, Q, stack.reads, start)
    assert_near(state.S, alpha.prod(dim=1)[:, None, None] * start.S, EXACT)


@given(stacks(least_n=1))
def test_a_write_that_forgets_everything_leaves_only_itself(stack: Stack):
    K, V, beta, alpha, Q = inputs(stack)
    last = torch.cat([alpha[:, :-1], torch.zeros_like(alpha[:, :1])], dim=1)
    _, state = fast.unroll(K, V, beta, last, Q, stack.reads, memory(stack.seed, stack))
    assert_near(state.S, beta[:, -1, None, None] * V[:, -1, :, None] * K[:, -1, None, :], EXACT)


def test_no_reads_and_no_writes():
    K, V, Q, S = normal(0, (2, 3, 4), (2, 3, 4), (2, 2, 4), (2, 4, 4))
    half = torch.full((2, 3), 0.5, dtype=torch.float64)
    nothing, state = fast.unroll(K, V, half, half, Q[:, :0], [])
    assert nothing.shape == (2, 0, 4)
    assert_all_near(state, fast.unroll(K, V, half, half, Q, [3, 3])[1], EXACT)
    for start in (None, State(S)):
        Y, after = fast.unroll(K[:, :0], V[:, :0], half[:, :0], half[:, :0], Q, [0, 0], start)
        assert_near(Y, torch.zeros_like(Q) if start is None else Q @ S.mT, EXACT)
        assert_near(after.S, torch.zeros_like(S) if start is None else S, EXACT)


@given(stacks(n=1, least_n=1), st.floats(0, 2), st.floats(0, 1))
def test_a_write_brings_memories_together_by_alpha_at_least(stack: Stack, share: float, alpha: float):
    K, V, _, _, _ = inputs(stack)
    k, v = K[:, 0], V[:, 0]
    beta, alphas = share / k.square().sum(-1).clamp(min=1e-12), torch.full((len(k),), alpha, dtype=torch.float64)
    S, T = memory(stack.seed + 3, stack), memory(stack.seed + 4, stack)
    after = fast.write(S, k, v, beta, alphas).S - fast.write(T, k, v, beta, alphas).S
    for norm in ("fro", 2):
        before = torch.linalg.matrix_norm(S.S - T.S, ord=norm)
        # v is added to both and taken away again: what that rounds is all that is left at α = 0
        lost = 1e-13 * (beta * v.norm(dim=-1) * k.norm(dim=-1))
        assert (torch.linalg.matrix_norm(after, ord=norm) <= alpha * before * ROUNDING + lost).all()


@given(stacks(), st.floats(0, 2), st.floats(0, 1), st.floats(0.1, 3))
def test_the_bound_holds(stack: Stack, share: float, alpha: float, size: float):
    K, V, uneven, alphas, _ = inputs(stack)
    n = K.shape[1]
    V = size * V / V.norm(dim=-1, keepdim=True)
    length = K.norm(dim=-1).max().item() if n else 1.0
    beta = share / max(length, 1e-6) ** 2
    state = memory(stack.seed + 3, stack)
    for start in (State(torch.zeros_like(state.S)), state):
        norm = torch.linalg.matrix_norm(start.S).max().item()
        limits = [fast.bound(t, size, beta, alpha, length, norm) for t in range(n + 1)]
        twins = [naive.bound(t, size, beta, alpha, length, norm) for t in range(n + 1)]
        assert limits == pytest.approx(twins, rel=1e-12)
        for scale in (torch.ones_like(uneven), uneven):
            for t in range(n + 1):
                rates = beta * scale[:, :t], (alpha * alphas * scale)[:, :t]
                _, after = fast.unroll(K[:, :t], V[:, :t], *rates, K[:, :0], [], start)
                assert torch.linalg.matrix_norm(after.S).max() <= limits[t] * ROUNDING + 1e-300


def test_the_bound_is_tight():
    """One neuron with β = 1 stands at |v|; one that always overshoots and forgets half approaches β|v| / (1 - α)."""
    one = torch.ones(1, 1, dtype=torch.float64)
    state = State(one[None])
    for _ in range(5):
        state = fast.write(state, one, 3 * one, one[0], 0.5 * one[0])
    assert state.S.item() == 3 == fast.bound(1, 3.0, 1.0, 0.0) == naive.bound(1, 3.0, 1.0, 0.0)
    alternate = (State(-one[None]), State(one[None]))
    moved = [abs(fast.write(s, one, 2 * one, 2 * one[0], 0.5 * one[0]).S.item()) for s in alternate]
    assert max(moved) == fast.bound(1, 2.0, 2.0, 0.5, start=1.0) == naive.bound(1, 2.0, 2.0, 0.5, start=1.0) == 4.5
    assert fast.bound(1, 1.0, 2.1, 0.5) == naive.bound(1, 1.0, 2.1, 0.5) == math.inf


def test_alpha_has_its_gradient_where_everything_was_forgotten():
    K, V, Q = normal(7, (1, 3, 2), (1, 3, 2), (1, 1, 2))
    beta, alpha = torch.full((1, 3), 0.5, dtype=torch.float64), torch.tensor([[0.3, 0.0, 0.0]], dtype=torch.float64)
    gradient = gradients(unroll(fast, [3]), K, V, beta, alpha, Q)[3]
    assert gradient.isfinite().all()
    assert gradient[0, 2] != 0
