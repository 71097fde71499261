"""Fast weights against their twin, their two forms against each other, and their bound."""

import inspect
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stawm.core import fast_weights as fast
from stawm.core.fast_weights import DenseState, FactoredState, Rates
from stawm.core.naive import fast_weights as naive
from stawm.errors import InputError
from tests.core.twins import assert_second_derivatives, assert_twins
from tests.strategies import Stack, assert_near, decimals, normal, stacks

FORMS = ("dense", "factored")
EXACT = 1e-10
RATES = st.tuples(decimals(0, 1), decimals(0, 1)).map(lambda r: Rates(*r))


def random_state(seed: int, form: str, b: int, m: int, rows: int = 3) -> fast.State:
    return DenseState(*normal(seed, (b, m, m))) if form == "dense" else FactoredState(*normal(seed, (b, rows, m)))


def scalars(rates: Rates) -> list[Tensor]:
    return [torch.tensor(rate, dtype=torch.float64) for rate in rates]


def whole(rule: Any, reads: list[int], form: Any, state: fast.State | None = None) -> Any:
    """Y and A as a function of everything that has a gradient."""

    def run(E: Tensor, Q: Tensor, decay: Tensor, eta: Tensor, *start: Tensor) -> tuple[Tensor, Tensor]:
        rates, begun = Rates(decay, eta), None if state is None else type(state)(*start)
        Y, after = rule.unroll(E, Q, reads, rates, begun, form=form)
        return Y, rule.matrix(after, rates)

    return run


def test_the_twin_has_the_same_functions():
    functions = inspect.getmembers(naive, lambda f: inspect.isfunction(f) and f.__module__ == naive.__name__)
    public = [name for name, _ in functions if not name.startswith("_")]
    assert {"init_dense", "init_factored", "write", "read", "matrix", "unroll", "bound"} <= set(public)
    for name in public:
        assert str(inspect.signature(getattr(naive, name))) == str(inspect.signature(getattr(fast, name)))


@given(st.integers(0, 3), st.integers(1, 3))
def test_empty_memories(b: int, m: int):
    assert torch.equal(fast.init_dense(b, m).A, naive.init_dense(b, m).A)
    assert torch.equal(fast.init_factored(b, m).E, naive.init_factored(b, m).E)


@given(stacks(n=1, least_n=1), RATES, st.sampled_from(FORMS))
def test_each_function_is_its_twin(stack: Stack, rates: Rates, form: str):
    b, _, m = stack.E.shape
    state, e = random_state(stack.seed + 1, form, b, m), stack.E[:, 0]
    assert_near(fast.write(state, e, rates)[0], naive.write(state, e, rates)[0], EXACT)
    assert_near(fast.read(state, e, rates), naive.read(state, e, rates), EXACT)
    assert_near(fast.matrix(state, rates), naive.matrix(state, rates), EXACT)
    assert_near(fast.to_dense(state, rates).A, naive.to_dense(state, rates).A, EXACT)


@pytest.mark.parametrize("form", FORMS)
@given(stacks(n=4, m=4, b=2), RATES)
def test_unroll_is_its_twin_in_values_and_gradients(form: str, stack: Stack, rates: Rates):
    inputs = stack.E, stack.Q, *scalars(rates)
    assert_twins(whole(fast, stack.reads, form), whole(naive, stack.reads, form), *inputs)
    state = random_state(stack.seed + 1, form, stack.E.shape[0], stack.E.shape[2])
    assert_twins(*(whole(rule, stack.reads, form, state) for rule in (fast, naive)), *inputs, *state)


@given(stacks(), RATES, st.data())
def test_a_stack_may_be_handed_over_anywhere(stack: Stack, rates: Rates, data: st.DataObject):
    cut = data.draw(st.integers(0, stack.E.shape[1]))
    for form in ("auto", *FORMS):
        Y, end = fast.unroll(stack.E, stack.Q, stack.reads, rates, form=form)
        _, first = fast.unroll(stack.E[:, :cut], stack.Q[:, :0], [], rates, form=form)
        later = [k for k, r in enumerate(stack.reads) if r >= cut]
        reads = [stack.reads[k] - cut for k in later]
        Z, second = fast.unroll(stack.E[:, cut:], stack.Q[:, later], reads, rates, first, form=form)
        assert type(second) is type(end)
        assert_near(Z, Y[:, later], EXACT)
        assert_near(second[0], end[0], EXACT)


@pytest.mark.parametrize(("n", "form"), [(5, FactoredState), (6, DenseState)])
def test_auto_keeps_fewer_than_two_m_rows(n: int, form: type):
    E, Q, rates = torch.ones(1, n, 3), torch.ones(1, 1, 3), Rates(0.9, 0.5)
    assert type(fast.unroll(E, Q, [n], rates)[1]) is form


@given(stacks(least_n=1), RATES, st.integers(1, 4))
def test_empty_slots_change_nothing(stack: Stack, rates: Rates, slots: int):
    start = FactoredState(torch.zeros(stack.E.shape[0], slots, stack.E.shape[2], dtype=torch.float64))
    plain, _ = fast.unroll(stack.E, stack.Q, stack.reads, rates, form="factored")
    slotted, _ = fast.unroll(stack.E, stack.Q, stack.reads, rates, start, form="factored")
    assert_near(slotted, plain, EXACT)


def test_sixty_four_writes_are_exact():
    E, Q = normal(3, (2, 64, 16), (2, 65, 16))
    dense, factored = (fast.unroll(E, Q, range(65), Rates(0.9, 0.5), form=form)[0] for form in FORMS)
    assert_near(factored, dense, EXACT)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("decay", [0.0, 0.9, 1.0])
def test_first_and_second_derivatives(form: Any, decay: float):
    """Also by λ at 0, where λᵏ must not be taken by way of a logarithm."""
    E, Q = normal(5, (1, 3, 2), (1, 2, 2))

    def run(E: Tensor, Q: Tensor, *rates: Tensor) -> Tensor:
        return fast.unroll(E, Q, [1, 3], Rates(*rates), form=form)[0]

    assert_second_derivatives(run, E, Q, *scalars(Rates(decay, 0.5)))


@given(stacks(m=4), st.sampled_from(FORMS))
def test_float32_is_float64_to_its_rounding(stack: Stack, form: Any):
    exact, _ = fast.unroll(stack.E, stack.Q, stack.reads, Rates(0.9, 0.5), form=form)
    rough, state = fast.unroll(stack.E.float(), stack.Q.float(), stack.reads, Rates(0.9, 0.5), form=form)
    assert rough.dtype == state[0].dtype == torch.float32
    scale = fast.unroll(stack.E.abs(), stack.Q.abs(), stack.reads, Rates(0.9, 0.5), form=form)[0].max()
    assert (rough.double() - exact).abs().max() <= 2e-6 * float(scale)


@given(stacks(), RATES, st.floats(0, 2))
def test_the_memory_is_symmetric_positive_and_bounded(stack: Stack, rates: Rates, start: float):
    decay, eta = map(float, rates)
    b, n, m = stack.E.shape
    longest = float(stack.E.norm(dim=2).max()) if n else 0.0
    first = DenseState(start * torch.eye(m, dtype=torch.float64).expand(b, m, m) / m**0.5)
    A = fast.matrix(fast.unroll(stack.E, stack.Q, stack.reads, rates, first)[1], rates)
    limit = fast.bound(n, longest, decay, eta, start)
    assert (torch.linalg.matrix_norm(A) <= limit * (1 + 1e-12)).all()
    assert_near(A, A.mT, EXACT)
    assert (torch.linalg.eigvalsh(A) >= -1e-12 * (1 + limit)).all()
    assert limit == pytest.approx(naive.bound(n, longest, decay, eta, start), rel=1e-9)


def test_equal_inputs_attain_the_bound():
    E = torch.full((1, 5, 4), 0.5, dtype=torch.float64)
    for decay in (0.0, 0.7, 1.0):
        A = fast.matrix(fast.unroll(E, E[:, :0], [], Rates(decay, 0.3))[1], Rates(decay, 0.3))
        assert float(torch.linalg.matrix_norm(A)) == pytest.approx(fast.bound(5, 1.0, decay, 0.3), rel=1e-12)


def test_a_read_out_of_range_is_refused():
    with pytest.raises(InputError, match=r"0 to n = 2 writes; got 3"):
        fast.unroll(torch.zeros(1, 2, 3), torch.zeros(1, 1, 3), [3], Rates(0.9, 0.5))
