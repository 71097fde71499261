"""Beside the identity the pose that an untrained model looks with has a derivative; at it there is none."""

from typing import Any

import pytest
import torch

from tests.small import inputs, tiny

H = 1e-6


def slopes(jitter: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The gradient of the loss by the pose that every glimpse is taken with, and its central differences."""
    model: Any = tiny(glimpse_size=12, heads="classification", pose_jitter=jitter).double().eval()
    images, labels = inputs(model)
    bias = model.loop.emitter.pose.bias

    def loss() -> torch.Tensor:
        return model.loss(model(images), images, labels)["total"]

    loss().backward()
    differences = []
    with torch.no_grad():
        for i in range(len(bias)):
            ends = []
            for side in (H, -2 * H):
                bias[i] += side
                ends.append(loss())
            bias[i] += H
            differences.append((ends[0] - ends[1]) / (2 * H))
    return bias.grad, torch.stack(differences)


def test_a_jitter_gives_the_first_pose_a_derivative() -> None:
    """Of a smooth function the two are equal but for terms in H², and for rounding, which dividing by H enlarges."""
    gradient, differences = slopes(0.05)
    torch.testing.assert_close(gradient, differences, rtol=1e-5, atol=1e-8)
    gradient, differences = slopes(0.0)
    assert (gradient - differences).abs().max() > 0.1 * differences.abs().max()


def test_it_is_off_unless_it_is_asked_for() -> None:
    model: Any = tiny()
    assert model.config.pose_jitter == 0
    assert torch.equal(model.loop.emitter.pose.bias, model.locator.identity_pose())
    jittered: Any = tiny(pose_jitter=0.1)
    assert not torch.equal(jittered.loop.emitter.pose.bias, model.locator.identity_pose())
    assert torch.equal(jittered.loop.emitter.pose.weight, model.loop.emitter.pose.weight)
    assert torch.equal(jittered.loop.inverse_emitter.pose.bias, model.locator.identity_pose())
    poses = jittered(inputs(jittered)[0]).trace.pose
    torch.testing.assert_close(poses, jittered.loop.emitter.pose.bias.expand_as(poses), rtol=0, atol=0)


@pytest.mark.parametrize("jitter", [-0.1, float("nan")])
def test_a_jitter_is_no_negative_number(jitter: float) -> None:
    with pytest.raises(Exception, match="pose_jitter must be a number in"):
        tiny(pose_jitter=jitter)
