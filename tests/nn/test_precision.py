"""What stays in full precision."""

import pytest
import torch

from stawm.nn.precision import autocasts, full_precision, without_autocast


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_becomes_float32(dtype: torch.dtype) -> None:
    assert full_precision(torch.ones(2, dtype=dtype)).dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64])
def test_the_rest_stays_as_it_is(dtype: torch.dtype) -> None:
    x = torch.ones(2, dtype=dtype)
    assert full_precision(x) is x


def test_autocast_is_off_inside() -> None:
    x = torch.ones(2, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert autocasts(x)
        assert (x @ x).dtype == torch.bfloat16
        with without_autocast(x):
            assert not autocasts(x)
            assert (x @ x).dtype == torch.float32
        assert autocasts(x)


def test_devices_without_autocast() -> None:
    x = torch.ones(2, 2, device="meta")
    assert not autocasts(x)
    with without_autocast(x):
        assert (x @ x).shape == (2, 2)
