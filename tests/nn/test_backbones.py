"""The conv backbone and its notation."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from stawm.errors import ConfigError
from stawm.nn.backbones.conv import Conv
from stawm.nn.backbones.layers import ConvLayer, flat_features, layer_sizes, output_size, parse_layers

LAYERS = st.lists(
    st.builds(
        lambda filters, kernel, stride, share: ConvLayer(filters, kernel, stride, int(share * kernel)),
        st.integers(1, 300),
        st.integers(1, 5),
        st.integers(1, 3),
        st.floats(0, 0.99),
    ),
    min_size=1,
    max_size=4,
)


@given(layers=LAYERS)
def test_the_notation_reads_what_it_writes(layers: list[ConvLayer]):
    assert parse_layers("  ".join(map(str, layers))) == tuple(layers)


def test_the_papers_notation():
    assert parse_layers("64@3/2 128@3/1") == (ConvLayer(64, 3, 2), ConvLayer(128, 3, 1))
    assert parse_layers("32@4/2p1") == (ConvLayer(32, 4, 2, padding=1),)


@pytest.mark.parametrize(
    "text", ["64@3", "64@3/2,128@3/2", "x@3/2", "64@3/2p", "64@-3/2", "64@3.0/2", "64 @3/2", "²@3/2", "64@3/2p1p1"]
)
def test_malformed_layers_are_named(text: str):
    with pytest.raises(ConfigError, match="A layer is written as filters@kernel/stride") as raised:
        parse_layers(f"8@3/1 {text}")
    assert repr(text.split()[0]) in str(raised.value)


def test_all_faults_are_told_together():
    with pytest.raises(ConfigError) as raised:
        Conv.Config(layers="0@3/2 8@3/1 8@3/0 8@2/1p2 nonsense")
    assert len(raised.value.faults) == 4
    assert all(fault.startswith("conv: layers: ") for fault in raised.value.faults)
    with pytest.raises(ConfigError, match="at least one layer"):
        Conv.Config(layers=" ")


@given(layers=LAYERS, height=st.integers(1, 30), width=st.integers(1, 30))
def test_sizes_are_those_of_the_convolutions(layers: list[ConvLayer], height: int, width: int):
    x = torch.zeros(1, 1, height, width, device="meta")
    try:
        for layer in layers:
            x = nn.Conv2d(1, 1, layer.kernel, layer.stride, layer.padding, device="meta")(x)
    except RuntimeError:
        with pytest.raises(ConfigError, match=f"does not fit images of {height}x{width}"):
            layer_sizes(layers, (height, width))
        return
    assert output_size(layers, (height, width)) == tuple(x.shape[2:])
    assert flat_features(layers, (height, width)) == layers[-1].filters * x.shape[2] * x.shape[3]


def test_a_stack_that_does_not_fit_says_where():
    with pytest.raises(ConfigError, match=r"does not fit images of 8x8: layer 3, '256@3/2', is given 1x1"):
        Conv(Conv.Config(layers="64@3/2 128@3/2 256@3/2"), channels=1, size=(8, 8))


@pytest.mark.parametrize(
    ("layers", "side", "features"),
    [
        ("64@3/2 128@3/2 256@3/2", 28, 1024),
        ("64@3/1 128@3/2", 8, 512),
        ("128@3/1", 6, 2048),
        ("32@4/2p1 32@4/2p1 32@4/2p1", 32, 512),
        ("32@4/1p2 64@4/2p1 128@4/2p1 128@4/2p1", 16, 512),
        ("32@4/2p1 32@4/2p1 64@4/2p1 64@4/2p1", 64, 1024),
    ],
)
def test_the_papers_stacks(layers: str, side: int, features: int):
    backbone = Conv(Conv.Config(layers=layers), channels=1, size=(side, side))
    assert backbone.features == features
    assert backbone(torch.rand(2, 1, side, side)).shape == (2, features)


def test_features_are_the_flattened_relu_of_the_last_convolution():
    backbone = Conv(Conv.Config(layers="3@2/1 2@3/2", norm="none", bias=True), channels=2, size=(6, 5))
    first, second = (m for m in backbone.modules() if isinstance(m, nn.Conv2d))
    image = torch.rand(2, 2, 6, 5)
    assert torch.equal(backbone(image), second(first(image).relu()).relu().flatten(1))


@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize("bias", [False, True])
def test_norm_and_bias_are_as_configured(norm: Any, bias: bool):
    backbone = Conv(Conv.Config(layers="4@3/1 8@3/1", norm=norm, bias=bias), channels=1, size=(7, 7))
    kinds = [[type(m) for m in block.children()] for block in backbone.blocks]
    inner = [nn.BatchNorm2d] if norm == "batch" else []
    assert kinds == [[nn.Conv2d, *inner, nn.ReLU]] * 2
    convolutions = [m for m in backbone.modules() if isinstance(m, nn.Conv2d)]
    assert [m.bias is not None for m in convolutions] == [bias] * 2


def test_weights_start_as_configured():
    bounds: dict[Any, float] = {"xavier": (6 / ((32 + 64) * 9)) ** 0.5, "kaiming": (6 / (32 * 9)) ** 0.5}
    for init, bound in bounds.items():
        backbone = Conv(Conv.Config(layers="32@3/1 64@3/1", init=init), channels=1, size=(7, 7))
        _, second = (m for m in backbone.modules() if isinstance(m, nn.Conv2d))
        assert 0.95 * bound < second.weight.abs().max() <= bound


@given(height=st.integers(1, 40), width=st.integers(1, 40))
def test_a_stack_that_is_not_given_fits_any_image(height: int, width: int):
    backbone = Conv(channels=3, size=(height, width))
    assert backbone(torch.zeros(2, 3, height, width)).shape == (2, backbone.features)
