"""Pixels are bytes or floats in [0, 1], wherever they are taken."""

import math

import pytest
import torch

from stawm.errors import InputError
from stawm.models.pixels import SLACK, to_unit

FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def test_bytes_are_divided_by_255_in_single_precision():
    every = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_unit(every), every.float() / 255)
    assert to_unit(every).dtype == torch.float32


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_floats_are_returned_as_they_are(dtype: torch.dtype):
    pixels = torch.tensor([0.0, 0.25, 1.0], dtype=dtype)
    assert to_unit(pixels) is pixels


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_rounding_is_allowed_and_no_more(dtype: torch.dtype):
    epsilon = torch.finfo(dtype).eps
    for over in (1.0, float(SLACK)):
        kept = torch.tensor([-over * epsilon, 1 + over * epsilon], dtype=dtype)
        assert torch.equal(to_unit(kept), kept)
    for outside in (-2 * SLACK * epsilon, 1 + 2 * SLACK * epsilon):
        with pytest.raises(InputError, match=r"must be in \[0, 1\]"):
            to_unit(torch.tensor([0.5, outside], dtype=dtype))


def test_images_that_are_normalised_already_are_refused_with_their_range():
    normalised = torch.tensor([[-0.8571, 0.3], [2.0, 0.1]])
    with pytest.raises(InputError, match=r"values from -0\.8571 to 2\. .*normalises them itself"):
        to_unit(normalised)
    with pytest.raises(InputError, match="values from 0 to 255"):
        to_unit(torch.tensor([0.0, 255.0]))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_a_number_is_refused(value: float):
    with pytest.raises(InputError):
        to_unit(torch.tensor([0.5, value]))


@pytest.mark.parametrize("dtype", [torch.int64, torch.int8, torch.bool, torch.complex64], ids=str)
def test_other_types_are_refused(dtype: torch.dtype):
    with pytest.raises(InputError, match=rf"got {str(dtype).removeprefix('torch.')}\."):
        to_unit(torch.zeros(2, dtype=dtype))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float64], ids=str)
def test_nothing_is_legal(dtype: torch.dtype):
    assert to_unit(torch.empty(0, 1, 4, 4, dtype=dtype)).shape == (0, 1, 4, 4)


def test_gradients_pass_through():
    pixels = torch.tensor([0.5], requires_grad=True)
    to_unit(pixels).sum().backward()
    assert pixels.grad is not None
