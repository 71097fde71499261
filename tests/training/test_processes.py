"""Two processes make the steps of one, also where a batch does not divide evenly."""

from pathlib import Path
from typing import Any

import pytest
import torch

import stawm
from stawm.training.data.augment import Augmentation
from stawm.training.learner import Weights, summed_losses
from stawm.training.recipes import Recipe
from tests.small import inputs, small
from tests.training import workers

PLAIN = {"layers": "4@3/2", "norm": "none", "bias": True}
RECIPE = Recipe(name="r", epochs=2, optimiser="sgd", rate=0.1, clip=0.05, pose_clip=1e-3)


def config(heads: Any, **changes: Any) -> Any:
    """A model without batch normalisation and without anything random."""
    return stawm.config(
        "stawm-digits",
        **{
            "memory_size": 8,
            "hidden_size": 12,
            "glimpses": 3,
            "dropout": 0.0,
            "context": PLAIN,
            "backbone": {**PLAIN, "layers": "3@3/1 4@3/2"},
            "heads": heads,
            "class_names": (),
            **changes,
        },
    )


MODELS = {
    "averaged": config("classification"),
    "summed": config({"name": "classification", "reduction": "sum"}),
    "few glimpses": config("classification", glimpses=1),
}


def test_the_steps_of_two_processes_are_those_of_one(tmp_path: Path):
    images, labels = torch.randint(0, 256, (14, 1, 16, 16), dtype=torch.uint8), torch.randint(0, 10, (14,))
    batches = [(images[rows], labels[rows]) for rows in (slice(0, 8), slice(8, 13), slice(13, 14))]
    waiting = []
    for name, model in MODELS.items():
        port = workers.free_port()
        for rank, world in ((0, 1), (0, 2), (1, 2)):
            args = (tmp_path / f"{name}-{world}", rank, world, port, model, RECIPE, batches)
            waiting.append(workers.start(workers.weights_after_steps, *args))
    for process in waiting:
        process.join()
    assert [process.exitcode for process in waiting] == [0] * len(waiting)
    for name, model in MODELS.items():
        one, two = (torch.load(tmp_path / f"{name}-{world}") for world in (1, 2))
        start = dict(stawm.build(model, seed=0).named_parameters())
        for key, weight in one["weights"].items():
            torch.testing.assert_close(two["weights"][key], weight, msg=lambda said, at=(name, key): f"{at}: {said}")
        assert any(not torch.equal(weight, start[key]) for key, weight in one["weights"].items())
        for (losses, watched), (expected, also) in zip(two["numbers"], one["numbers"], strict=True):
            assert losses == pytest.approx(expected, rel=1e-5)
            assert watched == pytest.approx(also, rel=1e-4)


def test_processes_draw_different_numbers(tmp_path: Path):
    """Each augments and drops by itself, and the first as it would alone."""
    batch = (torch.randint(0, 256, (4, 1, 16, 16), dtype=torch.uint8), torch.arange(4))
    recipe = RECIPE.replace(augmentation=Augmentation(rotation=90))
    port, model = workers.free_port(), config("classification", dropout=0.5)
    places = [(0, 2), (1, 2), (0, 1)]
    waiting = [
        workers.start(workers.drawn_in_a_step, tmp_path / f"{rank}-{world}", rank, world, port, model, recipe, batch)
        for rank, world in places
    ]
    for process in waiting:
        process.join()
    assert [process.exitcode for process in waiting] == [0, 0, 0]
    first, second, alone = (torch.load(tmp_path / f"{rank}-{world}") for rank, world in places)
    for name, drawn in first.items():
        assert torch.equal(drawn, alone[name]), name
        assert not torch.equal(drawn, second[name]), name


@pytest.mark.long
def test_two_processes_go_on_exactly(tmp_path: Path):
    for out, stops in (("broken", (13, None)), ("whole", (None,))):
        for stop in stops:
            port = workers.free_port()
            waiting = [workers.start(workers.train_together, tmp_path / out, rank, 2, port, stop) for rank in (0, 1)]
            for process in waiting:
                process.join()
            assert [process.exitcode for process in waiting] == [0, 0]
            assert (tmp_path / out / "model.safetensors").exists() == (stop is None)
    found, expected = (stawm.load(tmp_path / out / "model.safetensors").state_dict() for out in ("broken", "whole"))
    assert all(torch.equal(found[name], weight) for name, weight in expected.items())


def test_weights_of_shares():
    assert Weights.of_share(128, 128, 1) == (1.0, 1.0)
    shares = [Weights.of_share(own, 5, 2) for own in (3, 2)]
    assert sum(share.mean for share in shares) == pytest.approx(2)
    assert [share.total for share in shares] == [2, 2]
    assert Weights.of_share(0, 1, 2) == (0.0, 0.0)


def doubled(batch: Any) -> Any:
    """Return a batch twice over, of several tensors by their names."""
    if isinstance(batch, dict):
        return {name: doubled(each) for name, each in batch.items()}
    return torch.cat([batch, batch])


@pytest.mark.parametrize("preset", stawm.list_names("preset", origin="stawm"))
def test_which_losses_are_summed_is_as_they_are(preset: str):
    """A part that is summed doubles where the batch is doubled, an averaged one stays."""
    model = small(preset).eval()
    images, labels = inputs(model)
    images2, labels2 = doubled(images), doubled(labels)
    with torch.no_grad():
        once = model.loss_parts(model(images), images, labels)
        twice = model.loss_parts(model(images2), images2, labels2)
    for name, part in once.items():
        torch.testing.assert_close(twice[name], part * (2 if name in summed_losses(model.config) else 1))
