"""A step of a run: what its recipe asks of the optimiser, the average, batch normalisation and frozen parts."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import stawm
from stawm.training import data
from stawm.training.data.augment import Augmentation
from stawm.training.readout import can_keep
from stawm.training.recipes import Recipe, find
from stawm.training.run import Run, clip_gradient
from tests.training.tiny import TINY, weights


def run_of(recipe: Recipe, **changes: Any) -> Run:
    return Run(stawm.config("stawm-digits", **{**TINY, **changes}), recipe, cpu=True)


def test_the_average_follows_the_weights(few: data.Splits):
    run = run_of(Recipe(name="r", epochs=1, average=0.9))
    assert run.result is not run.model
    for _ in range(3):
        run.one_step(few.train.images[:8], few.train.labels[:8], 10)
    assert not torch.equal(weights(run.result), weights(run.model))
    assert run_of(Recipe(name="r", epochs=1)).result is not None


def test_batch_normalisation_is_frozen_for_the_last_steps(few: data.Splits):
    """Its statistics stand still, and training sees what the model does once training is over."""
    run = run_of(Recipe(name="r", epochs=2, frozen_norm=0.5))
    norm = next(module for module in run.model.loop.backbone.modules() if isinstance(module, nn.BatchNorm2d))
    seen = []
    for _ in range(4):
        run.one_step(few.train.images[:8], few.train.labels[:8], 2)
        seen.append(norm.running_mean.clone())
    assert not torch.equal(seen[0], seen[1])
    assert torch.equal(seen[1], seen[2])
    assert torch.equal(seen[2], seen[3])
    assert run.model.training
    assert not norm.training


def test_every_step_and_every_seed_draws_numbers_of_its_own(few: data.Splits):
    recipe = Recipe(name="r", epochs=1, augmentation=Augmentation(rotation=90))

    def drawn(seed: int) -> list[torch.Tensor]:
        run = Run(stawm.config("stawm-digits", **TINY), recipe, seed=seed, cpu=True)
        found = []
        for _ in range(2):
            run.one_step(few.train.images[:4], few.train.labels[:4], 10)
            found += [run.last_inputs[0].flatten(), torch.rand(9)]
        return found

    first, again, other = drawn(0), drawn(0), drawn(1)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first[:2], first[2:], strict=True))


def test_rate_clip_and_decay_reach_the_optimiser(few: data.Splits):
    recipe = Recipe(name="r", epochs=4, rate=0.5, decay=0.5, clip=1e-3, optimiser="sgd", weight_decay=0.1)
    run = run_of(recipe)
    before = [p.detach().clone() for p in run.optimiser.param_groups[1]["params"]]
    run.step = 2
    run.one_step(few.train.images[:8], few.train.labels[:8], 1)
    assert {group["lr"] for group in run.optimiser.param_groups} == {0.5 * 0.25}
    assert [group["weight_decay"] for group in run.optimiser.param_groups] == [0.1, 0.0]
    moved = torch.cat([(p - q).flatten() for p, q in zip(run.optimiser.param_groups[1]["params"], before, strict=True)])
    assert 0 < moved.norm() <= 0.125 * 1e-3 * (1 + 1e-5)


@pytest.mark.parametrize("clip", [None, 1e-3, 1e-2])
def test_a_gradient_is_clipped_by_value_where_the_recipe_says_so(clip: float | None):
    weights = [nn.Parameter(torch.zeros(3, 2)), nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1))]
    weights[0].grad, weights[1].grad = torch.full((3, 2), 0.004), torch.tensor([-0.03, 0.0005])
    before = torch.cat([weight.grad.flatten() for weight in weights[:2]])
    norm = clip_gradient(weights, Recipe(name="r", epochs=1, clip=clip, clip_by="value"))
    after = torch.cat([weight.grad.flatten() for weight in weights[:2]])
    assert torch.equal(after, before if clip is None else before.clamp(-clip, clip))
    assert torch.equal(norm, before.norm())


def test_biases_norms_and_rates_are_decayed_where_the_recipe_says_so():
    recipe = Recipe(name="r", epochs=1, weight_decay=0.1, decay_all=True)
    assert {group["weight_decay"] for group in run_of(recipe).optimiser.param_groups} == {0.1}


@pytest.mark.parametrize("mode", ["evaluation", "training"])
def test_a_frozen_loop_runs_in_the_mode_that_is_asked_for(few: data.Splits, mode: str):
    run = run_of(Recipe(name="r", epochs=1), trainable="readout", frozen_loop=mode)
    norm = next(module for module in run.model.loop.modules() if isinstance(module, nn.BatchNorm2d))
    run.one_step(few.train.images[:16], few.train.labels[:16], 10)
    assert (norm.num_batches_tracked > 0) == norm.training == (mode == "training")
    assert can_keep(run.model.config) == (mode == "evaluation")


def test_only_the_readout_of_a_frozen_model_learns(few: data.Splits):
    run = run_of(Recipe(name="r", epochs=1, rate=0.1), trainable="readout")
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    run.one_step(few.train.images[:16], few.train.labels[:16], 10)
    changed = {name for name, value in run.model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert not any(name.startswith("loop.") for name in changed)


def test_a_start_is_begun_with(tmp_path: Path, few: data.Splits):
    stawm.save(stawm.build("stawm-digits", seed=7, **TINY), tmp_path / "start.safetensors")
    started = Run(
        stawm.config("stawm-digits", **TINY), find("fast", "x"), start=tmp_path / "start.safetensors", cpu=True
    )
    assert torch.equal(weights(started.model), weights(stawm.build("stawm-digits", seed=7, **TINY)))


def test_weights_are_updated_in_one_kernel():
    assert all(
        run_of(find("fast", "x", optimiser=name)).optimiser.defaults["fused"] for name in ("adam", "adamw", "sgd")
    )
