"""The random numbers of a pass: what they are like, and that models draw them here and nowhere else."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from stawm.errors import InputError
from stawm.heads.noise import KINDS, draw_noise, settle
from stawm.heads.output import Noise
from tests.moments import MOMENTS, assert_distributed
from tests.small import inputs, shaken, small, tensors, tiny

COUNT = 100_000


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_there_is_a_kind_for_each_field():
    assert set(KINDS) == set(Noise._fields) == set(MOMENTS)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_numbers_are_distributed_as_they_should_be(kind: str, dtype: torch.dtype):
    drawn = draw_noise(kind, (COUNT,), torch.empty(0, dtype=dtype), seeded())
    assert drawn.dtype == torch.promote_types(dtype, torch.float32)
    assert_distributed(kind, drawn)


@pytest.mark.parametrize("kind", KINDS)
def test_a_generator_repeats_them(kind: str):
    first, again, other = (draw_noise(kind, (9, 2), torch.empty(0), seeded(s)) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_mask_is_inside_zero_and_one_where_logarithms_are_finite():
    drawn = KINDS["mask"](torch.empty(COUNT), seeded())
    assert drawn.min() >= torch.finfo(torch.float32).eps
    assert drawn.max() <= 1 - torch.finfo(torch.float32).eps
    assert torch.isfinite(drawn.log() - (1 - drawn).log()).all()


def both(images: Tensor, model: Any, seed: int) -> Noise:
    """What a model has to draw from a generator: its fields in their order."""
    generator = seeded(seed)
    shapes = model.noise_shapes(3)
    drawn = {
        kind: draw_noise(kind, (len(images), *shapes[kind]), images, generator) for kind in KINDS if kind in shapes
    }
    return Noise(**drawn)


@pytest.mark.parametrize("name", ["painter", "baseline"])
def test_models_draw_these_numbers_where_they_sample(name: str):
    model: Any = shaken(tiny(canvas="bernoulli") if name == "painter" else small("bvae-cifar")).eval()
    images, _ = inputs(model)
    given = tensors(model(images, noise=both(images, model, 4)))
    drawn = tensors(model(images, sample=True, generator=seeded(4)))
    other = tensors(model(images, sample=True, generator=seeded(5)))
    assert given.keys() == drawn.keys()
    assert all(torch.equal(given[key], drawn[key]) for key in given)
    assert not torch.equal(given["canvas"], other["canvas"])


def test_shapes_are_of_the_heads():
    painter, reader, baseline = tiny(canvas="bernoulli"), tiny(heads="classification"), small("bvae-cifar")
    assert dict(painter.noise_shapes(5)) == {"latent": (5, 4), "mask": (5, 1, 12, 12)}
    assert dict(tiny().noise_shapes(2)) == {"latent": (2, 4)}
    assert dict(reader.noise_shapes(5)) == {}
    assert dict(baseline.noise_shapes(5)) == {"latent": (1, baseline.config.head("drawing").latent)}
    assert dict(small("mnv2-cifar").noise_shapes(5)) == {}


def test_what_is_given_is_used_and_the_rest_drawn():
    shapes = {"latent": (3, 4), "mask": (3, 1, 2, 2)}
    images = torch.zeros(2, 1, 2, 2)
    latent = torch.full((2, 3, 4), math.pi)
    found = settle(Noise(latent=latent), shapes, images, seeded(), draw=True)
    assert found.latent is latent
    assert found.mask is not None
    assert found.mask.shape == (2, 3, 1, 2, 2)
    assert settle(None, shapes, images, None, draw=False) == Noise()


@pytest.mark.parametrize(
    ("noise", "message"),
    [
        (Noise(mask=torch.zeros(2, 3, 1, 2, 2)), "uses no noise named 'mask'; it uses latent"),
        (Noise(latent=torch.zeros(2, 4, 4)), r"latent noise must be of shape \(2, 3, 4\); got \(2, 4, 4\)"),
        (Noise(latent=torch.zeros(1, 3, 4)), r"latent noise must be of shape \(2, 3, 4\); got \(1, 3, 4\)"),
    ],
)
def test_noise_of_another_form_is_refused(noise: Noise, message: str):
    with pytest.raises(InputError, match=message):
        settle(noise, {"latent": (3, 4)}, torch.zeros(2, 1, 2, 2), None, draw=False)
