"""Drawing from latents that are given: the model's own give its own picture, and others what noise would give."""

from typing import Any

import pytest
import torch
from torch import Tensor

import stawm
from stawm.errors import InputError
from stawm.heads.output import Latent, Noise
from stawm.models.latents import from_prior, redraw
from tests.small import inputs, shaken, tiny

NEAR = 1e-12


def vae() -> Any:
    small: dict[str, Any] = {"image": (1, 12, 12), "backbone": {"layers": "4@3/2"}, "heads.drawing.latent": 3}
    return shaken(stawm.build("bvae-cifar", seed=0, **small)).double().train()


MODELS = {
    "addition": lambda: shaken(tiny(heads="drawing")).double().train(),
    "masks": lambda: shaken(tiny(canvas="bernoulli")).double().train(),
    "baseline": vae,
}


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> Any:
    return MODELS[request.param]()


def seen(model: Any, **options: Any) -> tuple[Tensor, Latent, Tensor]:
    images, _ = inputs(model)
    with torch.no_grad():
        output = model.eval()(images, **options)
    model.train()
    return images, output.latent, output.canvas


def test_a_models_own_latent_gives_its_own_picture(model: Any) -> None:
    images, latent, canvas = seen(model)
    drawn = redraw(model, images, latent.mu[:, None])
    torch.testing.assert_close(drawn[:, 0], canvas, rtol=NEAR, atol=NEAR)
    assert model.training
    assert not drawn.requires_grad


def test_other_latents_give_what_their_noise_would(model: Any) -> None:
    images, latent, _ = seen(model)
    z = torch.randn(2, 2, *latent.mu.shape[1:], generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    drawn = redraw(model, images, z)
    for s in range(2):
        noise = Noise(latent=(z[:, s] - latent.mu) * (-latent.logvar / 2).exp())
        torch.testing.assert_close(drawn[:, s], seen(model, noise=noise)[2], rtol=1e-9, atol=1e-9)
    assert not torch.equal(drawn[:, 0], drawn[:, 1])


def test_the_prior_is_drawn_from_by_the_generator(model: Any) -> None:
    images = None if model.config.glimpses is None else inputs(model)[0]

    def draw(seed: int) -> Tensor:
        return from_prior(model, images, count=3, generator=torch.Generator().manual_seed(seed))

    assert draw(1).shape == (1 if images is None else 2, 3, 1, 12, 12)
    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


def test_what_cannot_be_drawn_is_said() -> None:
    model, baseline = MODELS["addition"](), vae()
    images, _ = inputs(model)
    with pytest.raises(InputError, match="decides where to draw by looking at an image"):
        from_prior(model)
    with pytest.raises(InputError, match="does not draw from a latent"):
        from_prior(tiny(heads="classification"), images)
    with pytest.raises(InputError, match=r"of shape \(2, s, 3, 4\); got \(2, 1, 3, 5\)"):
        redraw(model, images, torch.zeros(2, 1, 3, 5, dtype=torch.float64))
    with pytest.raises(InputError, match=r"of shape \(2, s, 1, 3\); got \(2, 1, 2, 3\)"):
        redraw(baseline, images, torch.zeros(2, 1, 2, 3, dtype=torch.float64))
