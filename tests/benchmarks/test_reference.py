"""The reference that speed is measured against computes what the model computes, and learns what it learns."""

from typing import Any

import pytest
import torch
from torch import nn

from benchmarks.authors_loop import as_published, as_the_authors
from stawm.heads.noise import draw_noise
from stawm.heads.output import Noise
from stawm.models.model import Model
from stawm.nn.backbones.lean import LeanReLU6, StridedDepthwise
from stawm.training import recipes
from tests.small import PEERS, inputs, shaken, small

NEAR = 1e-9
"""A step passes through up to 12 glimpses of random weights, where rounding grows."""
CASES = [(preset, {}) for preset in sorted({*recipes.presets_with("paper")} - PEERS) if "mnv2" not in preset]
CASES += [("stawm-mnist-8", {"where": "rnn"}), ("stawm-cifar-mnv2", {"glimpses": 1}), ("mnv2-cifar", {})]


def given(model: nn.Module, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """What is compared: logits, the canvas, and what is drawn from."""
    return named(model(images))


def named(output: Any) -> dict[str, torch.Tensor]:
    found = {"logits": output.logits, "canvas": output.canvas, **(output.latent._asdict() if output.latent else {})}
    return {name: value for name, value in found.items() if value is not None}


@pytest.mark.parametrize(("preset", "options"), CASES)
def test_it_gives_what_the_model_gives(preset: str, options: dict[str, Any]) -> None:
    model = shaken(small(preset, **options).double(), 0.01).eval()
    images, _ = inputs(model)
    expected, found = given(model, images), given(as_the_authors(model).eval(), images)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert torch.allclose(found[name], value, rtol=1e-9, atol=1e-12), name


@pytest.mark.parametrize("preset", sorted({*recipes.presets_with("authors")} - {"stawm-mnist-28", "stawm-cifar-mnv2"}))
def test_a_step_of_training_is_the_models(preset: str) -> None:
    """Without dropout, with the same random numbers: what is given, gradients, and running statistics after it."""
    found = []
    for by_reference in (False, True):
        model: Any = shaken(small(preset, dropout=0.0).double(), 0.01).train()
        images, labels = inputs(model)
        generator = torch.Generator().manual_seed(5)
        shapes = model.noise_shapes(model.config.glimpses or 1).items()
        noise = Noise(**{name: draw_noise(name, (len(images), *shape), images, generator) for name, shape in shapes})
        loop = as_the_authors(model).train() if by_reference else model
        output = loop(images, noise=noise)
        model.loss(output, images, labels)["total"].backward()
        gradients = {f"gradient of {name}": p.grad for name, p in model.named_parameters() if p.grad is not None}
        statistics = {name: value for name, value in model.named_buffers() if "running" in name}
        found.append({**named(output), **gradients, **statistics})
    ours, theirs = found
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert (theirs[name] - value).abs().max() <= NEAR * (1 + value.abs().max()), name


@pytest.mark.parametrize("preset", ["stawm-mnist-8", "stawm-mnist-sketchpad", "stawm-celeba-draw-32", "bvae-cifar"])
def test_it_learns_every_weight(preset: str) -> None:
    model: Model = shaken(small(preset).double())
    images, labels = inputs(model)
    loop = as_the_authors(model).train()
    model.loss(loop(images), images, labels)["total"].backward()
    assert [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None] == []


def test_it_draws_masks_and_latents_at_random_while_training_only() -> None:
    model: Any = shaken(small("stawm-celeba-draw-32")).train()
    images, _ = inputs(model)
    learning, looking = as_the_authors(model).train(), as_the_authors(model).eval()
    assert not torch.equal(learning(images).canvas, learning(images).canvas)
    model.eval()
    assert torch.equal(looking(images).canvas, looking(images).canvas)


def test_it_runs_timms_layers_on_the_models_own_weights() -> None:
    model: Any = small("mnv2-cifar")
    network = as_published(model.backbone)
    ours = dict(model.backbone.network.named_parameters())
    assert {name: id(p) for name, p in network.named_parameters()} == {name: id(p) for name, p in ours.items()}
    assert not [m for m in network.modules() if isinstance(m, (LeanReLU6, StridedDepthwise))]
    assert [m for m in model.backbone.modules() if isinstance(m, LeanReLU6)]
    assert [m for m in model.backbone.modules() if isinstance(m, StridedDepthwise)]
