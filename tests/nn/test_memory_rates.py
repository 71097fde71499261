"""Rates behind raw parameters."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stawm.nn.memories.rates import fraction, positive, raw_fraction, raw_positive

TYPES = st.sampled_from([torch.float32, torch.float64])
ULPS = 8


def near(got: torch.Tensor, value: float) -> bool:
    return abs(got.item() - value) <= ULPS * torch.finfo(got.dtype).eps * max(abs(value), torch.finfo(got.dtype).tiny)


@given(st.floats(1e-3, 1 - 1e-3), TYPES)
def test_a_fraction_starts_at_its_value(value: float, dtype: torch.dtype):
    raw = torch.tensor(raw_fraction(value), dtype=dtype)
    assert near(fraction(raw), value)
    assert raw.isfinite()


@given(st.floats(1e-3, 1e3), TYPES)
def test_a_positive_rate_starts_at_its_value(value: float, dtype: torch.dtype):
    assert near(positive(torch.tensor(raw_positive(value), dtype=dtype)), value)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_ends_are_exact_and_finite(dtype: torch.dtype):
    for value in (0.0, 1.0):
        raw = torch.tensor(raw_fraction(value), dtype=dtype, requires_grad=True)
        assert raw.isfinite()
        assert fraction(raw).item() == value
    raw = torch.tensor(raw_positive(0.0), dtype=dtype, requires_grad=True)
    assert raw.isfinite()
    assert positive(raw).item() == 0


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_no_raw_value_leaves_the_range(raw: float):
    assert 0 <= fraction(torch.tensor(raw)).item() <= 1
    assert 0 <= positive(torch.tensor(raw)).item() < float("inf")


def test_both_grow_with_the_raw_value():
    raw = torch.linspace(-5, 5, 11, requires_grad=True)
    for rate in (fraction, positive):
        (slope,) = torch.autograd.grad(rate(raw).sum(), raw)
        assert (slope > 0).all()
