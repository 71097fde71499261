"""The backbones of the paper's peers: fully connected layers, and a spatial transformer."""

import pytest
import torch
from torch import nn

import stawm
from stawm.core import affine
from stawm.errors import ConfigError
from stawm.nn.backbones.conv import Conv
from stawm.nn.backbones.dense import Dense
from stawm.nn.backbones.stn import Stn
from tests.small import shaken

SIZE = (12, 10)


def images() -> torch.Tensor:
    return torch.rand(3, 2, *SIZE, generator=torch.Generator().manual_seed(0))


def test_no_layers_are_the_pixels_themselves():
    backbone = Dense(channels=2, size=SIZE)
    assert backbone.features == 240
    assert torch.equal(backbone(images()), images().flatten(1))
    assert not list(backbone.parameters())


def test_layers_are_linear_with_a_relu_after_each():
    backbone = Dense(Dense.Config(layers=(7, 5)), channels=2, size=SIZE)
    weights = list(backbone.parameters())
    first = (images().flatten(1) @ weights[0].T + weights[1]).relu()
    assert torch.allclose(backbone(images()), (first @ weights[2].T + weights[3]).relu(), atol=1e-6)
    assert backbone.features == 5


def test_a_hidden_layer_stands_after_the_convolutions():
    plain = Conv(Conv.Config(layers="4@3/2", norm="none"), channels=2, size=SIZE)
    full = Conv(Conv.Config(layers="4@3/2", norm="none", hidden=6), channels=2, size=SIZE)
    full.load_state_dict(plain.state_dict(), strict=False)
    assert (plain.features, full.features) == (4 * 5 * 4, 6)
    linear = full.full[0] if full.full is not None else nn.Identity()
    assert torch.allclose(full(images()), linear(plain(images())).relu())
    with pytest.raises(ConfigError, match="its features are points: hidden must be null"):
        stawm.build_component("backbone", "spatial-softmax", channels=2, size=SIZE, hidden=3)


def test_the_weak_cnn_is_the_papers():
    model = stawm.build("ram-cnn-cluttered-100", seed=0)
    first, _, last = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert (first.out_channels, first.kernel_size, first.stride) == (8, (10, 10), (5, 5))
    assert (model.backbone.features, last.in_features, last.out_features) == (86, 86, 10)


def test_a_transformer_sees_the_whole_image_first_and_what_its_pose_says_later():
    backbone = Stn(Stn.Config(view=6, layers="4@3/1"), channels=2, size=SIZE).eval()
    pose, view = backbone.look(images())
    assert torch.equal(pose, torch.tensor([1.0, 0, 0, 0, 1, 0]).expand(3, 6))
    assert view.shape == (3, 2, 6, 6)
    shaken(backbone, 0.3)
    pose, view = backbone.look(images())
    assert not torch.allclose(pose[0], pose[1])
    grid = affine.grid(pose, affine.base_grid(6, 6, align_corners=False))
    expected = affine.sample(images(), grid, align_corners=False, padding="zeros")
    assert torch.allclose(view, expected, atol=1e-5)
    assert torch.equal(backbone(images()), backbone.network(view))


def test_the_localisation_learns_from_the_second_step_on():
    backbone = Stn(Stn.Config(view=6, layers="4@3/1"), channels=2, size=SIZE)
    backbone(images()).square().sum().backward()
    assert backbone.pose.weight.grad is not None
    assert backbone.pose.weight.grad.any()
    backbone = shaken(Stn(Stn.Config(view=6, layers="4@3/1"), channels=2, size=SIZE))
    backbone(images()).square().sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in backbone.parameters())


def test_stacks_that_cannot_be_are_named():
    with pytest.raises(ConfigError, match="stn: localisation: A layer is written as") as raised:
        Stn.Config(localisation="8@3", layers="nonsense")
    assert len(raised.value.faults) == 2
    with pytest.raises(ConfigError, match="does not fit images of 4x4"):
        Stn(Stn.Config(view=4, layers="4@9/1"), channels=2, size=SIZE)
