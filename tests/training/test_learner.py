"""The loss of a batch: the model's own, with smoothed labels, and with the gradients of its poses clipped."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import stawm
from stawm.configuration import Config
from stawm.errors import InputError
from stawm.models.config import SharedConfig
from stawm.training import data
from stawm.training.learner import Learner, summed_losses
from tests.training.tiny import TINY


def test_smoothed_labels_are_in_the_total_only(few: data.Splits):
    model = stawm.build("stawm-digits", seed=0, **TINY).eval()
    pixels = few.test.images.float() / 255
    parts, largest = Learner(model, label_smoothing=0.3)(pixels, few.test.labels)
    output = model(model.normalise(pixels))
    plain = F.cross_entropy(output.logits, few.test.labels)
    smooth = F.cross_entropy(output.logits, few.test.labels, label_smoothing=0.3)
    torch.testing.assert_close(parts["classification"], plain)
    torch.testing.assert_close(parts["total"], smooth)
    torch.testing.assert_close(largest, output.trace.memory_input.square().sum(-1).max())
    assert [name for name, part in parts.items() if part.requires_grad] == ["total"]


def test_the_loss_is_the_models(few: data.Splits):
    heads = {"heads": ("classification", "drawing"), "class_names": ()}
    model = stawm.build("stawm-digits", seed=0, **TINY, **heads).eval()
    pixels = few.test.images.float() / 255
    images = model.normalise(pixels)
    parts, _ = Learner(model)(pixels, few.test.labels)
    torch.testing.assert_close(parts, model.loss(model(images), images, few.test.labels))


def test_a_head_of_another_package_says_what_it_sums():
    @dataclass(frozen=True, kw_only=True)
    class Summing(Config):
        name: str = "summing"
        summed_losses: ClassVar[tuple[str, ...]] = ("area",)

    @dataclass(frozen=True, kw_only=True)
    class Silent(Config):
        name: str = "silent"

    assert summed_losses(SharedConfig(name="x", image=(1, 8, 8), backbone=Silent(), heads=(Summing(), Silent()))) == {
        "area"
    }


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_clipped_poses_are_clipped_image_by_image(few: data.Splits, reduction: str):
    """The gradient of an image does not depend on the images beside it, and is at most as long as asked."""
    head = {"name": "classification", "reduction": reduction}
    model = stawm.build("stawm-digits", seed=0, **TINY, heads=head, pose_limit=1.0).eval()
    pixels, labels = few.test.images[:4].float() / 255, few.test.labels[:4]

    def gradient(clip: float | None, rows: slice) -> Tensor:
        learner = Learner(model, pose_clip=clip)
        parts, _ = learner(pixels[rows], labels[rows])
        per_image = 1 if reduction == "sum" else len(labels[rows])
        (found,) = torch.autograd.grad(parts["total"], model.loop.emitter.pose.bias)
        return found * per_image

    apart = torch.stack([gradient(1e-4, slice(k, k + 1)) for k in range(4)])
    torch.testing.assert_close(gradient(1e-4, slice(0, 4)), apart.sum(dim=0))
    glimpses = model.config.glimpses
    assert (apart.norm(dim=1) <= 1e-4 * glimpses * (1 + 1e-5)).all()
    assert gradient(None, slice(0, 4)).norm() > gradient(1e-4, slice(0, 4)).norm()
    torch.testing.assert_close(gradient(1e9, slice(0, 4)), gradient(None, slice(0, 4)))


def test_a_forward_that_fails_leaves_no_clipping_behind(few: data.Splits):
    """What a step is told of clipping is of that step alone, also where its forward pass raises an error."""
    model = stawm.build("stawm-digits", seed=0, **TINY).eval()
    pixels, labels = few.test.images[:4].float() / 255, few.test.labels[:4]

    def gradient() -> Tensor:
        return torch.autograd.grad(model.loss(model(pixels), pixels, labels)["total"], model.loop.emitter.pose.bias)[0]

    before = gradient()
    with pytest.raises(InputError):
        Learner(model, pose_clip=1e-9)(pixels[:, :, 1:], labels)
    assert torch.equal(gradient(), before)
