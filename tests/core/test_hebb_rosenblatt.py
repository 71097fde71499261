"""The Hebb-Rosenblatt rule against its twin, its two forms against each other, and the authors' numbers."""

import inspect
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stawm.core import hebb_rosenblatt as fast
from stawm.core.activations import ACTIVATIONS
from stawm.core.hebb_rosenblatt import DenseState, FactoredState, Rates
from stawm.core.naive import hebb_rosenblatt as naive
from stawm.errors import InputError
from tests.strategies import (
    Stack,
    assert_all_near,
    assert_near,
    decimals,
    generator,
    gradients,
    normal,
    orientations,
    stacks,
)

FORMS = ("dense", "factored")
EXACT = 1e-10  # float64 rounding of sums over at most 6 x 6 terms, with room for ill-conditioned draws
PHIS = st.sampled_from(sorted(ACTIVATIONS))
RATES = st.tuples(decimals(0, 1.5), decimals(-0.3, 0.6), decimals(-1, 1)).map(lambda r: Rates(*r))


def random_state(seed: int, form: str, b: int, m: int, rows: int = 3) -> fast.State:
    if form == "dense":
        return DenseState(*normal(seed, (b, m, m)))
    return FactoredState(*normal(seed, (b, rows, m), (b, rows, m)))


def scalars(rates: Rates) -> list[Tensor]:
    return [torch.tensor(rate, dtype=torch.float64) for rate in rates]


def whole(rule: Any, stack: Stack, state: fast.State | None = None, **options: Any) -> Any:
    """Y and W as a function of everything that has a gradient."""

    def run(E: Tensor, Q: Tensor, *rates_and_state: Tensor) -> tuple[Tensor, Tensor]:
        (delta, eta, theta), start = rates_and_state[:3], rates_and_state[3:]
        rates = Rates(delta, eta, theta)
        begun = None if state is None else type(state)(*start)
        Y, after = rule.unroll(E, Q, stack.reads, rates, begun, **options)
        return Y, rule.matrix(after, rates)

    return run


def test_the_twin_has_the_same_functions():
    functions = inspect.getmembers(naive, lambda f: inspect.isfunction(f) and f.__module__ == naive.__name__)
    public = [name for name, _ in functions if not name.startswith("_")]
    assert {"init_dense", "init_factored", "respond", "write", "read", "matrix", "normalise", "unroll"} <= set(public)
    for name in public:
        assert str(inspect.signature(getattr(naive, name))) == str(inspect.signature(getattr(fast, name)))


@given(st.integers(0, 3), st.integers(1, 3))
def test_empty_memories(b: int, m: int):
    assert torch.equal(fast.init_dense(b, m).W, naive.init_dense(b, m).W)
    for ours, twin in zip(fast.init_factored(b, m), naive.init_factored(b, m), strict=True):
        assert torch.equal(ours, twin)


@given(stacks(n=1, least_n=1), RATES, orientations, PHIS, st.sampled_from(FORMS))
def test_each_function_is_its_twin(stack: Stack, rates: Rates, orientation: Any, activation: str, form: str):
    b, _, m = stack.E.shape
    state, e, phi = random_state(stack.seed + 1, form, b, m), stack.E[:, 0], ACTIVATIONS[activation].phi
    for ours, twin in zip(
        fast.write(state, e, rates, orientation, phi), naive.write(state, e, rates, orientation, phi), strict=True
    ):
        assert_near(ours, twin, EXACT)
    responses = [rule.respond(state, e, rates, orientation, phi) for rule in (fast, naive)]
    assert_near(responses[0], responses[1], EXACT)
    assert_near(fast.read(state, e, rates, orientation), naive.read(state, e, rates, orientation), EXACT)
    assert_near(fast.matrix(state, rates), naive.matrix(state, rates), EXACT)
    assert_near(fast.to_dense(state, rates).W, naive.to_dense(state, rates).W, EXACT)


@pytest.mark.parametrize("form", FORMS)
@given(stacks(n=4, m=4, b=2, least_n=1), RATES, orientations, PHIS)
def test_unroll_is_its_twin_in_values_and_gradients(
    form: str, stack: Stack, rates: Rates, orientation: Any, activation: str
):
    options = {"orientation": orientation, "phi": ACTIVATIONS[activation].phi, "form": form}
    inputs = (stack.E, stack.Q, *scalars(rates))
    ours, twin = whole(fast, stack, **options), whole(naive, stack, **options)
    for a, b in zip(ours(*inputs), twin(*inputs), strict=True):
        assert_near(a, b, EXACT)
    assert_all_near(gradients(ours, *inputs), gradients(twin, *inputs), 1e-8)


@pytest.mark.parametrize("form", FORMS)
@given(stacks(n=3, m=3, b=2), RATES, orientations)
def test_unroll_from_a_memory_is_its_twin(form: str, stack: Stack, rates: Rates, orientation: Any):
    state = random_state(stack.seed + 1, form, stack.E.shape[0], stack.E.shape[2])
    inputs = (stack.E, stack.Q, *scalars(rates), *state)
    ours = whole(fast, stack, state, orientation=orientation, form=form)
    twin = whole(naive, stack, state, orientation=orientation)
    for a, b in zip(ours(*inputs), twin(*inputs), strict=True):
        assert_near(a, b, EXACT)
    assert_all_near(gradients(ours, *inputs), gradients(twin, *inputs), 1e-8)


@given(stacks(n=6), RATES, orientations, st.data())
def test_a_stack_may_be_handed_over_anywhere(stack: Stack, rates: Rates, orientation: Any, data: st.DataObject):
    cut = data.draw(st.integers(0, stack.E.shape[1]))
    for form in ("auto", *FORMS):
        options: dict[str, Any] = {"orientation": orientation, "form": form}
        Y, whole_state = fast.unroll(stack.E, stack.Q, stack.reads, rates, **options)
        _, first = fast.unroll(stack.E[:, :cut], stack.Q[:, :0], [], rates, **options)
        later = [k for k, r in enumerate(stack.reads) if r >= cut]
        Z, second = fast.unroll(
            stack.E[:, cut:], stack.Q[:, later], [stack.reads[k] - cut for k in later], rates, first, **options
        )
        assert type(second) is type(whole_state)
        assert_near(Z, Y[:, later], EXACT)
        for a, b in zip(second, whole_state, strict=True):
            assert_near(a, b, EXACT)


def test_sixty_four_writes_are_exact():
    E, Q = normal(3, (2, 64, 16), (2, 65, 16))
    options: dict[str, Any] = {"rates": Rates(0.3, 0.02, 0.5), "reads": range(65)}
    dense, factored = (fast.unroll(0.5 * E, Q, form=form, **options)[0] for form in FORMS)
    assert_near(factored, dense, EXACT)


@pytest.mark.parametrize(("n", "m", "form"), [(5, 3, FactoredState), (6, 3, DenseState), (1, 1, FactoredState)])
def test_auto_keeps_fewer_than_two_m_rows(n: int, m: int, form: type):
    E, Q, rates = torch.ones(1, n, m), torch.ones(1, 1, m), Rates(0.2, 0.4, 0.5)
    assert type(fast.unroll(E, Q, [n], rates)[1]) is form
    _, first = fast.unroll(E[:, :1], Q, [0], rates)
    assert type(fast.unroll(E[:, 1:], Q, [n - 1], rates, first)[1]) is form


def test_a_dense_memory_stays_dense_and_rows_become_a_matrix_where_asked():
    E, Q, rates = torch.ones(1, 2, 3), torch.ones(1, 1, 3), Rates(0.2, 0.4, 0.5)
    _, rows = fast.unroll(E, Q, [2], rates, form="factored")
    assert isinstance(fast.unroll(E, Q, [2], rates, rows, form="dense")[1], DenseState)
    assert isinstance(fast.unroll(E, Q, [2], rates, fast.to_dense(rows, rates), form="factored")[1], DenseState)


@given(stacks(least_n=1), RATES, orientations, st.integers(1, 4))
def test_empty_slots_change_nothing(stack: Stack, rates: Rates, orientation: Any, slots: int):
    b, _, m = stack.E.shape
    options: dict[str, Any] = {"orientation": orientation, "form": "factored"}
    plain, _ = fast.unroll(stack.E, stack.Q, stack.reads, rates, **options)
    start = FactoredState(*torch.zeros(2, b, slots, m, dtype=torch.float64))
    slotted, after = fast.unroll(stack.E, stack.Q, stack.reads, rates, start, **options)
    assert_near(slotted, plain, EXACT)
    register = start
    for t in range(min(slots, stack.E.shape[1])):
        register = FactoredState(*(x[:, 1:] for x in fast.write(register, stack.E[:, t], rates, orientation)))
    assert register.E.shape[1] == slots
    if slots >= stack.E.shape[1]:
        assert_near(fast.matrix(register, rates), fast.matrix(after, rates), EXACT)


def test_no_reads_and_no_writes():
    E, Q = normal(0, (2, 3, 4), (2, 2, 4))
    rates = Rates(0.2, 0.4, 0.5)
    for form in FORMS:
        nothing, state = fast.unroll(E, Q[:, :0], [], rates, form=form)
        assert nothing.shape == (2, 0, 4)
        again, same = fast.unroll(E[:, :0], Q, [0, 0], rates, state, form=form)
        assert_near(again, torch.stack([fast.read(state, Q[:, k], rates) for k in (0, 1)], 1), EXACT)
        assert_near(fast.matrix(same, rates), fast.matrix(state, rates), EXACT)
        zeros, empty = fast.unroll(E[:, :0], Q, [0, 0], rates, form=form)
        assert torch.equal(zeros, torch.zeros_like(Q))
        assert torch.equal(fast.matrix(empty, rates), torch.zeros(2, 4, 4, dtype=torch.float64))


@pytest.mark.parametrize(
    ("E", "Q", "reads", "message"),
    [
        ((2, 3, 4), (2, 1, 4), [4], r"0 to n = 3 writes; got 4"),
        ((2, 3, 4), (2, 1, 4), [-1], r"0 to n = 3 writes; got -1"),
        ((2, 3, 4), (2, 2, 4), [1], r"k = 2 queries"),
    ],
)
def test_wrong_stacks_are_refused(E: tuple[int, ...], Q: tuple[int, ...], reads: list[int], message: str):
    with pytest.raises(InputError, match=message):
        fast.unroll(torch.zeros(E), torch.zeros(Q), reads, Rates(0.2, 0.4, 0.5))


@pytest.mark.parametrize("orientation", ["paper", "appendix"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("delta", [0.2, 1.0, 1.5])
def test_first_and_second_derivatives(form: Any, orientation: Any, delta: float):
    """Also by δ at 1, where (1-δ)^k must not be taken by way of a logarithm."""
    E, Q = normal(5, (1, 3, 2), (1, 2, 2))

    def run(E: Tensor, Q: Tensor, *rates: Tensor) -> Tensor:
        return fast.unroll(E, Q, [1, 3], Rates(*rates), orientation=orientation, phi=torch.sigmoid, form=form)[0]

    inputs = [x.requires_grad_() for x in (0.5 * E, Q, *scalars(Rates(delta, 0.4, 0.5)))]
    assert torch.autograd.gradcheck(run, inputs)
    assert torch.autograd.gradgradcheck(run, inputs)


@given(stacks(m=4, least_n=1), orientations, st.sampled_from(FORMS))
def test_float32_is_float64_to_its_rounding(stack: Stack, orientation: Any, form: Any):
    """Sums of at most 4 + 6 terms, each carried through at most 6 writes; growth bounded by mild e."""
    E, Q, rates = 0.5 * stack.E, stack.Q, Rates(0.2, 0.4, 0.5)
    exact, _ = fast.unroll(E, Q, stack.reads, rates, orientation=orientation, form=form)
    rough, state = fast.unroll(E.float(), Q.float(), stack.reads, rates, orientation=orientation, form=form)
    assert rough.dtype == state[0].dtype == torch.float32
    scale = fast.unroll(E.abs(), Q.abs(), stack.reads, rates, orientation=orientation, form=form)[0].max()
    assert (rough.double() - exact).abs().max() <= 1e-5 * max(float(scale), 1e-30)


@given(st.integers(1, 4), st.integers(0, 2**32 - 1), st.floats(0.1, 1), st.floats(0.05, 2), st.floats(0.1, 0.99))
def test_normalise_is_its_twin_and_keeps_the_promise(m: int, seed: int, delta: float, eta: float, c: float):
    e = 2 * torch.rand(4, m, generator=generator(seed), dtype=torch.float64) * torch.tensor([[0], [0.1], [1], [10]])
    rates = Rates(delta, eta, 0.5)
    scaled = fast.normalise(e, rates, c)
    assert_near(scaled, naive.normalise(e, rates, c), EXACT)
    assert (eta * scaled.square().sum(-1) <= c * delta * (1 + 1e-14)).all()
    small = eta * e.square().sum(-1) < c * delta
    assert torch.equal(scaled[small], e[small])
    for ours, twin in zip(
        gradients(lambda x, *r: (fast.normalise(x, Rates(*r), c),), e, *scalars(rates)),
        gradients(lambda x, *r: (naive.normalise(x, Rates(*r), c),), e, *scalars(rates)),
        strict=True,
    ):
        assert ours.isfinite().all()
        assert_near(ours, twin, 1e-8)


@pytest.mark.parametrize("case", ["mnist_class_8", "mnist_draw_6", "cifar_draw_16", "celeba_draw_32"])
@pytest.mark.parametrize("form", FORMS)
def test_the_authors_numbers(case: str, form: Any, pytestconfig: pytest.Config):
    with np.load(pytestconfig.rootpath / "tests" / "golden" / f"{case}.npz") as golden:
        E, response, W = (torch.from_numpy(golden[f"memory_{x}"]) for x in ("input", "response", "final"))
    rates = Rates(0.2, 0.4, 0.5)
    _, state = fast.unroll(E, E[:, :0], [], rates, form=form)
    assert_near(fast.matrix(state, rates), W, 1e-9)
    if isinstance(state, FactoredState):
        assert_near(rates.eta * state.F, response, 1e-9)
    _, before = fast.unroll(E[:, :-1], E[:, :0], [], rates, form=form)
    assert_near(rates.eta * fast.respond(before, E[:, -1], rates), response[:, -1], 1e-9)


def test_unroll_is_traced_without_shape_arithmetic():
    """For export: no node asks for a size, and none makes zeros of one."""

    class Unrolled(torch.nn.Module):
        def forward(self, E: Tensor, Q: Tensor) -> Tensor:
            return fast.unroll(E, Q, [1, 2, 3], Rates(0.2, 0.4, 0.5), form="factored")[0]

    batch = torch.export.Dim("batch")
    E, Q = torch.rand(2, 3, 5), torch.rand(2, 3, 5)
    program = torch.export.export(Unrolled(), (E, Q), dynamic_shapes=({0: batch}, {0: batch}))
    calls = [node for node in program.graph.nodes if node.op == "call_function"]
    assert not [node for node in calls if "sym_size" in str(node.target)]
    made = [n for n in calls if any(word in str(n.target) for word in ("zeros", "ones", "full"))]
    assert all(isinstance(size, int) for node in made for size in node.meta["val"].shape)
