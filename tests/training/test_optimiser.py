"""What of a recipe decides how weights move: the optimiser, what it decays, and the average that is kept."""

from typing import Any

import pytest
import torch
from torch import nn

import stawm
from stawm.training import data
from stawm.training.recipes import Recipe
from stawm.training.run import Run, make_optimiser
from tests.small import tiny
from tests.training.tiny import TINY

KINDS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


def decayed(model: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, float]:
    """How strongly each weight is decayed, by name."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {names[id(p)]: group["weight_decay"] for group in optimiser.param_groups for p in group["params"]}


@pytest.mark.parametrize("name", KINDS)
def test_matrices_and_kernels_are_decayed_and_biases_norms_and_rates_are_not(name: str):
    model = tiny()
    optimiser = make_optimiser(model, Recipe(name="r", epochs=1, optimiser=name, rate=0.25, weight_decay=0.125))
    assert type(optimiser) is KINDS[name]
    norms = {name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)}
    expected = {}
    for key, _ in model.named_parameters():
        module, _, kind = key.rpartition(".")
        matrix = kind in ("weight", "weight_ih", "weight_hh") and module not in norms
        assert matrix or module in (*norms, "memory") or kind.startswith("bias"), key
        expected[key] = 0.125 if matrix else 0.0
    assert norms
    assert decayed(model, optimiser) == expected
    assert {group["lr"] for group in optimiser.param_groups} == {0.25}


def test_what_is_frozen_is_not_optimised():
    model = tiny(trainable="readout", heads="classification")
    named = decayed(model, make_optimiser(model, Recipe(name="r", epochs=1)))
    assert named.keys() == {name for name, p in model.named_parameters() if p.requires_grad}
    assert not any(name.startswith("loop.") for name in named)


def test_sgd_keeps_nine_tenths_of_its_momentum():
    """Under a steady gradient g, the steps are rate·g, 1.9 rate·g, 2.71 rate·g."""
    model = tiny().double()
    optimiser = make_optimiser(model, Recipe(name="r", epochs=1, optimiser="sgd", rate=0.5))
    weight, steps = model.loop.what.weight, []
    for _ in range(3):
        before = weight.detach().clone()
        weight.grad = torch.ones_like(weight)
        optimiser.step()
        steps.append(before - weight.detach())
    for step, share in zip(steps, (1, 1.9, 2.71), strict=True):
        torch.testing.assert_close(step, torch.full_like(step, 0.5 * share))


def test_the_average_warms_up_as_timms_does(few: data.Splits):
    """By 1 - (1 + k)^(-2/3) after k steps, until that is more than the recipe's decay."""
    decay = 0.7
    run = Run(stawm.config("stawm-digits", **TINY), Recipe(name="r", epochs=1, average=decay, rate=0.01), cpu=True)
    learned: Any = dict(run.model.named_parameters())
    expected = {name: p.detach().clone() for name, p in learned.items()}
    capped = False
    for k in range(8):
        run.one_step(few.train.images[:8], few.train.labels[:8], 10)
        kept = min(decay, 1 - (1 + k) ** (-2 / 3))
        capped |= kept == decay
        expected = {name: kept * old + (1 - kept) * learned[name].detach() for name, old in expected.items()}
        for name, weight in run.result.named_parameters():
            torch.testing.assert_close(weight, expected[name], msg=lambda said, at=(k, name): f"{at}: {said}")
    assert capped


def test_without_an_average_the_last_weights_are_kept():
    run = Run(stawm.config("stawm-digits", **TINY), Recipe(name="r", epochs=1), cpu=True)
    assert run.result is run.model


@pytest.mark.parametrize(("rate", "clip"), [(0.5, 1e-3), (0.5, None)])
def test_the_gradient_is_clipped_to_the_recipes_norm_or_not_at_all(few: data.Splits, rate: float, clip: float | None):
    recipe = Recipe(name="r", epochs=1, optimiser="sgd", rate=rate, clip=clip)
    run = Run(stawm.config("stawm-digits", **TINY, dropout=0.0), recipe, cpu=True)
    before = {name: p.detach().clone() for name, p in run.model.named_parameters()}
    run.one_step(few.train.images[:8], few.train.labels[:8], 10)
    moved = torch.cat([(p.detach() - before[name]).flatten() for name, p in run.model.named_parameters()]).norm()
    assert run.numbers is not None
    norm = run.numbers.watched["gradient_norm"]
    assert norm > 1e-3
    assert moved.item() == pytest.approx(rate * (norm if clip is None else clip), rel=1e-3)
