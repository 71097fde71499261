"""The LSTM cell against PyTorch's own, and the emitter."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from stawm.nn.recurrent import Emitter, LSTMCell

EPS = torch.finfo(torch.float64).eps
sizes = st.integers(1, 6)
seeds = st.integers(0, 2**32 - 1)
IDENTITY = torch.tensor([1.0, 0, 0, 0, 1, 0])


def cells(inputs: int, hidden: int, seed: int) -> tuple[LSTMCell, nn.LSTMCell]:
    """Ours and PyTorch's, with the same weights."""
    torch.manual_seed(seed)
    ours, theirs = LSTMCell(inputs, hidden).double(), nn.LSTMCell(inputs, hidden).double()
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def gradients(cell: nn.Module, outputs: Any, inputs: list[Tensor]) -> list[Tensor]:
    """The gradients of a fixed weighting of both outputs by inputs and weights."""
    random = torch.Generator().manual_seed(5)
    total = sum((y * torch.randn(y.shape, generator=random, dtype=y.dtype)).sum() for y in outputs)
    assert isinstance(total, Tensor)
    found = torch.autograd.grad(total, [*inputs, *cell.parameters()], allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip([*inputs, *cell.parameters()], found, strict=True)]


def assert_same(got: Any, expected: Any, size: int) -> None:
    for a, b in zip(got, expected, strict=True):
        assert (a - b).abs().max() <= 50 * size * EPS * (1 + b.abs().max())


@given(sizes, sizes, sizes, seeds)
def test_outputs_and_gradients_are_those_of_pytorch(b: int, inputs: int, hidden: int, seed: int) -> None:
    ours, theirs = cells(inputs, hidden, seed)
    x, h, c = (torch.randn(b, k, dtype=torch.float64, requires_grad=True) for k in (inputs, hidden, hidden))
    got, expected = ours(x, h, c), theirs(x, (h, c))
    assert_same(got, expected, b * (inputs + hidden))
    assert_same(gradients(ours, got, [x, h, c]), gradients(theirs, expected, [x, h, c]), b * (inputs + hidden))


@given(sizes, sizes, sizes, seeds, st.booleans(), st.booleans())
def test_a_state_that_is_left_out_is_zero(
    b: int, inputs: int, hidden: int, seed: int, has_h: bool, has_c: bool
) -> None:
    ours, theirs = cells(inputs, hidden, seed)
    x = torch.randn(b, inputs, dtype=torch.float64, requires_grad=True)
    h = torch.randn(b, hidden, dtype=torch.float64) if has_h else None
    c = torch.randn(b, hidden, dtype=torch.float64) if has_c else None
    zero = torch.zeros(b, hidden, dtype=torch.float64)
    got, expected = ours(x, h, c), theirs(x, (zero if h is None else h, zero if c is None else c))
    assert_same(got, expected, b * (inputs + hidden))
    assert_same(gradients(ours, got, [x]), gradients(theirs, expected, [x]), b * (inputs + hidden))


def test_the_gradients_are_right() -> None:
    cell, _ = cells(3, 4, 0)
    x, h, c = (torch.randn(2, k, dtype=torch.float64, requires_grad=True) for k in (3, 4, 4))
    assert torch.autograd.gradcheck(cell, (x, h, c))


def test_under_autocast_gates_and_cell_are_float32() -> None:
    cell = LSTMCell(3, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        h, c = cell(torch.randn(2, 3))
        h, c = cell(torch.randn(2, 3), h, c)
    assert h.dtype == c.dtype == torch.float32


@pytest.mark.parametrize("hidden", [1, 2, 7])
def test_an_emitter_starts_at_the_identity(hidden: int) -> None:
    emitter = Emitter(hidden, IDENTITY, dropout=0.5)
    assert torch.equal(emitter(torch.randn(3, hidden)), IDENTITY.expand(3, 6))
    assert emitter.hidden.out_features == max(1, hidden // 2)


def test_an_emitter_is_two_layers_with_a_relu_between() -> None:
    torch.manual_seed(0)
    emitter = Emitter(6, IDENTITY, dropout=0.5).double().eval()
    nn.init.normal_(emitter.pose.weight)
    h = torch.randn(3, 6, dtype=torch.float64)
    middle = (h @ emitter.hidden.weight.T + emitter.hidden.bias).clamp(min=0)
    assert_same([emitter(h)], [middle @ emitter.pose.weight.T + emitter.pose.bias], 12)


def test_an_emitter_drops_while_training() -> None:
    emitter = Emitter(64, IDENTITY, dropout=0.5)
    nn.init.normal_(emitter.pose.weight)
    h = torch.randn(1, 64)
    assert not torch.equal(emitter(h), emitter(h))
    assert torch.equal(emitter.eval()(h), emitter(h))


@given(st.floats(0.1, 5), st.integers(0, 2**31))
def test_a_limited_pose_stays_near_the_identity(limit: float, seed: int) -> None:
    torch.manual_seed(seed)
    free, bound = Emitter(8, IDENTITY, 0.0), Emitter(8, IDENTITY, 0.0, limit)
    h = torch.randn(20, 8, dtype=torch.float64)
    for emitter in (free.double(), bound.double()):
        assert torch.equal(emitter(h), IDENTITY.double().expand(20, 6))
        nn.init.normal_(emitter.pose.weight, std=3)
    bound.load_state_dict(free.state_dict())
    moved, wished = bound(h) - IDENTITY, free(h) - IDENTITY
    torch.testing.assert_close(moved, limit * torch.tanh(wished / limit), rtol=0, atol=(4 + 8 * limit) * EPS)
    assert (moved.abs() <= limit + 4 * EPS).all()  # the identity's 1 is taken off again


def test_an_emitter_may_start_beside_the_identity() -> None:
    torch.manual_seed(3)
    many = torch.stack([Emitter(4, IDENTITY, 0.0, jitter=0.1).pose.bias.detach() - IDENTITY for _ in range(200)])
    deviation = many.std().item()
    assert deviation == pytest.approx(0.1, rel=6 / (2 * many.numel()) ** 0.5), "within six of its own deviations"
    assert many.std(dim=0).min() > 0, "every number of the pose"
    torch.manual_seed(3)
    plain, state = Emitter(4, IDENTITY, 0.0), torch.get_rng_state()
    torch.manual_seed(3)
    Emitter(4, IDENTITY, 0.0, jitter=0.0)
    assert torch.equal(torch.get_rng_state(), state), "without one no number is drawn"
    assert torch.equal(plain.pose.bias, IDENTITY)
