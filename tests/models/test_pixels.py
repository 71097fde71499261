"""Pixels are bytes or floats in [0, 1], wherever they are taken."""

import copy
import math
import warnings
from typing import Any

import pytest
import torch

from stawm.errors import InputError, PixelsWarning
from stawm.models.pixels import SLACK, to_unit
from tests.small import shaken, small, tiny

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


MNIST = {"mean": (0.1307,), "std": (0.3081,)}
PIXELS = torch.rand(2, 1, 12, 12)


def _warnings(model: Any, *calls: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for images in calls:
            model(images)
    assert all(w.category is PixelsWarning for w in caught)
    return [str(w.message) for w in caught]


@pytest.mark.parametrize("model", [tiny(**MNIST), small("mnv2-cifar", backbone="conv")], ids=["glimpses", "baseline"])
def test_pixels_are_noticed_once(model: Any):
    pixels = torch.rand(2, *model.config.image)
    (said,) = _warnings(model.eval(), pixels, pixels, pixels)
    least, most = (model.normalise(torch.full((1, *model.config.image), end)) for end in (0.0, 1.0))
    assert f"normalised ones, from {least.min():.3g} to {most.max():.3g}." in said
    assert _warnings(copy.deepcopy(model), model.normalise(pixels), pixels), "a copy is a model of its own"


@pytest.mark.parametrize(
    ("fields", "images"),
    [
        (MNIST, tiny(**MNIST).normalise(PIXELS)),
        (MNIST, tiny(**MNIST).normalise(torch.zeros(2, 1, 12, 12))),
        (MNIST, tiny(**MNIST).normalise(torch.full((2, 1, 12, 12), 0.3))),
        (MNIST, torch.zeros(2, 1, 12, 12)),
        (MNIST, torch.randn(2, 1, 12, 12)),
        ({"mean": (0.0,), "std": (1.0,)}, PIXELS),
        ({"mean": (0.0,), "std": (1.0,)}, torch.randn(2, 1, 12, 12).abs()),
        ({"mean": (0.5,), "std": (0.5,)}, 2 * PIXELS - 1),
        (MNIST, torch.zeros(0, 1, 12, 12)),
    ],
)
def test_images_that_may_be_normalised_are_no_news(fields: dict[str, Any], images: torch.Tensor):
    assert _warnings(tiny(**fields).eval(), images) == []


@pytest.mark.parametrize("fields", [MNIST, {"mean": (0.0,), "std": (1.0,)}])
def test_bytes_as_floats_are_noticed(fields: dict[str, Any]):
    assert len(_warnings(tiny(**fields).eval(), 255 * PIXELS)) == 1


def test_only_the_first_calls_are_looked_at(monkeypatch: pytest.MonkeyPatch):
    model, looked = tiny(**MNIST).eval(), []
    images, plain = model.normalise(PIXELS), torch.Tensor.aminmax
    monkeypatch.setattr(torch.Tensor, "aminmax", lambda self: (looked.append(1), plain(self))[1])
    assert _warnings(model, *[images] * 10) == []
    assert len(looked) == 3


def test_nothing_is_noticed_where_numbers_are_not_known():
    model = tiny(**MNIST).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.func.vmap(lambda image: model(image[None]).logits)(PIXELS)
        model.to("meta")(PIXELS.to("meta"))


@pytest.mark.usefixtures("unchecked")
def test_bytes_are_told_where_to_go():
    with pytest.raises(InputError, match=r"got uint8 of shape .*Pixels go to predict\(pixels\)"):
        tiny()(torch.zeros(2, 1, 12, 12, dtype=torch.uint8))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_predict_takes_pixels(dtype: torch.dtype):
    model = shaken(tiny(**MNIST, dropout=0.5)).to(dtype).train()
    raw = torch.randint(0, 256, (2, 1, 12, 12), dtype=torch.uint8)
    found = model.predict(raw, glimpses=2, glimpse_logits=True)
    assert model.training
    assert found.glimpse_logits.shape == (2, 2, 10)
    assert not found.logits.requires_grad
    assert found == model.predict(raw.float() / 255, glimpses=2, glimpse_logits=True)
    with torch.no_grad():
        wide = torch.promote_types(dtype, torch.float32)
        images = model.normalise((raw.float() / 255).to(wide)).to(dtype)
        assert model.eval()(images, glimpses=2, glimpse_logits=True) == found
    assert small("mnv2-cifar", backbone="conv").predict(torch.rand(2, 3, 32, 32)).logits.shape == (2, 10)


@pytest.mark.parametrize(
    ("pixels", "says"),
    [
        (torch.rand(1, 12, 12), "takes float32 images of shape"),
        ([[0.0]], "got list"),
        (torch.rand(1, 1, 12, 12) + 1, r"must be in \[0, 1\]"),
        (torch.zeros(1, 1, 12, 12, dtype=torch.int64), "Pixels are bytes"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_predict_refuses_what_are_no_pixels(pixels: Any, says: str):
    with pytest.raises(InputError, match=says):
        tiny().predict(pixels)
