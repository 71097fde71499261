"""The baselines: a plain classifier, a β-VAE, both."""

from typing import Any

import pytest
import torch
from torch import Tensor

import stawm
from stawm.errors import ConfigError
from stawm.heads.output import Noise
from tests.small import BASELINES, inputs, small, tensors

EPS = torch.finfo(torch.float64).eps


@pytest.mark.parametrize("preset", BASELINES)
def test_baselines_are_apart_and_deterministic_in_evaluation(preset: str) -> None:
    model = small(preset).double().eval()
    images, _ = inputs(model, batch=2)
    together, alone = tensors(model(images)), tensors(model(images[:1]))
    for name, value in together.items():
        assert (value[:1] - alone[name]).abs().max() <= 1e4 * EPS * value.abs().max(), name


def test_the_vae_draws_its_latent_while_training() -> None:
    model = small("bvae-cifar")
    images, _ = inputs(model)

    def canvas(seed: int, **options: Any) -> Tensor:
        return tensors(model(images, generator=torch.Generator().manual_seed(seed), **options))["canvas"]

    assert torch.equal(canvas(1), canvas(1))
    assert not torch.equal(canvas(1), canvas(2))
    assert torch.equal(canvas(1, sample=False), canvas(2, sample=False))
    zero = canvas(1, noise=Noise(latent=torch.zeros(2, 1, 32)))
    assert torch.equal(zero, canvas(1, sample=False))


def test_the_vae_draws_pixels_that_are_never_quite_black_or_white() -> None:
    """A sigmoid makes them, which saturates nowhere, and not a limit, beyond which nothing would learn."""
    model = small("bvae-cifar").eval()
    canvas = model(inputs(model)[0]).canvas
    assert ((canvas > 0) & (canvas < 1)).all()


def test_a_baseline_with_both_heads() -> None:
    model = stawm.build("bvae-cifar", heads=("drawing", "classification"))
    images, labels = inputs(model)
    parts = model.loss(model(images), images, labels)
    assert set(parts) == {"classification", "reconstruction", "kl", "total"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"heads.drawing.sketch_size": 8}, "sketch_size is null"),
        ({"heads.drawing.output_padding": False}, "output_padding true"),
        ({"backbone.layers": "8@33/1"}, "does not fit"),
    ],
)
def test_baselines_that_cannot_be(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        stawm.build("bvae-cifar", **changes)
