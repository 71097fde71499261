"""Decays, reads and the loop over a stack, by themselves."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stawm.core import stacks
from stawm.errors import InputError
from tests.strategies import Stack, assert_near
from tests.strategies import stacks as draw_stacks


@given(st.floats(-2, 2), st.integers(0, 20))
def test_powers(x: float, n: int):
    expected = torch.tensor([x**k for k in range(n)], dtype=torch.float64)
    assert_near(stacks.powers(torch.tensor(x, dtype=torch.float64), n), expected, 1e-14 * max(n, 1))


@pytest.mark.parametrize("x", [0.0, -1.0, 0.7])
def test_powers_have_every_derivative_also_at_zero(x: float):
    """d²/dx² of 1 + x + x² + x³ + x⁴ = 2 + 6x + 12x²."""
    base = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(stacks.powers(base, 5).sum(), base, create_graph=True)
    (second,) = torch.autograd.grad(first, base)
    assert first.item() == pytest.approx(1 + 2 * x + 3 * x**2 + 4 * x**3)
    assert second.item() == pytest.approx(2 + 6 * x + 12 * x**2)


@given(st.floats(0, 1), st.integers(1, 6), st.data())
def test_decay_rows(keep: float, n: int, data: st.DataObject):
    reads = data.draw(st.lists(st.integers(0, n), min_size=1, max_size=4))
    expected = [[keep ** (r - 1 - s) if s < r else 0.0 for s in range(n)] for r in reads]
    rows = stacks.decay_rows(torch.tensor(keep, dtype=torch.float64), n, reads)
    assert_near(rows, torch.tensor(expected, dtype=torch.float64), 1e-14)


@given(draw_stacks(least_n=1))
def test_attend_is_a_sum_of_outer_products(stack: Stack):
    D = torch.rand(len(stack.reads), stack.E.shape[1], dtype=torch.float64)
    keys, values = stack.E, stack.E.flip(-1)
    W = torch.einsum("kt,bti,btj->bkij", D, values, keys)
    expected = torch.einsum("bkij,bkj->bki", W, stack.Q)
    assert (
        stacks.attend(stack.Q, keys, values, D) - expected
    ).abs().max() <= 1e-12 * W.abs().max() * stack.Q.abs().max()


def test_stepping_through_reads_where_it_is_asked_for():
    """With a memory that is the list of what was written, a read shows when it happened."""
    E, Q = torch.arange(3.0).view(1, 3, 1) + 1, torch.tensor([10.0, 20.0, 30.0, 40.0]).view(1, 4, 1)

    def write(state: list[Tensor] | None, e: Tensor, twice: Tensor) -> list[Tensor]:
        return [*(state or []), twice - e]

    def read(state: list[Tensor] | None, q: Tensor) -> Tensor:
        return q + sum(state or [])

    Y, state = stacks.step_through((E, 2 * E), Q, [3, 0, 1, 3], None, write, read)
    assert Y.flatten().tolist() == [16, 20, 31, 46]
    assert state is not None
    assert [e.item() for e in state] == [1, 2, 3]
    Y, _ = stacks.step_through((E, 2 * E), Q[:, :1], [0], [torch.tensor([[5.0]])], write, read)
    assert Y.item() == 15


@pytest.mark.parametrize(
    ("E", "Q", "reads", "message"),
    [
        ((2, 3, 4), (2, 1, 5), [0], r"same b and m; got \(2, 3, 4\) and \(2, 1, 5\)"),
        ((2, 3, 4), (1, 1, 4), [0], "same b and m"),
        ((2, 4), (2, 1, 4), [0], "same b and m"),
        ((2, 3, 4), (2, 1, 4), [], r"k = 1 queries .*; got \[\]"),
        ((2, 3, 4), (2, 2, 4), [0, 4], r"0 to n = 3 writes; got 4 in \[0, 4\]"),
        ((2, 3, 4), (2, 1, 4), [-1], "got -1"),
    ],
)
def test_wrong_stacks_are_refused(E: tuple[int, ...], Q: tuple[int, ...], reads: list[int], message: str):
    with pytest.raises(InputError, match=message):
        stacks.check_stack(torch.zeros(E), torch.zeros(Q), reads)
    assert stacks.check_stack(torch.zeros(2, 3, 4), torch.zeros(2, 2, 4), [0, 3]) is None


@pytest.mark.parametrize(
    ("form", "rows", "factored"),
    [("auto", 5, True), ("auto", 6, False), ("factored", 99, True), ("dense", 0, False), ("auto", 0, True)],
)
def test_which_form(form: stacks.Form, rows: int, factored: bool):
    assert stacks.is_factored(form, rows, 3) is factored


def test_rates_take_the_type_of_what_they_act_on():
    like = torch.zeros(1, dtype=torch.float64)
    assert stacks.as_scalar(0.1, like).dtype == torch.float64
    assert stacks.as_scalar(0.1, like).item() == 0.1
    rate = torch.tensor(0.1, requires_grad=True)
    assert stacks.as_scalar(rate, rate) is rate
