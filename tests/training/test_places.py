"""Learning where things are: from data that knows it to a policy, and a clear word where that cannot be."""

from pathlib import Path
from typing import Any

import pytest
import torch

import stawm
from stawm.errors import ConfigError, InputError
from stawm.training import data, train
from stawm.training.learner import Learner
from tests.small import inputs, small
from tests.training.tiny import BRIEF, weights

TINY: dict[str, Any] = {
    "image": (1, 16, 16),
    "glimpses": 2,
    "glimpse_size": 8,
    "hidden_size": 8,
    "feature_size": 6,
    "context_size": 8,
    "context": {"layers": "3@3/2"},
    "backbone": {"layers": "3@3/2"},
}
SCENES: dict[str, Any] = {
    "data": "clutter",
    "data.things": "digits",
    "data.digit_size": (6, 8),
    "data.pieces": 1,
    "data.piece_size": 3,
    "data.scenes": 48,
}


def edram(**overrides: Any) -> Any:
    return stawm.build("edram-cluttered-100", seed=0, **{**TINY, **overrides})


def test_boxes_come_with_their_scenes_in_every_epoch():
    train_part = data.load("clutter", things="digits", size=24, pieces=1, piece_size=4).train
    located = data.Located(train_part, ("classification",))
    for epoch in (0, 1):
        (raw, targets), *_ = data.shuffled_batches(located, 8, seed=3, epoch=epoch)
        again, labels = next(data.shuffled_batches(train_part, 8, seed=3, epoch=epoch))
        assert torch.equal(raw, again)
        assert torch.equal(targets["classification"], labels)
        for image, box in zip(raw[:, 0], targets["places"][:, 0].tolist(), strict=True):
            left, top, right, bottom = box
            assert image[top:bottom, left].any()
            assert image[top, left:right].any()


def test_a_run_learns_places_and_is_told_so(tmp_path: Path):
    how: dict[str, Any] = {**SCENES, **TINY, **BRIEF}
    result = train("edram-cluttered-100", out=tmp_path / "told", **how)
    losses = [epoch["loss"]["places"] for epoch in result.history]
    assert losses[1] < losses[0], "glimpses that see the whole image come nearer to a thing in a few steps"
    plain = train("edram-cluttered-100", out=tmp_path / "plain", policy="deterministic", **how)
    assert "places" not in plain.history[0]["loss"]
    assert not torch.equal(weights(result.model), weights(plain.model))


def test_where_the_model_looks_comes_to_where_things_are():
    model = edram(policy={"margin": 1.0})
    images, _ = inputs(model, batch=4)
    boxes = torch.tensor([[2, 3, 10, 11], [8, 8, 16, 16], [0, 0, 8, 8], [4, 4, 12, 12]])[:, None]
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(60):
        loss = model.loss(model(images), images, {"classification": torch.arange(4), "places": boxes})
        optimiser.zero_grad()
        loss["places"].backward()
        optimiser.step()
    middle = model.eval()(images).trace.pose[:, -1, [2, 5]]
    assert (middle - torch.tensor([[-0.25, -0.125], [0.5, 0.5], [-0.5, -0.5], [0.0, 0.0]])).abs().max() < 0.1


@pytest.mark.parametrize("preset", ["edram-cluttered-100", "stawm-cluttered-60", "ram-mnist"])
def test_every_family_that_looks_can_be_told(preset: str):
    model: Any = small(preset, policy="supervised")
    images, targets = inputs(model)
    parts = model.loss(model(images), images, targets)
    assert {"classification", "places"} < set(parts)
    parts["places"].backward()
    assert any(bool(p.grad.any()) for p in model.loop.emitter.parameters() if p.grad is not None)
    assert all(p.grad is None for p in model.heads.parameters())


def test_its_weight_and_smoothed_labels_and_many_paths_go_with_it():
    model = edram(policy={"weight": 0.5})
    images, targets = inputs(model)
    once, twice = edram(), model
    near = once.loss(once.eval()(images), images, targets)["places"]
    assert torch.equal(twice.loss(twice.eval()(images), images, targets)["places"], 0.5 * near)
    learner = Learner(model.eval(), label_smoothing=0.1, samples=2)
    parts, _ = learner(images, targets)
    assert parts["places"].item() == pytest.approx(0.5 * near.item(), rel=1e-5)
    assert parts["total"] != parts["classification"] + parts["places"]


@pytest.mark.parametrize(
    "targets",
    [
        torch.tensor([1, 2]),
        {"classification": torch.tensor([1, 2])},
        {"classification": torch.tensor([1, 2]), "places": torch.zeros(2, 4)},
        {"classification": torch.tensor([1, 2]), "places": torch.zeros(3, 1, 4)},
    ],
)
def test_targets_without_boxes_are_refused(targets: Any):
    model = edram()
    images, _ = inputs(model)
    with pytest.raises(InputError, match=r"'classification' and for 'places' boxes of shape \(2, d, 4\) in pixels"):
        model.loss(model(images), images, targets)


def test_boxes_for_a_model_that_does_not_learn_places_are_refused():
    model = edram(policy="deterministic")
    images, _ = inputs(model)
    with pytest.raises(InputError, match="There is no head 'places'"):
        model.loss(model(images), images, {"classification": torch.tensor([1, 2]), "places": torch.zeros(2, 1, 4)})


def test_data_without_places_is_refused_before_anything_is_written(tmp_path: Path):
    said = r"learns where things are, by its policy.*train it on scenes \(--data clutter:ROOT\), or with policy="
    with pytest.raises(InputError, match=said):
        train("edram-cluttered-100", data="digits", out=tmp_path / "run", **TINY, resize=True, **BRIEF)
    assert not list(tmp_path.glob("run/*.safetensors"))


def test_images_that_are_moved_are_refused(tmp_path: Path):
    how: dict[str, Any] = {**SCENES, **TINY, **BRIEF, "recipe.augmentation.shift": 0.1}
    with pytest.raises(ConfigError, match=r"leave out of recipe\.augmentation what moves them"):
        train("edram-cluttered-100", out=tmp_path, **how)
