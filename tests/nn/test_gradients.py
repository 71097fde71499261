"""Gradients are clipped where they pass, row by row."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from stawm.nn.recurrent import clip_rows

EPS = torch.finfo(torch.float64).eps


@given(st.integers(1, 5), st.integers(1, 6), st.floats(1e-3, 1e3), st.integers(0, 2**31))
def test_rows_keep_their_direction_and_lose_their_excess(b: int, k: int, limit: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(b, k, dtype=torch.float64, generator=generator, requires_grad=True)
    gradient = 10 ** (4 * torch.rand(b, 1, dtype=torch.float64, generator=generator) - 2) * torch.randn(
        b, k, dtype=torch.float64, generator=generator
    )
    y = clip_rows(x, limit)
    assert torch.equal(y, x)
    y.backward(gradient)
    for row, given_row in zip(x.grad, gradient, strict=True):
        norm = sum(float(g) ** 2 for g in given_row) ** 0.5
        expected = given_row if norm <= limit else given_row * limit / norm
        torch.testing.assert_close(row, expected, rtol=8 * EPS, atol=0)


def test_no_gradient_stays_none() -> None:
    x = torch.ones(2, 3, requires_grad=True)
    for limit in (0.5, 0.0):
        clip_rows(x, limit).backward(torch.zeros(2, 3))
        assert torch.equal(x.grad, torch.zeros(2, 3))
