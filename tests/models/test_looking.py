"""How a model looks is measured against what is known of its poses, and faults of looking are told."""

import json
import math
from typing import Any

import pytest
import torch
from torch import Tensor

import stawm
from stawm.models.diagnosis import NOTHING, UNTRAINED, Diagnosis
from stawm.models.looking import examine
from tests.small import shaken, tiny

WORDS = {
    "outside": "Glimpses lie outside the image",
    "small": "Glimpses are smaller than one pixel",
    "same": "All glimpses see the same part",
    "cut": "no gradient reaches the pose",
}


def images(count: int = 4) -> Tensor:
    return torch.rand(count, 1, 12, 12, generator=torch.Generator().manual_seed(0))


def looking(*pose: float, **changes: Any) -> Any:
    """A model whose heads use what is seen, and all of whose glimpses are taken at one pose."""
    model = shaken(tiny(**changes)).eval()
    with torch.no_grad():
        last = [layer for layer in model.loop.emitter.modules() if isinstance(layer, torch.nn.Linear)][-1]
        last.weight.zero_()
        last.bias.copy_(torch.tensor(pose))
    return model


def report(model: Any) -> Diagnosis:
    return stawm.diagnose(model, images())


def told(found: Diagnosis) -> set[str]:
    return {key for key, words in WORDS.items() if any(words in line for line in found.advice)}


@pytest.mark.parametrize(
    ("pose", "outside", "size", "faults"),
    [
        ((0.5, 0, 0, 0, 0.5, 0), 0.0, 0.5, {"same"}),
        ((0.5, 0, 1, 0, 0.5, 0), 0.5, 0.5, {"same"}),
        ((0.5, 0, 1, 0, 0.5, 1), 0.75, 0.5, {"same"}),
        ((0.5, 0, 1.2, 0, 0.5, 1), 0.85, 0.5, {"same", "outside"}),
        ((0.5, 0, 9, 0, 0.5, 0), 1.0, 0.5, {"same", "outside", "cut"}),
        ((0, -0.5, 0, 0.5, 0, 0), 0.0, 0.5, {"same"}),
        ((0.08, 0, 0, 0, 0.08, 0), 0.0, 0.08, {"same", "small"}),
        ((0.0, 0, 0, 0, 0.0, 0), 0.0, 0.0, {"small"}),
        ((2, 0, 0, 0, 2, 0), 0.75, 2.0, {"same"}),
    ],
)
def test_where_every_glimpse_is_taken(pose: tuple[float, ...], outside: float, size: float, faults: set[str]):
    found = report(looking(*pose))
    for look in found.looks:
        assert look.outside == pytest.approx(outside, abs=1 / 16)  # areas are counted by 32x32 points
        assert look.size == pytest.approx(size, abs=1e-6)
    assert told(found) == faults
    assert found.healthy == (not faults)


def test_how_alike_two_glimpses_are_is_intersection_over_union():
    halves = torch.tensor([[0.5, 0, 0, 0, 0.5, 0], [0.5, 0, 0.5, 0, 0.5, 0], [0.5, 0, -0.9, 0, 0.5, 0]])
    first, second, third = examine(tiny(glimpses=3).eval(), images(), halves.expand(4, 3, 6))
    assert first.alike == 0
    assert second.alike == pytest.approx(1 / 3), "half of each is shared: 0.5 of 1.5"
    assert third.alike == 0


def test_gradients_reach_the_poses_of_a_model_that_looks_and_not_of_one_that_stares_at_nothing():
    assert [look.reached for look in report(looking(0.5, 0, 0, 0, 0.5, 0)).looks] == [1.0] * 3
    assert [look.reached for look in report(looking(0.5, 0, 9, 0, 0.5, 0)).looks] == [0.0] * 3
    blind = looking(0.5, 0, 0, 0, 0.5, 0)
    with torch.no_grad():
        blind.loop.what.weight.zero_()
        blind.loop.glimpse_down.weight.zero_()
        blind.loop.glimpse_down.bias.fill_(-1)
    assert told(report(blind)) >= {"cut"}


def test_a_loop_that_does_not_learn_has_no_gradients():
    model = looking(0.5, 0, 0, 0, 0.5, 0)
    model.loop.requires_grad_(False)
    found = report(model)
    assert [look.reached for look in found.looks] == [None] * 3
    assert "reached" not in str(found)


def test_an_untrained_model_is_said_to_be_untrained_and_is_not_scolded():
    found = report(tiny())
    assert (found.untrained, found.healthy) == (True, True)
    assert str(found).splitlines()[-2:] == [UNTRAINED, NOTHING]
    shaken_one = report(shaken(tiny()))
    assert not shaken_one.untrained
    assert UNTRAINED not in str(shaken_one)


@pytest.mark.parametrize("locator", ["affine", "crop", "filterbank"])
def test_every_locator_is_examined(locator: str):
    found = report(shaken(tiny(locator=locator)))
    assert len(found.looks) == 3
    assert all(0 <= look.outside <= 1 and look.size > 0 for look in found.looks)
    assert report(tiny(locator=locator)).untrained


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("part", ["emitter", "what", "context_down"])
def test_what_is_no_number_is_null_in_json_and_told(part: str, value: float):
    model = tiny().eval()
    with torch.no_grad():
        for parameter in getattr(model.loop, part).parameters():
            parameter.fill_(value)
    found = report(model)
    assert not found.healthy
    said = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert said["healthy"] is False
    assert any("The memory is not finite" in line for line in found.advice)


def test_diagnosing_leaves_no_hook_and_no_gradient_behind():
    model = shaken(tiny()).train()
    stawm.diagnose(model, images())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model.loop.backbone._forward_pre_hooks
    assert not model.loop.emitter._forward_hooks
    assert model.training


def test_what_lies_outside_is_the_mean_unless_the_image_is_continued():
    """What docs/seeing.md says of it."""
    plain = looking(0.5, 0, 9, 0, 0.5, 0, mean=[0.2], std=[0.5])
    seen = plain(plain.normalise(images())).trace.glimpses
    assert seen.abs().max() == 0
    torch.testing.assert_close(plain.denormalise(seen[:, 0]), torch.full_like(seen[:, 0], 0.2))
    border = looking(0.5, 0, 9, 0, 0.5, 0, mean=[0.2], std=[0.5], locator={"name": "affine", "padding": "border"})
    edge = border(border.normalise(images())).trace.glimpses[0, 0, 0]
    assert edge.std() > 0
    assert edge.min() >= border.normalise(images())[0, 0, :, -1].min() - 1e-6
