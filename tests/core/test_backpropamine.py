"""Backpropamine against its twin, what its modulation does in both forms, and that the clip holds."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stawm.core import backpropamine as fast
from stawm.core.backpropamine import RetroactiveState, SimpleState, State
from stawm.core.naive import backpropamine as naive
from stawm.core.plasticity import Rates, Weights
from stawm.errors import InputError
from tests.core.twins import (
    EXACT,
    assert_same_functions,
    assert_second_derivatives,
    assert_twins,
    uniform,
)
from tests.strategies import Stack, assert_all_near, assert_near, normal, stacks

RATES = st.just(0.0) | st.floats(1e-6, 1)
CLIPS = st.floats(0.1, 3)
HALF = Rates(0.5)
both = pytest.mark.parametrize("retroactive", [False, True], ids=["simple", "retroactive"])


def weights(stack: Stack) -> Weights:
    m = stack.E.shape[2]
    w, alpha = normal(stack.seed + 1, (m, m), (m, m))
    return Weights(w / m**0.5, alpha)


def modulation(stack: Stack) -> Tensor:
    """M from -2 to 2: some writes are clipped and some are not."""
    return 4 * uniform(stack.seed + 3, stack.E.shape[:2])[0] - 2


def inputs(stack: Stack, eta: float) -> tuple[Tensor, ...]:
    """E, M, Q, w, α, η."""
    return stack.E, modulation(stack), stack.Q, *weights(stack), torch.tensor(eta, dtype=torch.float64)


def memory(stack: Stack, retroactive: bool, clip: float = 1.0) -> State:
    b, _, m = stack.E.shape
    H, E = normal(stack.seed + 2, (b, m, m), (b, m, m))
    return RetroactiveState(H.clamp(-clip, clip), E) if retroactive else SimpleState(H.clamp(-clip, clip))


def as_state(*parts: Tensor) -> State | None:
    return {0: lambda: None, 1: SimpleState, 2: RetroactiveState}[len(parts)](*parts)


def unroll(rule: Any, reads: list[int], retroactive: bool, clip: float) -> Any:
    def run(E: Tensor, M: Tensor, Q: Tensor, w: Tensor, alpha: Tensor, eta: Tensor, *start: Tensor) -> Any:
        options: dict[str, Any] = {"clip": clip, "retroactive": retroactive}
        Y, after = rule.unroll(E, M, Q, reads, Weights(w, alpha), Rates(eta), as_state(*start), **options)
        return Y, *after

    return run


def test_the_twin_has_the_same_functions():
    assert_same_functions(fast, naive)


@both
@given(stacks(n=1, m=4, b=2, least_n=1), RATES, CLIPS)
def test_each_function_is_its_twin(retroactive: bool, stack: Stack, eta: float, clip: float):
    E, M, Q, *rest = inputs(stack, eta)

    def all_of(rule: Any) -> Any:
        def run(x: Tensor, M: Tensor, q: Tensor, w: Tensor, alpha: Tensor, eta: Tensor, *start: Tensor) -> Any:
            state, own = as_state(*start), Weights(w, alpha)
            after = rule.write(state, x, M, own, Rates(eta), clip=clip)
            return *after, rule.read(state, q, own), rule.matrix(state, own)

        return run

    assert_twins(all_of(fast), all_of(naive), E[:, 0], M[:, 0], Q[:, 0], *rest, *memory(stack, retroactive, clip))


@both
@given(st.integers(0, 3), st.integers(1, 3))
def test_empty_memories_read_the_fixed_weights(retroactive: bool, b: int, m: int):
    ours, twin = (rule.init_state(b, m, retroactive=retroactive) for rule in (fast, naive))
    assert type(ours) is type(twin)
    assert all(torch.equal(x, y) and not x.any() for x, y in zip(ours, twin, strict=True))
    (w, alpha), q = torch.randn(2, m, m), torch.randn(b, m)
    assert torch.equal(fast.read(ours, q, Weights(w, alpha)), q @ w.mT)


@both
@given(stacks(n=4, m=3, b=2), RATES, CLIPS)
def test_unroll_is_its_twin_in_values_and_gradients(retroactive: bool, stack: Stack, eta: float, clip: float):
    ours, twin = (unroll(rule, stack.reads, retroactive, clip) for rule in (fast, naive))
    assert_twins(ours, twin, *inputs(stack, eta))


@both
@given(stacks(n=4, m=3, b=2), RATES, CLIPS)
def test_unroll_from_a_memory_is_its_twin(retroactive: bool, stack: Stack, eta: float, clip: float):
    """Whatever the option says, the form of the memory counts."""
    ours, twin = (unroll(rule, stack.reads, not retroactive, clip) for rule in (fast, naive))
    assert_twins(ours, twin, *inputs(stack, eta), *memory(stack, retroactive, clip))


@both
@given(stacks(), RATES, CLIPS, st.data())
def test_a_stack_may_be_handed_over_anywhere(
    retroactive: bool, stack: Stack, eta: float, clip: float, data: st.DataObject
):
    cut = data.draw(st.integers(0, stack.E.shape[1]))
    E, M, Q = stack.E, modulation(stack), stack.Q
    own: dict[str, Any] = {"weights": weights(stack), "rates": Rates(eta), "clip": clip, "retroactive": retroactive}
    Y, whole = fast.unroll(E, M, Q, stack.reads, **own)
    _, first = fast.unroll(E[:, :cut], M[:, :cut], Q[:, :0], [], **own)
    later = [k for k, r in enumerate(stack.reads) if r >= cut]
    rest = [stack.reads[k] - cut for k in later]
    Z, second = fast.unroll(E[:, cut:], M[:, cut:], Q[:, later], rest, state=first, **own)
    assert_near(Z, Y[:, later], EXACT)
    assert_all_near(second, whole, EXACT)


@both
@pytest.mark.parametrize("started", [False, True])
def test_first_and_second_derivatives(retroactive: bool, started: bool):
    E, M, Q, w, alpha, H, trace = normal(5, (1, 3, 2), (1, 3), (1, 3, 2), (2, 2), (2, 2), (1, 2, 2), (1, 2, 2))
    run = unroll(fast, [1, 3, 0], retroactive, 0.7)
    start = [0.3 * H, *([trace] if retroactive else [])] if started else []
    eta = torch.tensor(0.3, dtype=torch.float64)
    assert_second_derivatives(lambda *x: run(*x)[0], E, M, Q, w, alpha, eta, *start)


@both
@given(stacks(m=4), RATES)
def test_float32_is_float64_to_its_rounding(retroactive: bool, stack: Stack, eta: float):
    """Mild inputs: no write multiplies what the last one rounded by more than about 1 + |x|²|α|."""
    E, M, Q, own = 0.2 * stack.E, modulation(stack), stack.Q, weights(stack)
    exact, _ = fast.unroll(E, M, Q, stack.reads, own, Rates(eta), retroactive=retroactive)
    single = Weights(*(x.float() for x in own))
    rough, state = fast.unroll(
        E.float(), M.float(), Q.float(), stack.reads, single, Rates(eta), retroactive=retroactive
    )
    assert all(x.dtype == torch.float32 for x in (rough, *state))
    scale = Q.norm(dim=-1).max() * (own.w.norm() + own.alpha.norm() * (1 + E.abs().sum()))
    assert (rough.double() - exact).abs().max() <= 1e-5 * scale


@both
def test_no_reads_and_no_writes(retroactive: bool):
    E, M, Q, w, alpha, H = normal(0, (2, 3, 4), (2, 3), (2, 2, 4), (4, 4), (4, 4), (2, 4, 4))
    own: dict[str, Any] = {"weights": Weights(w, alpha), "rates": HALF, "retroactive": retroactive}
    nothing, state = fast.unroll(E, M, Q[:, :0], [], **own)
    assert nothing.shape == (2, 0, 4)
    assert_all_near(state, fast.unroll(E, M, Q, [3, 3], **own)[1], EXACT)
    begun = RetroactiveState(H, H) if retroactive else SimpleState(H)
    for start in (None, begun):
        Y, after = fast.unroll(E[:, :0], M[:, :0], Q, [0, 0], state=start, **own)
        assert_near(Y, Q @ (w if start is None else w + alpha * H).mT, EXACT)
        assert type(after) is type(begun)
        assert_all_near(after, [torch.zeros_like(H)] * len(begun) if start is None else begun, EXACT)


def test_wrong_stacks_are_refused():
    E, square = torch.zeros(2, 3, 4), torch.zeros(4, 4)
    with pytest.raises(InputError, match=r"0 to n = 3 writes; got 4"):
        fast.unroll(E, E[:, :, 0], E[:, :1], [4], Weights(square, square), HALF)


@given(stacks(least_n=1), RATES, CLIPS)
def test_nothing_is_noted_without_modulation(stack: Stack, eta: float, clip: float):
    E, M, Q = stack.E, 0 * modulation(stack), stack.Q
    for retroactive in (False, True):
        start = memory(stack, retroactive, clip)
        _, after = fast.unroll(E, M, Q, stack.reads, weights(stack), Rates(eta), start, clip=clip)
        assert torch.equal(after.H, start.H)


@given(stacks())
def test_short_of_the_clip_products_add_up(stack: Stack):
    """H = Σ M y xᵀ, with y what the memory answered at the time."""
    own, M, (b, n, m) = weights(stack), modulation(stack), stack.E.shape
    state, H = fast.init_state(b, m, dtype=torch.float64), torch.zeros(b, m, m, dtype=torch.float64)
    for t in range(n):
        x = stack.E[:, t]
        y = fast.read(state, x, own).tanh()
        H = H + M[:, t, None, None] * y[:, :, None] * x[:, None, :]
        state = fast.write(state, x, M[:, t], own, HALF, clip=1e6)
        assert_near(state.H, H, EXACT)


def test_rows_receive_and_columns_send():
    """The neuron j = 2 sends, and only the neuron i = 0 answers."""
    w = torch.zeros(4, 4)
    w[0, 2] = 0.5
    state = fast.write(
        fast.init_state(1, 4), torch.tensor([[0.0, 0, 3, 0]]), torch.ones(1), Weights(w, w), HALF, clip=9
    )
    assert state.H[0, 0, 2] == pytest.approx(3 * torch.tensor(1.5).tanh().item())
    assert state.H.count_nonzero() == 1


@given(stacks(n=4, least_n=1), RATES)
def test_retroactive_modulation_works_on_what_was_before(stack: Stack, eta: float):
    """The first write shows in H with the second, by the second's modulation."""
    own, M, (b, _, m) = weights(stack), modulation(stack), stack.E.shape
    first = fast.write(
        fast.init_state(b, m, retroactive=True, dtype=torch.float64), stack.E[:, 0], M[:, 0], own, Rates(eta)
    )
    assert isinstance(first, RetroactiveState)
    assert not first.H.any()
    x = stack.E[:, 0]
    assert_near(first.E, eta * (x @ own.w.mT).tanh()[:, :, None] * x[:, None, :], EXACT)
    second = fast.write(first, stack.E[:, -1], M[:, -1], own, Rates(eta), clip=1e6)
    assert_near(second.H, M[:, -1, None, None] * first.E, EXACT)


@given(stacks(n=1, least_n=1))
def test_an_eligibility_rate_of_one_is_simple_modulation_a_write_late(stack: Stack):
    own, M, start = weights(stack), modulation(stack)[:, 0], memory(stack, False)
    x = stack.E[:, 0]
    y = fast.read(start, x, own).tanh()
    late = RetroactiveState(start.H, y[:, :, None] * x[:, None, :])
    now, then = (fast.write(state, x, M, own, Rates(1.0)) for state in (start, late))
    assert isinstance(then, RetroactiveState)
    assert_near(then.H, now.H, EXACT)
    assert_near(then.E, late.E, EXACT)


@both
@given(stacks(), RATES, CLIPS, st.floats(0.1, 6))
def test_the_bound_holds(retroactive: bool, stack: Stack, eta: float, clip: float, size: float):
    """|H| ≤ clip for ever; the eligibility trace is a mean of products, so |E| ≤ max|x|, as |y| ≤ 1."""
    E = size * stack.E / stack.E.abs().amax(dim=(1, 2), keepdim=True) if stack.E.numel() else stack.E
    own: dict[str, Any] = {"weights": weights(stack), "rates": Rates(eta), "clip": clip, "retroactive": retroactive}
    assert fast.bound(clip) == naive.bound(clip) == clip
    for t in range(E.shape[1] + 1):
        _, after = fast.unroll(E[:, :t], 3 * modulation(stack)[:, :t], E[:, :0], [], **own)
        assert after.H.abs().max() <= fast.bound(clip)
        if isinstance(after, RetroactiveState):
            assert after.E.abs().max() <= size * (1 + 1e-12)


def test_the_bound_is_reached_and_gives_no_gradient():
    E, w = torch.full((1, 2, 1), 3.0), torch.ones(1, 1)
    M = torch.full((1, 2), 5.0, requires_grad=True)
    Y, state = fast.unroll(E, M, E[:, :1], [2], Weights(w, w), HALF, clip=0.75)
    assert state.H.item() == fast.bound(0.75)
    assert torch.autograd.grad(Y.sum(), M)[0].abs().max() == 0
