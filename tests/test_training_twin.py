"""Every preset of the paper in training mode against the slow twin of the authors' code, in float64.

Where the recipe ``authors`` trains a variant of a preset, the variant is compared. Dropout is off, and random
numbers are given.
"""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import stawm
from stawm.heads.output import Noise, Output
from stawm.models.model import Stawm
from stawm.storage.interop import authors_names, load_authors_state_dict
from stawm.training.recipes import recipes_of, trained_preset
from tests import authors_twin as twin
from tests.authors import authors_state_dict
from tests.authors_twin import Net, Weights

M, D, B = 8, 12, 4
NETS = [
    *(twin.MNIST_8, twin.MNIST_28, twin.DRAW_4, twin.DRAW_6, twin.DRAW_8, twin.SKETCHPAD, twin.MNIST_SELFSUP),
    *(twin.CIFAR_DRAW, twin.CIFAR_SELFSUP, twin.CELEBA),
]
NEAR = 3e-12


def random(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.RandomState(seed).standard_normal(shape))


def noise_of(net: Net) -> Noise:
    side = net.image[1]
    masks = net is twin.CELEBA
    mask = np.random.RandomState(100).uniform(0.01, 0.99, (B, net.glimpses, 1, side, side)) if masks else None
    latent = random(300, B, net.glimpses, net.latent) if net.draws else None
    return Noise(latent, None if mask is None else torch.from_numpy(mask))


def built(net: Net) -> Stawm:
    name = trained_preset("authors", net.preset) if "authors" in recipes_of(net.preset) else net.preset
    sizes = {"memory_size": M, "hidden_size": D, "glimpses": net.glimpses, "dropout": 0.0}
    model = stawm.build(name, seed=0, **sizes).double().train()
    assert isinstance(model, Stawm)
    return model


def losses_of(net: Net, found: dict[str, Tensor], images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """The losses as the authors' scripts add them up."""
    losses: dict[str, Tensor] = {}
    if net.classifier:
        each = -found["logits"].gather(1, labels[:, None])
        losses["classification"] = each.sum() if net.second_query else each.mean()
    if net.draws:
        mu, logvar = found["mu"], found["logvar"]
        beta = 2 if net.image[0] == 3 else 4
        losses["reconstruction"] = (found["canvas"] - images).square().sum()
        losses["kl"] = beta * (-0.5 * (1 + logvar - mu.square() - logvar.exp())).sum(dim=(1, 2)).mean()
    return losses


def of_output(output: Output) -> dict[str, Tensor | None]:
    trace, latent = output.trace, output.latent
    assert trace is not None
    return {
        "logits": output.logits,
        "canvas": output.canvas,
        "pose": trace.pose,
        "memory_input": trace.memory_input,
        "mu": None if latent is None else latent.mu,
        "logvar": None if latent is None else latent.logvar,
    }


def gap(got: Tensor | None, expected: Tensor) -> float:
    got = torch.zeros_like(expected) if got is None else got
    largest = expected.abs().max().item()
    return (got.reshape(expected.shape) - expected).abs().max().item() / (largest or 1.0)


def differences(net: Net) -> dict[str, float]:
    """How far outputs, losses, gradients and running statistics of one training pass are apart."""
    weights: Weights = authors_state_dict(net.shapes(M, D))
    for name in weights:  # at full size the poses of random emitters are chaotic: rounding grows to 1e-10 and more
        weights[name] *= 0.1 if name.endswith("emission.fc3.weight") else 1
    model = built(net)
    load_authors_state_dict(model, weights)
    images = torch.from_numpy(np.random.RandomState(7).rand(B, net.image[0], net.image[1], net.image[1]))
    labels, noise = torch.arange(B) % 10, noise_of(net)
    learned = {name for name, weight in model.named_parameters() if weight.requires_grad}
    names = authors_names(model, weights)
    for name, ours in names.items():
        weights[name].requires_grad_(ours in learned)
    expected = twin.forward(net, weights, images, noise.mask, noise.latent, training=True)
    output = model(images, noise=noise)
    found: dict[str, Any] = of_output(output)
    gaps = {name: gap(found[name], value.detach()) for name, value in expected.items()}
    theirs = losses_of(net, expected, images, labels)
    ours = model.loss_parts(output, images, labels)
    gaps |= {f"loss {name}": gap(ours[name], value.detach()) for name, value in theirs.items()}
    torch.stack([*theirs.values()]).sum().backward()
    torch.stack([*ours.values()]).sum().backward()
    state, parameters = model.state_dict(), dict(model.named_parameters())
    for name, own in names.items():
        if (expected_gradient := weights[name].grad) is not None:
            gaps[f"gradient of {own}"] = gap(parameters[own].grad, expected_gradient)
        if "running_" in name:
            gaps[own] = gap(state[own], weights[name])
    return gaps


@pytest.mark.parametrize("net", NETS, ids=lambda net: net.preset)
def test_training_equals_the_authors(net: Net) -> None:
    gaps = differences(net)
    assert not {name: value for name, value in gaps.items() if value > NEAR}
    assert any(name.startswith("gradient of loop.context") for name in gaps) == ("selfsup" not in net.preset)
