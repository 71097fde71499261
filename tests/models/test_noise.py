"""The random numbers of a forward pass are of the distributions that they are said to be of."""

import math
from typing import Any

import torch
from scipy.stats import kstest, norm, uniform
from torch import Tensor

import stawm
from stawm.heads.output import Noise
from tests.small import inputs, shaken, tiny

FURTHEST = math.sqrt(math.log(2 / 1e-9) / 2)
"""How far √n times the distribution function of n numbers is from the true one but in one of 10⁹ draws (Massart)."""


def assert_distributed(numbers: Tensor, like: Any) -> None:
    """Mean and deviation are the distribution's, up to six of their own deviations, and so is its shape."""
    flat = numbers.detach().flatten().numpy()
    assert len(flat) > 10_000
    assert abs(flat.mean() - like.mean()) < 6 * like.std() / math.sqrt(len(flat))
    assert abs(flat.std() - like.std()) < 6 * like.std() / math.sqrt(2 * len(flat))
    assert kstest(flat, like.cdf).statistic * math.sqrt(len(flat)) < FURTHEST


def latent_noise(model: Any, head: Any, **options: Any) -> Tensor:
    """Recover the noise of z = μ + σ·noise."""
    drawn: list[Tensor] = []
    hook = head.expand.register_forward_hook(lambda _, given, __: drawn.append(given[0]))
    latent = model(inputs(model, batch=64)[0], **options).latent
    hook.remove()
    return (drawn[0] - latent.mu) / (latent.logvar / 2).exp()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_latent_is_drawn_from_its_gaussian() -> None:
    model = shaken(tiny(heads={"name": "drawing", "latent": 64})).double().train()
    noise = latent_noise(model, model.heads["drawing"].sketcher, generator=generator())
    assert noise.shape == (64, 3, 64)
    assert_distributed(noise, norm())


def test_a_baselines_latent_is_drawn_from_its_gaussian() -> None:
    layers = {"layers": "4@3/2", "norm": "none", "bias": True}
    head = {"name": "drawing", "latent": 256}
    model: Any = stawm.build("bvae-cifar", image=(1, 8, 8), heads=head, backbone=layers, seed=0).double().train()
    noise = latent_noise(model, model.heads["drawing"], generator=generator())
    assert noise.shape == (64, 1, 256)
    assert_distributed(noise, norm())


def test_masks_are_drawn_with_uniform_numbers() -> None:
    """From B = S((logit u + logit p) / τ), where p is the mask without noise."""
    model = shaken(tiny(heads="drawing", canvas={"name": "bernoulli", "temperature": 0.7})).double().train()
    images, _ = inputs(model, batch=32)
    still = Noise(latent=torch.zeros(32, 3, 4, dtype=torch.float64))
    p = model(images, noise=still, sample=False).masks
    masks = model(images, noise=still, generator=generator()).masks
    assert_distributed((0.7 * masks.logit() - p.logit()).sigmoid()[p > 1e-6], uniform())


def test_every_glimpse_and_image_has_noise_of_its_own() -> None:
    model = tiny(heads={"name": "drawing", "latent": 32}).double().train()
    noise = latent_noise(model, model.heads["drawing"].sketcher, generator=generator())
    assert len({tuple(row.tolist()) for row in noise.detach().flatten(0, 1).round(decimals=6)}) == 64 * 3
