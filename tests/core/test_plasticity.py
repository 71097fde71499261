"""Differentiable plasticity against its twin, its two traces, and how far a trace can move."""

import math
from typing import Any, get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stawm.core import plasticity as fast
from stawm.core.naive import plasticity as naive
from stawm.core.plasticity import Rates, State, Trace, Weights
from stawm.errors import InputError
from tests.core.twins import (
    EXACT,
    assert_same_functions,
    assert_second_derivatives,
    assert_twins,
)
from tests.strategies import Stack, assert_all_near, assert_near, normal, seeds, stacks

TRACES = get_args(Trace)
RATES = st.just(0.0) | st.floats(1e-6, 1)
ROUNDING = 1 + 1e-12  # of sums of at most 6 products, carried through at most 6 writes
both = pytest.mark.parametrize("trace", TRACES)


def weights(stack: Stack) -> Weights:
    m = stack.E.shape[2]
    w, alpha = normal(stack.seed + 1, (m, m), (m, m))
    return Weights(w / m**0.5, alpha)


def inputs(stack: Stack, eta: float) -> tuple[Tensor, ...]:
    """E, Q, w, α, η."""
    return stack.E, stack.Q, *weights(stack), torch.tensor(eta, dtype=torch.float64)


def memory(seed: int, stack: Stack) -> State:
    b, _, m = stack.E.shape
    return State(*normal(seed, (b, m, m)))


def unroll(rule: Any, reads: list[int], trace: Trace) -> Any:
    def run(E: Tensor, Q: Tensor, w: Tensor, alpha: Tensor, eta: Tensor, *H: Tensor) -> tuple[Tensor, Tensor]:
        start = State(*H) if H else None
        Y, state = rule.unroll(E, Q, reads, Weights(w, alpha), Rates(eta), start, trace=trace)
        return Y, state.H

    return run


def test_the_twin_has_the_same_functions():
    assert_same_functions(fast, naive, "respond", "imprint", "contributions")


@both
@given(stacks(n=1, m=4, b=2, least_n=1), RATES)
def test_each_function_is_its_twin(trace: Trace, stack: Stack, eta: float):
    H, (E, Q, *rest) = memory(stack.seed + 2, stack).H, inputs(stack, eta)
    x, q, y = E[:, 0], Q[:, 0], Q[:, -1]

    def all_of(rule: Any) -> Any:
        def run(H: Tensor, x: Tensor, q: Tensor, y: Tensor, w: Tensor, alpha: Tensor, eta: Tensor) -> Any:
            state, own, rates = State(H), Weights(w, alpha), Rates(eta)
            written = rule.write(state, x, own, rates, trace=trace)
            noted = rule.imprint(state, x, y, rates, trace=trace)
            answer = rule.respond(state, x, own)
            return written.H, noted.H, answer, rule.read(state, q, own), rule.matrix(state, own)

        return run

    assert_twins(all_of(fast), all_of(naive), H, x, q, y, *rest)


@given(st.integers(0, 3), st.integers(1, 3))
def test_empty_memories_read_the_fixed_weights(b: int, m: int):
    assert torch.equal(fast.init_state(b, m).H, naive.init_state(b, m).H)
    (w, alpha), q = torch.randn(2, m, m), torch.randn(b, m)
    assert torch.equal(fast.read(fast.init_state(b, m), q, Weights(w, alpha)), q @ w.mT)


@both
@given(stacks(n=4, m=3, b=2), RATES)
def test_unroll_is_its_twin_in_values_and_gradients(trace: Trace, stack: Stack, eta: float):
    assert_twins(unroll(fast, stack.reads, trace), unroll(naive, stack.reads, trace), *inputs(stack, eta))


@both
@given(stacks(n=4, m=3, b=2), RATES)
def test_unroll_from_a_memory_is_its_twin(trace: Trace, stack: Stack, eta: float):
    ours, twin = unroll(fast, stack.reads, trace), unroll(naive, stack.reads, trace)
    assert_twins(ours, twin, *inputs(stack, eta), memory(stack.seed + 2, stack).H)


@both
@given(stacks(n=6, m=3, b=2), RATES, st.integers(1, 4))
def test_pieces_of_any_size_are_the_twin(trace: Trace, stack: Stack, eta: float, size: int):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast, "CHUNK", size)
        assert_twins(unroll(fast, stack.reads, trace), unroll(naive, stack.reads, trace), *inputs(stack, eta))


@both
@given(stacks(), RATES, st.data())
def test_a_stack_may_be_handed_over_anywhere(trace: Trace, stack: Stack, eta: float, data: st.DataObject):
    cut = data.draw(st.integers(0, stack.E.shape[1]))
    own: dict[str, Any] = {"weights": weights(stack), "rates": Rates(eta), "trace": trace}
    Y, whole = fast.unroll(stack.E, stack.Q, stack.reads, **own)
    _, first = fast.unroll(stack.E[:, :cut], stack.Q[:, :0], [], **own)
    later = [k for k, r in enumerate(stack.reads) if r >= cut]
    rest = [stack.reads[k] - cut for k in later]
    Z, second = fast.unroll(stack.E[:, cut:], stack.Q[:, later], rest, state=first, **own)
    assert_near(Z, Y[:, later], EXACT)
    assert_all_near(second, whole, EXACT)


@both
def test_many_writes_are_exact(trace: Trace):
    """More than are taken together."""
    n, m = 2 * fast.CHUNK + 3, 3
    E, Q, w, alpha = normal(0, (1, n, m), (1, 3, m), (m, m), (m, m))
    arguments = (E, Q, [0, fast.CHUNK, n], Weights(w, alpha), Rates(0.1))
    ours, twin = fast.unroll(*arguments, trace=trace), naive.unroll(*arguments, trace=trace)
    assert_near(ours[0], twin[0], EXACT)
    assert_all_near(ours[1], twin[1], EXACT)


@both
@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("eta", [0.3, 1.0])
def test_first_and_second_derivatives(trace: Trace, started: bool, eta: float):
    E, Q, w, alpha, H = normal(5, (1, 3, 2), (1, 3, 2), (2, 2), (2, 2), (1, 2, 2))
    run = unroll(fast, [1, 3, 0], trace)
    rate = torch.tensor(eta, dtype=torch.float64)
    assert_second_derivatives(lambda *x: run(*x)[0], 0.5 * E, Q, w, alpha, rate, *([H] if started else []))


@both
@given(stacks(m=4), RATES)
def test_float32_is_float64_to_its_rounding(trace: Trace, stack: Stack, eta: float):
    """Mild inputs: no write multiplies what the last one rounded by more than about 1 + |x|²|α|."""
    E, Q, own = 0.2 * stack.E, stack.Q, weights(stack)
    exact, _ = fast.unroll(E, Q, stack.reads, own, Rates(eta), trace=trace)
    single = Weights(*(x.float() for x in own))
    rough, state = fast.unroll(E.float(), Q.float(), stack.reads, single, Rates(eta), trace=trace)
    assert rough.dtype == state.H.dtype == torch.float32
    scale = Q.norm(dim=-1).max() * (own.w.norm() + own.alpha.norm() * (1 + E.abs().sum()))
    assert (rough.double() - exact).abs().max() <= 1e-5 * scale


def test_no_reads_and_no_writes():
    E, Q, w, alpha, H = normal(0, (2, 3, 4), (2, 2, 4), (4, 4), (4, 4), (2, 4, 4))
    own, rates = Weights(w, alpha), Rates(0.3)
    nothing, state = fast.unroll(E, Q[:, :0], [], own, rates)
    assert nothing.shape == (2, 0, 4)
    assert_all_near(state, fast.unroll(E, Q, [3, 3], own, rates)[1], EXACT)
    for start in (None, State(H)):
        Y, after = fast.unroll(E[:, :0], Q, [0, 0], own, rates, start)
        assert_near(Y, Q @ (w if start is None else w + alpha * H).mT, EXACT)
        assert_near(after.H, torch.zeros_like(H) if start is None else H, EXACT)


def test_wrong_stacks_are_refused():
    E, square = torch.zeros(2, 3, 4), torch.zeros(4, 4)
    with pytest.raises(InputError, match=r"0 to n = 3 writes; got 4"):
        fast.unroll(E, E[:, :1], [4], Weights(square, square), Rates(0.1))


@both
def test_rows_receive_and_columns_send(trace: Trace):
    """The neuron j = 2 sends 3, the neuron i = 0 receives: only the connection from 2 to 0 notes it."""
    x, y = torch.tensor([[0.0, 0, 3, 0]]), torch.tensor([[0.5, 0, 0, 0]])
    noted = fast.imprint(fast.init_state(1, 4), x, y, Rates(0.2), trace=trace).H
    assert noted[0, 0, 2] == pytest.approx(0.2 * 0.5 * 3)
    assert noted.count_nonzero() == 1


@both
@given(stacks(), RATES)
def test_without_plasticity_the_fixed_weights_are_read(trace: Trace, stack: Stack, eta: float):
    own = weights(stack)._replace(alpha=torch.zeros_like(weights(stack).alpha))
    Y, _ = fast.unroll(stack.E, stack.Q, stack.reads, own, Rates(eta), memory(stack.seed, stack), trace=trace)
    assert_near(Y, stack.Q @ own.w.mT, EXACT)


@both
@given(stacks())
def test_a_rate_of_zero_notes_nothing(trace: Trace, stack: Stack):
    start = memory(stack.seed, stack)
    _, state = fast.unroll(stack.E, stack.Q, stack.reads, weights(stack), Rates(0.0), start, trace=trace)
    assert_near(state.H, start.H, EXACT)


@given(stacks(least_n=1))
def test_a_rate_of_one_keeps_the_last_occurrence_only(stack: Stack):
    own, start = weights(stack), memory(stack.seed, stack)
    _, before = fast.unroll(stack.E[:, :-1], stack.Q[:, :0], [], own, Rates(1.0), start)
    _, after = fast.unroll(stack.E, stack.Q[:, :0], [], own, Rates(1.0), start)
    x = stack.E[:, -1]
    assert_near(after.H, fast.respond(before, x, own)[:, :, None] * x[:, None, :], EXACT)


@given(seeds, st.integers(1, 5), st.floats(0.05, 0.9), st.floats(0.2, 1))
def test_ojas_trace_tends_to_x_over_y(seed: int, m: int, eta: float, least: float):
    """What both neurons keep doing is noted as x/y, which lets the noting neuron predict the sending one by H y = x."""
    x, sign = normal(seed, (1, m), (1, m))
    y = sign.sign() * (least + (1 - least) * sign.abs() / (1 + sign.abs()))
    state, steps = fast.init_state(1, m, dtype=torch.float64), math.ceil(30 / (eta * least**2))
    for _ in range(min(steps, 300)):
        state = fast.imprint(state, x, y, Rates(eta), trace="oja")
    left = (1 - eta * y.square()) ** min(steps, 300)
    assert_near(state.H, (1 - left)[:, :, None] * x[:, None, :] / y[:, :, None], 1e-9)


@both
@given(stacks(), RATES, st.floats(0.1, 6))
def test_the_bound_holds(trace: Trace, stack: Stack, eta: float, size: float):
    """|H| ≤ max|x| max|y| for ever with the Hebb trace, from a memory that is within it."""
    E = size * stack.E / stack.E.abs().amax(dim=(1, 2), keepdim=True) if stack.E.numel() else stack.E
    start = memory(stack.seed, stack)
    for state in (fast.init_state(len(E), E.shape[2], dtype=torch.float64), start):
        largest = state.H.abs().max().item()
        for t in range(E.shape[1] + 1):
            _, after = fast.unroll(E[:, :t], E[:, :0], [], weights(stack), Rates(eta), state, trace=trace)
            limit = fast.bound(t, size, 1.0, eta, largest, trace=trace)
            assert limit == pytest.approx(naive.bound(t, size, 1.0, eta, largest, trace=trace), rel=1e-12)
            assert after.H.abs().max() <= limit * ROUNDING + 1e-300
            if trace == "hebb":
                assert limit <= max(largest, size) * ROUNDING


def test_the_bound_is_tight_and_knows_where_it_ends():
    one = torch.ones(1, 1, dtype=torch.float64)
    state = fast.init_state(1, 1, dtype=torch.float64)
    for t in range(1, 6):
        state = fast.imprint(state, 2 * one, 3 * one, Rates(0.25))
        assert state.H.item() == pytest.approx(fast.bound(t, 2.0, 3.0, 0.25), rel=1e-14)
    first = fast.imprint(fast.init_state(1, 1, dtype=torch.float64), 2 * one, one, Rates(0.25), trace="oja")
    assert first.H.item() == fast.bound(1, 2.0, 1.0, 0.25, trace="oja")
    assert fast.bound(3, 1.0, 1.0, 1.5) == naive.bound(3, 1.0, 1.0, 1.5) == math.inf
    assert fast.bound(3, 1.0, 2.0, 0.6, trace="oja") == naive.bound(3, 1.0, 2.0, 0.6, trace="oja") == math.inf


def test_the_oja_trace_leaves_the_product_of_its_inputs():
    """|H| ≤ max|x| max|y|, the Hebb trace's bound, is not Oja's."""
    x, y = torch.ones(1, 1), torch.full((1, 1), 0.1)
    state = fast.init_state(1, 1)
    for _ in range(200):
        state = fast.imprint(state, x, y, Rates(0.5), trace="oja")
    assert state.H.item() > 1
