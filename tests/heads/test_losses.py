"""The losses against naive twins, and their scales as the authors had them."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import stawm
from stawm.heads.losses import classification_loss, kl_loss, reconstruction_loss
from stawm.heads.output import Latent
from tests.small import inputs, shaken, small, tensors, tiny

EPS = np.finfo(np.float64).eps
sizes = st.integers(1, 4)
seeds = st.integers(0, 2**32 - 1)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def naive_classification(logits: np.ndarray, labels: np.ndarray, smoothing: float) -> list[float]:
    """For each image the cross entropy with the label, a share of which is spread over all classes."""
    found = []
    for row, label in zip(logits, labels, strict=True):
        norm = math.log(math.fsum(math.exp(x) for x in row))
        wanted = [(1 - smoothing) * (k == label) + smoothing / len(row) for k in range(len(row))]
        found.append(-math.fsum(w * (x - norm) for w, x in zip(wanted, row, strict=True)))
    return found


def naive_kl(mu: np.ndarray, logvar: np.ndarray) -> list[float]:
    """For each image the divergence of its glimpses from a unit Gaussian, number by number (Eq. 24, 25)."""
    return [
        math.fsum(
            -0.5 * (1 + logvar[b, n, k] - mu[b, n, k] ** 2 - math.exp(logvar[b, n, k]))
            for n in range(mu.shape[1])
            for k in range(mu.shape[2])
        )
        for b in range(mu.shape[0])
    ]


@given(sizes, sizes, seeds, st.sampled_from([0.0, 0.1, 0.5]))
def test_cross_entropy(b: int, classes: int, seed: int, smoothing: float) -> None:
    logits = normal(seed, b, classes)
    labels = torch.randint(0, classes, (b,), generator=torch.Generator().manual_seed(seed))
    each = naive_classification(logits.numpy(), labels.numpy(), smoothing)
    scale = 50 * EPS * (1 + sum(each))
    assert abs(classification_loss(logits, labels, "sum", smoothing).item() - math.fsum(each)) < scale
    assert abs(classification_loss(logits, labels, "mean", smoothing).item() - math.fsum(each) / b) < scale


@given(sizes, sizes, seeds)
def test_squared_error_is_summed_over_pixels_and_batch(b: int, side: int, seed: int) -> None:
    canvas, images = normal(seed, b, 2, side, side), normal(seed + 1, b, 2, side, side)
    expected = math.fsum(
        (x - y) ** 2 for x, y in zip(canvas.flatten().tolist(), images.flatten().tolist(), strict=True)
    )
    assert abs(reconstruction_loss(canvas, images).item() - expected) < 100 * EPS * (1 + expected)


@given(sizes, sizes, sizes, seeds, st.floats(0, 8))
def test_kl_is_weighted_and_averaged_over_the_batch(b: int, n: int, k: int, seed: int, beta: float) -> None:
    latent = Latent(normal(seed, b, n, k), normal(seed + 1, b, n, k))
    each = naive_kl(latent.mu.numpy(), latent.logvar.numpy())
    expected = beta * math.fsum(each) / b
    assert abs(kl_loss(latent, beta).item() - expected) < 200 * EPS * (1 + beta * sum(map(abs, each)) + beta * n * k)


def test_the_divergence_of_a_unit_gaussian_is_zero() -> None:
    zero = torch.zeros(2, 3, 4, dtype=torch.float64)
    assert kl_loss(Latent(zero, zero), 4.0) == 0


def test_gradients_of_the_losses() -> None:
    mu, logvar = (normal(seed, 2, 3, 4).requires_grad_() for seed in (0, 1))
    assert torch.autograd.gradcheck(lambda m, v: kl_loss(Latent(m, v), 2.0), (mu, logvar))
    canvas = normal(2, 2, 1, 3, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda c: reconstruction_loss(c, torch.zeros_like(c)), (canvas,))
    logits, labels = normal(3, 2, 5).requires_grad_(), torch.tensor([1, 4])
    assert torch.autograd.gradcheck(lambda x: classification_loss(x, labels, "sum", 0.1), (logits,))


@pytest.mark.parametrize(
    "preset", ["stawm-mnist-sketchpad", "stawm-cifar-draw-16", "stawm-celeba-draw-32", "bvae-cifar"]
)
def test_the_parts_of_a_models_loss(preset: str) -> None:
    model = shaken(small(preset).double()).eval()
    images, labels = inputs(model)
    found = model(images)
    parts = {name: part.item() for name, part in model.loss(found, images, labels).items()}
    got = {name: value.detach().numpy() for name, value in tensors(found).items()}
    expected = {
        "reconstruction": ((got["canvas"] - images.numpy()) ** 2).sum(),
        "kl": model.config.head("drawing").beta * np.mean(naive_kl(got["mu"], got["logvar"])),
    }
    if "logits" in got:
        expected["classification"] = -got["logits"][np.arange(2), labels.numpy()].sum()
    expected["total"] = sum(expected.values())
    assert parts.keys() == expected.keys()
    for name, value in expected.items():
        assert parts[name] == pytest.approx(value, rel=1e-12), name


def test_a_classifier_averages() -> None:
    model = shaken(tiny(heads="classification").double()).eval()
    images, labels = inputs(model, batch=4)
    found = model(images)
    loss = model.loss(found, images, labels)
    assert set(loss) == {"classification", "total"}
    expected = -found.logits[torch.arange(4), labels].mean()
    assert loss["total"].item() == pytest.approx(expected.item(), rel=1e-12)


def test_what_is_drawn_is_compared_with_pixels() -> None:
    model: Any = tiny(heads="drawing", mean=(0.3,), std=(0.5,)).double().eval()
    pixels = torch.rand(2, 1, 12, 12, dtype=torch.float64)
    images = model.normalise(pixels)
    found = model(images)
    loss = model.loss(found, images)["reconstruction"]
    assert loss.item() == pytest.approx(((found.canvas - pixels) ** 2).sum().item(), rel=1e-12)


def test_a_loss_can_be_trained_on() -> None:
    model: Any = stawm.build("stawm-digits", seed=0, memory_size=16, hidden_size=16, dropout=0.0)
    images, labels = inputs(model, batch=16)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        optimiser.zero_grad()
        total = model.loss(model(images), images, labels)["total"]
        total.backward()
        optimiser.step()
        losses.append(total.item())
    assert losses[-1] < losses[0] / 2
