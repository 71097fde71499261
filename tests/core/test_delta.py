"""The delta rule against its twin, what it is for (a key's value is replaced), and how far it can move."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stawm.core import chunks
from stawm.core import delta as fast
from stawm.core.delta import State
from stawm.core.naive import delta as naive
from stawm.errors import InputError
from tests.core.twins import (
    EXACT,
    assert_same_functions,
    assert_second_derivatives,
    assert_twins,
    uniform,
)
from tests.strategies import Stack, assert_all_near, assert_near, normal, seeds, stacks

ROUNDING = 1 + 1e-12  # of sums of at most 6 x 6 squares, carried through at most 6 writes


def inputs(stack: Stack) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """K, V, β, Q: keys of any length, β from 0 to 1."""
    b, n, m = stack.E.shape
    (V,), (beta,) = normal(stack.seed + 1, (b, n, m)), uniform(stack.seed + 2, (b, n))
    return stack.E / math.sqrt(m), V, beta, stack.Q


def memory(seed: int, stack: Stack) -> State:
    b, _, m = stack.E.shape
    return State(*normal(seed, (b, m, m)))


def unroll(rule: Any, reads: list[int]) -> Any:
    def run(K: Tensor, V: Tensor, beta: Tensor, Q: Tensor, *S: Tensor) -> tuple[Tensor, Tensor]:
        Y, state = rule.unroll(K, V, beta, Q, reads, State(*S) if S else None)
        return Y, state.S

    return run


def test_the_twin_has_the_same_functions():
    assert_same_functions(fast, naive, "contributions")


@given(stacks(n=1, m=4, b=2, least_n=1))
def test_each_function_is_its_twin(stack: Stack):
    K, V, beta, Q = inputs(stack)
    state = memory(stack.seed + 3, stack)
    ours, twin = (lambda *x, rule=rule: tuple(rule.write(State(x[0]), *x[1:])) for rule in (fast, naive))
    assert_twins(ours, twin, state.S, K[:, 0], V[:, 0], beta[:, 0])
    ours, twin = (lambda S, q, rule=rule: (rule.read(State(S), q), rule.matrix(State(S))) for rule in (fast, naive))
    assert_twins(ours, twin, state.S, Q[:, 0])


@given(st.integers(0, 3), st.integers(1, 3))
def test_empty_memories_read_zeros(b: int, m: int):
    assert torch.equal(fast.init_state(b, m).S, naive.init_state(b, m).S)
    assert not fast.read(fast.init_state(b, m), torch.ones(b, m)).any()


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
    K, V, beta, Q = inputs(stack)
    Y, whole = fast.unroll(K, V, beta, Q, stack.reads)
    _, first = fast.unroll(K[:, :cut], V[:, :cut], beta[:, :cut], Q[:, :0], [])
    later = [k for k, r in enumerate(stack.reads) if r >= cut]
    rest = [stack.reads[k] - cut for k in later]
    Z, second = fast.unroll(K[:, cut:], V[:, cut:], beta[:, cut:], Q[:, later], rest, first)
    assert_near(Z, Y[:, later], EXACT)
    assert_all_near(second, whole, EXACT)


def test_many_writes_are_exact():
    """More than are solved together."""
    n, m = 2 * fast.CHUNK + 3, 3
    K, V, Q = normal(0, (1, n, m), (1, n, m), (1, 3, m))
    K = K / K.norm(dim=-1, keepdim=True)
    arguments = (K, V, torch.full((1, n), 0.9, dtype=torch.float64), Q, [0, fast.CHUNK, n])
    ours, twin = fast.unroll(*arguments), naive.unroll(*arguments)
    assert_near(ours[0], twin[0], EXACT)
    assert_all_near(ours[1], twin[1], EXACT)


def test_equal_keys_are_solved_without_loss():
    """(I + A)⁻¹ stays of size 1 where the powers of A reach 10⁸; solving by powers would lose those digits."""
    A = torch.ones(1, 32, 32, dtype=torch.float64).tril(-1)
    inverse = torch.eye(32, dtype=torch.float64) - torch.ones(31, dtype=torch.float64).diag(-1)
    assert torch.equal(chunks.unit_lower_inverse(A)[0], inverse)


@pytest.mark.parametrize("started", [False, True])
def test_first_and_second_derivatives(started: bool):
    K, V, beta, Q, S = normal(5, (1, 3, 2), (1, 3, 2), (1, 3), (1, 3, 2), (1, 2, 2))
    run = unroll(fast, [1, 3, 0])
    assert_second_derivatives(lambda *x: run(*x)[0], K, V, beta, Q, *([S] if started else []))


@given(stacks(m=4))
def test_float32_is_float64_to_its_rounding(stack: Stack):
    """Sums of at most 6 + 4 terms carried through at most 6 non-expansive writes, relative to what is summed."""
    K, V, beta, Q = inputs(stack)
    K = K / K.norm(dim=-1, keepdim=True).clamp(min=1)
    exact, _ = fast.unroll(K, V, beta, Q, stack.reads)
    rough, state = fast.unroll(K.float(), V.float(), beta.float(), Q.float(), stack.reads)
    assert rough.dtype == state.S.dtype == torch.float32
    scale = V.norm(dim=-1).sum() * Q.norm(dim=-1).max() if V.numel() else torch.tensor(0.0)
    assert (rough.double() - exact).abs().max() <= 1e-5 * scale


def test_no_reads_and_no_writes():
    K, V, Q, S = normal(0, (2, 3, 4), (2, 3, 4), (2, 2, 4), (2, 4, 4))
    beta = torch.full((2, 3), 0.5, dtype=torch.float64)
    nothing, state = fast.unroll(K, V, beta, Q[:, :0], [])
    assert nothing.shape == (2, 0, 4)
    assert_all_near(state, fast.unroll(K, V, beta, Q, [3, 3])[1], EXACT)
    for start in (None, State(S)):
        Y, after = fast.unroll(K[:, :0], V[:, :0], beta[:, :0], Q, [0, 0], start)
        assert_near(Y, torch.zeros_like(Q) if start is None else Q @ S.mT, EXACT)
        assert_near(after.S, torch.zeros_like(S) if start is None else S, EXACT)


def test_wrong_stacks_are_refused():
    K, beta = torch.zeros(2, 3, 4), torch.zeros(2, 3)
    with pytest.raises(InputError, match=r"0 to n = 3 writes; got 4"):
        fast.unroll(K, K, beta, K[:, :1], [4])


@given(seeds, st.integers(1, 6))
def test_a_written_value_is_read_back_and_replaces_what_was_there(seed: int, m: int):
    """β|k|² = 1: what stands under k is v exactly, and what stands under directions orthogonal to k is kept."""
    S, k, v, q = normal(seed, (2, m, m), (2, m), (2, m), (2, m))
    k = k / k.norm(dim=-1, keepdim=True)
    after = fast.write(State(S), k, v, torch.ones(2, dtype=torch.float64))
    assert_near(fast.read(after, k), v, EXACT)
    beside = q - (q * k).sum(-1, keepdim=True) * k
    assert (fast.read(after, beside) - fast.read(State(S), beside)).abs().max() <= 1e-12 * (1 + S.abs().max()) * m


@given(seeds, st.integers(1, 6))
def test_orthonormal_keys_never_disturb_each_other(seed: int, m: int):
    A, V = normal(seed, (m, m), (1, m, m))
    K = torch.linalg.qr(A)[0][None]
    Y, _ = fast.unroll(K, V, torch.ones(1, m, dtype=torch.float64), K, [m] * m)
    assert_near(Y, V, EXACT)


@given(stacks(n=1, least_n=1))
def test_nothing_is_written_where_beta_is_zero_or_the_value_is_there(stack: Stack):
    K, V, beta, _ = inputs(stack)
    state = memory(stack.seed, stack)
    assert torch.equal(fast.write(state, K[:, 0], V[:, 0], 0 * beta[:, 0]).S, state.S)
    known = fast.read(state, K[:, 0])
    assert torch.equal(fast.write(state, K[:, 0], known, beta[:, 0]).S, state.S)


@given(stacks(n=1, least_n=1), st.floats(0, 2))
def test_a_write_moves_no_two_memories_apart(stack: Stack, share: float):
    """0 ≤ β|k|² ≤ 2, in the Frobenius and in the spectral norm."""
    K, V, _, _ = inputs(stack)
    k, v = K[:, 0], V[:, 0]
    beta = share / k.square().sum(-1).clamp(min=1e-12)
    S, T = memory(stack.seed + 3, stack), memory(stack.seed + 4, stack)
    after = fast.write(S, k, v, beta).S - fast.write(T, k, v, beta).S
    for norm in ("fro", 2):
        before = torch.linalg.matrix_norm(S.S - T.S, ord=norm)
        assert (torch.linalg.matrix_norm(after, ord=norm) <= before * ROUNDING).all()


def test_beyond_two_memories_move_apart():
    S, one = torch.ones(1, 1, 1, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    apart = [fast.write(State(x * S), one, one, 2.5 * one[0]).S for x in (1.0, 2.0)]
    assert (apart[0] - apart[1]).abs() == 1.5
    assert fast.bound(3, 1.0, 2.5) == naive.bound(3, 1.0, 2.5) == math.inf


@given(stacks(), st.floats(0, 2), st.floats(0.1, 3))
def test_the_bound_holds(stack: Stack, share: float, size: float):
    K, V, uneven, _ = inputs(stack)
    n = K.shape[1]
    V = size * V / V.norm(dim=-1, keepdim=True)
    length = K.norm(dim=-1).max().item() if n else 1.0
    beta = share / max(length, 1e-6) ** 2
    state = memory(stack.seed + 3, stack)
    for start in (State(torch.zeros_like(state.S)), state):
        norm = torch.linalg.matrix_norm(start.S).max().item()
        limits = [fast.bound(t, size, beta, length, norm) for t in range(n + 1)]
        assert limits == pytest.approx([naive.bound(t, size, beta, length, norm) for t in range(n + 1)], rel=1e-12)
        for betas in (torch.full_like(uneven, beta), beta * uneven):
            for t in range(n + 1):
                _, after = fast.unroll(K[:, :t], V[:, :t], betas[:, :t], K[:, :0], [], start)
                assert torch.linalg.matrix_norm(after.S).max() <= limits[t] * ROUNDING + 1e-300


def test_the_bound_is_tight():
    """Orthonormal keys and β = 1: |S|² is the sum of the |v|². One key that always overshoots: |S| grows by β|v|."""
    eye = torch.eye(4, dtype=torch.float64)[None]
    _, state = fast.unroll(eye, 3 * eye, torch.ones(1, 4, dtype=torch.float64), eye, [4] * 4)
    assert torch.linalg.matrix_norm(state.S).item() == pytest.approx(fast.bound(4, 3.0, 1.0))
    assert fast.bound(4, 3.0, 1.0) == naive.bound(4, 3.0, 1.0) == 6
    one = torch.ones(1, 1, dtype=torch.float64)
    last = fast.write(State(-one[None]), one, one, 2 * one[0])
    assert last.S.item() == fast.bound(1, 1.0, 2.0, start=1.0) == naive.bound(1, 1.0, 2.0, start=1.0) == 3
