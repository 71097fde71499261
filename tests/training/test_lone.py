"""Batch normalisation of one number a channel, and a batch that leaves a process one image."""

from pathlib import Path
from typing import Any

import pytest
import torch

import stawm
from stawm.errors import InputError
from stawm.training import data, train
from stawm.training.recipes import Recipe
from stawm.training.run import Run, lone_norms
from tests.training import workers
from tests.training.tiny import BRIEF, LEAST, weights

NARROW: dict[str, Any] = {**LEAST, "context": {"layers": "3@3/16"}, "dropout": 0.0}
"""A model whose context ends in 1x1, as many of timm's networks do for small images."""


@pytest.fixture
def seventeen(few: data.Splits) -> data.Splits:
    """Two batches of 8 and one of 1."""
    return data.Splits(few.train.take(slice(0, 17)), few.test)


def test_which_normalisations_need_two_images():
    model: Any = stawm.build("stawm-digits", seed=0, **NARROW)
    before = weights(model)
    found = lone_norms(model)
    assert found
    assert all(any(norm is m for m in model.loop.context.modules()) for norm in found)
    assert torch.equal(weights(model), before), "looking changes no statistics"
    model.train()
    one = torch.zeros(1, 1, 16, 16)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        model(one)
    for norm in found:
        norm.eval()
    model(one)


PRESETS = [*stawm.list_names("preset", "stawm-*", origin="stawm"), "mnv2-cifar"]
SMALL = {"stawm-digits", "stawm-mnist-8", "stawm-mnist-sketchpad"}


@pytest.mark.parametrize("preset", [p if p in SMALL else pytest.param(p, marks=pytest.mark.long) for p in PRESETS])
def test_no_presets_own_network_is_changed(preset: str):
    """They end larger than 1x1: a single image is learned from as ever."""
    sizes = {} if preset == "mnv2-cifar" else {"memory_size": 4, "hidden_size": 6, "glimpses": 1}
    assert lone_norms(stawm.build(preset, **sizes)) == []


def test_looking_draws_no_random_number():
    model = stawm.build("stawm-digits", seed=0, **{**NARROW, "dropout": 0.5})
    before = torch.get_rng_state()
    lone_norms(model)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_last_batch_of_one_is_learned_from(tmp_path: Path, seventeen: data.Splits):
    options = {**NARROW, **BRIEF, "recipe.batch": 8}
    whole = train("stawm-digits", data=seventeen, out=tmp_path / "a", **options)
    assert [entry["step"] for entry in whole.history] == [3, 6]
    assert torch.isfinite(weights(whole.model)).all()


@pytest.mark.parametrize("step", [2, 3])
def test_a_run_broken_off_around_it_goes_on_exactly(
    tmp_path: Path, seventeen: data.Splits, monkeypatch: pytest.MonkeyPatch, step: int
):
    options, one_step = {**NARROW, **BRIEF, "recipe.batch": 8}, Run.one_step

    def breaking(self: Run, *args: Any) -> Any:
        if self.step == step:
            raise KeyboardInterrupt
        return one_step(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "one_step", breaking)
        with pytest.raises(KeyboardInterrupt):
            train("stawm-digits", data=seventeen, out=tmp_path / "b", save_every=0, **options)
    resumed = train("stawm-digits", data=seventeen, out=tmp_path / "b", **options)
    unbroken = train("stawm-digits", data=seventeen, out=tmp_path / "a", **options)
    assert torch.equal(weights(resumed.model), weights(unbroken.model))


def test_only_a_single_image_freezes_it_and_only_where_it_must(few: data.Splits):
    run = Run(stawm.config("stawm-digits", **NARROW), Recipe(name="r", epochs=1), cpu=True)
    norm, other = run.lone_norms[0], next(m for m in run.model.loop.backbone.modules() if hasattr(m, "running_mean"))
    for images, moves in ((2, True), (1, False), (3, True)):
        before, beside = norm.running_mean.clone(), other.running_mean.clone()
        run.one_step(few.train.images[:images], few.train.labels[:images], 5)
        assert torch.equal(norm.running_mean, before) != moves
        assert not torch.equal(other.running_mean, beside)


@pytest.mark.parametrize(("batch", "images"), [(1, 17), (8, 1)])
def test_batches_of_one_image_alone_are_refused(tmp_path: Path, few: data.Splits, batch: int, images: int):
    given = data.Splits(few.train.take(slice(0, images)), few.test)
    with pytest.raises(InputError, match=r"needs two images, and no process ever holds two.*Raise recipe\.batch"):
        train("stawm-digits", data=given, out=tmp_path, **{**NARROW, **BRIEF, "recipe.batch": batch})
    if images > 1:
        train("stawm-digits", data=given, out=tmp_path, **{**LEAST, **BRIEF, "recipe.batch": batch})


def test_two_processes_with_one_image_each_and_with_one_and_none(tmp_path: Path):
    """Batches of 8, 2 and 1 in two processes: 4 and 4, 1 and 1, 1 and none."""
    model = stawm.config("stawm-digits", **NARROW)
    recipe = Recipe(name="r", epochs=1, optimiser="sgd", rate=0.01)
    images, labels = torch.randint(0, 256, (11, 1, 16, 16), dtype=torch.uint8), torch.randint(0, 10, (11,))
    batches = [(images[rows], labels[rows]) for rows in (slice(0, 8), slice(8, 10), slice(10, 11))]
    port = workers.free_port()
    waiting = [
        workers.start(workers.weights_after_steps, tmp_path / "found", rank, 2, port, model, recipe, batches)
        for rank in (0, 1)
    ]
    for process in waiting:
        process.join()
    assert [process.exitcode for process in waiting] == [0, 0]
    found = torch.load(tmp_path / "found")
    assert all(torch.isfinite(weight).all() for weight in found["weights"].values())
    assert len(found["numbers"]) == 3
