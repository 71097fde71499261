"""Layers that cost less give the same numbers and gradients as PyTorch's, and keep less."""

from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from stawm.nn.backbones.lean import LeanReLU6, StridedDepthwise, make_lean

EDGES = torch.tensor([-1.0, -0.0, 0.0, 1e-6, 3.0, 6.0 - 1e-6, 6.0, 7.0, float("inf"), float("-inf")])


def value_and_gradient(module: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    x = x.clone().requires_grad_()
    y = module(x)
    return y, torch.autograd.grad(y, x, torch.linspace(1, 2, y.numel(), dtype=y.dtype).view_as(y))[0]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_relu6_is_pytorchs(dtype: torch.dtype) -> None:
    x = torch.cat([EDGES, torch.randn(50) * 5]).to(dtype)
    for found, expected in zip(value_and_gradient(LeanReLU6(), x), value_and_gradient(nn.ReLU6(), x), strict=True):
        assert torch.equal(found, expected)


def test_relu6_keeps_what_it_gave_alone() -> None:
    kept: list[Tensor] = []
    x = torch.randn(5, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        y = LeanReLU6()(x * 1.0)
    assert [t.data_ptr() for t in kept] == [y.data_ptr()]


def test_relu6_has_derivatives_of_any_kind() -> None:
    x = torch.tensor([-1.0, 2.0, 7.0], dtype=torch.float64, requires_grad=True)
    relu6: Any = LeanReLU6()
    assert torch.autograd.gradcheck(relu6, x)
    assert torch.autograd.gradgradcheck(relu6, x)
    assert torch.equal(torch.vmap(relu6)(x), x.clamp(0, 6))
    assert torch.equal(torch.func.grad(lambda t: relu6(t).sum())(x), torch.tensor([0.0, 1.0, 0.0]).double())


def depthwise(kind: type[nn.Conv2d], dtype: torch.dtype = torch.float32) -> nn.Conv2d:
    torch.manual_seed(0)
    return kind(6, 6, 3, 2, 1, groups=6).to(dtype)


def test_a_strided_depthwise_convolution_is_pytorchs() -> None:
    x = torch.randn(2, 6, 7, 7)
    plain, ours = (value_and_gradient(depthwise(kind), x) for kind in (nn.Conv2d, StridedDepthwise))
    assert torch.equal(plain[0], ours[0])
    assert torch.equal(plain[1], ours[1])


def test_under_autocast_it_is_as_exact_as_the_type_that_it_gives() -> None:
    x = torch.randn(2, 6, 7, 7)
    with torch.autocast("cpu", torch.bfloat16):
        y, gradient = value_and_gradient(depthwise(StridedDepthwise), x)
    exact, exact_gradient = value_and_gradient(depthwise(nn.Conv2d), x)
    assert y.dtype == torch.bfloat16
    assert torch.equal(y, exact.bfloat16())
    rounding = torch.finfo(torch.bfloat16).eps  # of what comes from above: 9 products, each off by half of it
    assert (gradient - exact_gradient).abs().max() <= 9 * rounding * exact_gradient.abs().max()


def test_a_networks_layers_are_replaced_and_its_weights_kept() -> None:
    network = timm.create_model("mobilenetv2_100", num_classes=0, in_chans=1)
    before = {name: id(tensor) for name, tensor in network.named_parameters()}
    images = torch.randn(2, 1, 32, 32)
    expected = network.eval()(images)
    make_lean(network)
    assert {name: id(tensor) for name, tensor in network.named_parameters()} == before
    assert sum(type(m) is LeanReLU6 for m in network.modules()) == 35
    assert sum(type(m) is StridedDepthwise for m in network.modules()) == 4
    assert not any(type(m) is nn.ReLU6 for m in network.modules())
    assert torch.allclose(network(images), expected, rtol=1e-5, atol=1e-6)
