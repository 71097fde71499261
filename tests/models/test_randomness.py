"""What is random in a model: drawn by the generator while training, given as noise, or left out."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stawm.errors import InputError
from stawm.heads.output import Noise
from tests.small import inputs, shaken, tensors, tiny


def run(model: Any, **options: Any) -> dict[str, Tensor]:
    """Every tensor that a model gives for two images."""
    return tensors(model(inputs(model)[0], **options))


def test_evaluation_is_deterministic() -> None:
    model = shaken(tiny(canvas="bernoulli")).eval()
    first, again = run(model), run(model)
    assert all(torch.equal(first[name], again[name]) for name in first)
    mean = run(model, noise=Noise(latent=torch.zeros(2, 3, 4)))
    assert all(torch.equal(first[name], mean[name]) for name in first), "the latent is its mean"


@pytest.mark.parametrize("training", [True, False])
def test_what_is_drawn_follows_the_generator(training: bool) -> None:
    model = shaken(tiny(canvas="bernoulli")).train(training)

    def draw(seed: int, **options: Any) -> Tensor:
        return run(model, generator=torch.Generator().manual_seed(seed), **options)["canvas"]

    assert torch.equal(draw(1, sample=True), draw(1, sample=True))
    assert not torch.equal(draw(1, sample=True), draw(2, sample=True))
    assert torch.equal(draw(1, sample=False), draw(2, sample=False))
    assert torch.equal(draw(1), draw(2)) != training, "left out, it is drawn while training only"


def test_the_generator_leaves_the_global_one_alone() -> None:
    model = tiny(canvas="bernoulli").train()
    before = torch.get_rng_state()
    run(model, generator=torch.Generator().manual_seed(1))
    assert torch.equal(torch.get_rng_state(), before)
    run(model)
    assert not torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("sample", [True, False])
def test_noise_that_is_given_is_used(sample: bool) -> None:
    model = shaken(tiny(canvas="bernoulli")).eval()
    noise = Noise(torch.randn(2, 3, 4), torch.rand(2, 3, 1, 12, 12).clamp(0.01, 0.99))
    first, again = (run(model, noise=noise, sample=sample) for _ in range(2))
    assert torch.equal(first["canvas"], again["canvas"])
    assert not torch.equal(first["canvas"], run(model)["canvas"])
    assert not torch.equal(first["masks"], run(model, noise=Noise(latent=noise.latent))["masks"])


def test_the_rest_of_the_noise_is_drawn() -> None:
    model = shaken(tiny(canvas="bernoulli")).eval()
    noise = Noise(latent=torch.randn(2, 3, 4))

    def masks(seed: int) -> Tensor:
        return run(model, noise=noise, sample=True, generator=torch.Generator().manual_seed(seed))["masks"]

    assert torch.equal(masks(1), masks(1))
    assert not torch.equal(masks(1), masks(2))


def test_sketches_are_drawn_from_the_latent() -> None:
    model, deaf = shaken(tiny()).double().eval(), shaken(tiny()).double().eval()
    nn.init.zeros_(deaf.heads["drawing"].sketcher.expand.weight)
    noise = Noise(latent=torch.ones(2, 3, 4, dtype=torch.float64))
    assert not torch.equal(run(model, noise=noise)["canvas"], run(model)["canvas"])
    assert torch.equal(run(deaf, noise=noise)["canvas"], run(deaf)["canvas"])


@pytest.mark.parametrize(
    ("noise", "said"),
    [
        (Noise(latent=torch.zeros(2, 3, 5)), r"latent noise must be of shape \(2, 3, 4\); got \(2, 3, 5\)"),
        (Noise(latent=torch.zeros(1, 3, 4)), r"latent noise must be of shape \(2, 3, 4\); got \(1, 3, 4\)"),
        (Noise(mask=torch.rand(2, 3, 1, 12, 11)), r"mask noise must be of shape \(2, 3, 1, 12, 12\)"),
    ],
)
def test_noise_of_another_form(noise: Noise, said: str, unchecked: None) -> None:
    with pytest.raises(InputError, match=said):
        run(tiny(canvas="bernoulli"), noise=noise)


def test_noise_that_nothing_uses() -> None:
    with pytest.raises(InputError, match="uses no noise named 'mask'; it uses latent"):
        run(tiny(), noise=Noise(mask=torch.rand(2, 3, 1, 12, 12)))
    with pytest.raises(InputError, match="uses no noise named 'latent'; it uses none"):
        run(tiny(heads="classification"), noise=Noise(latent=torch.zeros(2, 3, 4)))
