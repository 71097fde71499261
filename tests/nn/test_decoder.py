"""The decoder mirrors a stack: sizes, shapes, and that each layer is the transpose of its like."""

from typing import Any, Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from stawm.nn.backbones.conv import Conv
from stawm.nn.backbones.layers import ConvLayer
from stawm.nn.decoder import Decoder, default_layers
from stawm.nn.glimpse_norm import GlimpseNorm
from tests.strategies import assert_near

LAYERS = st.builds(
    lambda filters, kernel, stride, share: ConvLayer(filters, kernel, stride, int(share * kernel)),
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(1, 3),
    st.floats(0, 0.99),
)


def config(layers: str, **fields: Any) -> Conv.Config:
    return Conv.Config(layers=layers, **fields)


CIFAR = {"norm": "none", "bias": True, "init": "kaiming"}


@pytest.mark.parametrize(
    ("stack", "channels", "side", "in_features", "weights", "padding"),
    [
        (config("128@3/1"), 1, 6, 2048, [(128, 1, 3, 3)], [0]),
        (config("64@3/1 128@3/2"), 1, 8, 512, [(128, 64, 3, 3), (64, 1, 3, 3)], [1, 0]),
        (
            config("32@4/1p2 64@4/2p1 128@4/2p1 128@4/2p1", **CIFAR),
            3,
            16,
            512,
            [(128, 128, 4, 4), (128, 64, 4, 4), (64, 32, 4, 4), (32, 3, 4, 4)],
            [0, 0, 1, 0],
        ),
        (
            config("32@4/1p2 32@4/2p1 64@4/2p1 64@4/2p1", **CIFAR),
            4,
            32,
            1024,
            [(64, 64, 4, 4), (64, 32, 4, 4), (32, 32, 4, 4), (32, 4, 4, 4)],
            [0, 0, 1, 0],
        ),
    ],
    ids=["mnist-draw-6", "mnist-draw-8", "cifar", "celeba"],
)
def test_the_papers_decoders(
    stack: Conv.Config,
    channels: int,
    side: int,
    in_features: int,
    weights: list[tuple[int, ...]],
    padding: list[int],
):
    decoder = Decoder(stack, channels=channels, size=(side, side))
    transposed = [m for m in decoder.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert decoder.in_features == in_features
    assert [tuple(m.weight.shape) for m in transposed] == weights
    assert [m.output_padding for m in transposed] == [(p, p) for p in padding]
    assert [m.bias is not None for m in transposed] == [stack.bias] * len(weights)
    assert decoder(torch.rand(2, 3, in_features)).shape == (2, 3, channels, side, side)


def test_every_layer_is_normalised_and_the_last_has_no_relu():
    decoder = Decoder(config("4@3/1 8@3/2"), channels=2, size=(8, 8))
    kinds = [[type(m) for m in block.children()] for block in decoder.blocks]
    assert kinds == [[nn.ConvTranspose2d, GlimpseNorm, nn.ReLU], [nn.ConvTranspose2d, GlimpseNorm, nn.Identity]]
    plain = Decoder(config("4@3/1 8@3/2", norm="none"), channels=2, size=(8, 8))
    assert not any(isinstance(m, nn.BatchNorm2d) for m in plain.modules())
    assert decoder(torch.randn(4, 1, decoder.in_features)).lt(0).any()


@given(layers=st.lists(LAYERS, min_size=1, max_size=3), height=st.integers(1, 12), width=st.integers(1, 12))
def test_what_is_drawn_has_the_size_of_what_the_stack_sees(layers: list[ConvLayer], height: int, width: int):
    stack = config(" ".join(map(str, layers)), norm="none")
    reach = 1  # of the stack on the image: the side that gives one position, and more
    for layer in reversed(layers):
        reach = (reach - 1) * layer.stride + layer.kernel
    size = (height + reach, width + reach)
    encoder = Conv(stack, channels=2, size=size)
    decoder = Decoder(stack, channels=2, size=size)
    assert decoder.in_features == encoder.features == encoder(torch.zeros(1, 2, *size)).shape[1]
    assert decoder(torch.zeros(1, 1, decoder.in_features)).shape == (1, 1, 2, *size)


def test_pixels_that_strides_drop_can_stay_dropped():
    decoder = Decoder(config("4@4/1p2 4@4/2p1"), channels=3, size=(32, 32), output_padding=False)
    assert decoder(torch.rand(2, 1, decoder.in_features)).shape == (2, 1, 3, 31, 31)  # 32, 33, 16, and back: 32, 31


@given(layer=LAYERS, height=st.integers(4, 9), width=st.integers(4, 9))
def test_a_layer_is_the_transpose_of_the_one_it_mirrors(layer: ConvLayer, height: int, width: int):
    stack = config(str(layer), norm="none")
    decoder = Decoder(stack, channels=2, size=(height, width)).double()
    (transposed,) = (m for m in decoder.modules() if isinstance(m, nn.ConvTranspose2d))
    conv = nn.Conv2d(2, layer.filters, layer.kernel, layer.stride, layer.padding, bias=False).double()
    conv.weight = transposed.weight
    image = torch.randn(1, 2, height, width, dtype=torch.float64)
    seen = conv(image)
    latent = torch.randn(1, decoder.in_features, dtype=torch.float64)
    scale = (seen.flatten() * latent.flatten()).abs().sum()[None] + 1
    inner = (seen.flatten() @ latent.flatten(), (decoder(latent[:, None])[:, 0] * image).sum())
    assert_near(inner[0][None] + scale, inner[1][None] + scale, 1e-12)


@given(height=st.integers(1, 70), width=st.integers(1, 70))
def test_the_default_stack_fits_any_size(height: int, width: int):
    stack = default_layers((height, width))
    decoder = Decoder(stack, channels=1, size=(height, width))
    assert decoder(torch.zeros(1, 1, decoder.in_features)).shape == (1, 1, 1, height, width)
    assert decoder.in_features <= 64 * 16 * max(height / width, width / height)
    assert Conv(stack, channels=1, size=(height, width)).features == decoder.in_features


def test_the_default_stack_halves_down_to_4():
    assert default_layers((32, 32)).layers == "32@3/1p1 64@4/2p1 64@4/2p1 64@4/2p1"
    assert default_layers((4, 4)) == config("32@3/1p1", norm="none", bias=True, init="kaiming")
    assert default_layers((16, 2)).layers == "32@3/1p1 64@4/2p1"  # the lower side cannot be halved again


def first_weight(stack: Conv.Config) -> Tensor:
    decoder = Decoder(stack, channels=1, size=(8, 8))
    return next(m.weight for m in decoder.modules() if isinstance(m, nn.ConvTranspose2d))


def test_weights_start_as_configured():
    bound = (6 / ((64 + 32) * 9)) ** 0.5  # Xavier: of the fans in and out together
    assert 0.95 * bound < first_weight(config("32@3/1 64@3/1")).abs().max() <= bound
    bound = (6 / (64 * 9)) ** 0.5  # Kaiming: of what feeds a pixel, which a transposed convolution's input channels do
    assert 0.95 * bound < first_weight(config("32@3/1 64@3/1", init="kaiming")).abs().max() <= bound
    wide = config("32@3/1 64@3/1", init="authors")  # the authors' code counts the outputs for the inputs
    bound = (6 / (32 * 9)) ** 0.5
    assert 0.95 * bound < first_weight(wide).abs().max() <= bound
    bound = (1 / (32 * 9)) ** 0.5  # PyTorch's own
    assert 0.95 * bound < first_weight(config("32@3/1 64@3/1", init="pytorch")).abs().max() <= bound


@pytest.mark.parametrize(("over", "moves"), [("glimpse", 3), ("all", 1)])
def test_sketches_are_normalised_by_glimpse_or_all_together(over: Literal["glimpse", "all"], moves: int):
    decoder = Decoder(config("4@3/1"), channels=1, size=(6, 6), norm_over=over).train()
    latents = torch.randn(5, 3, decoder.in_features)
    sketches = decoder(latents)
    spread = sketches.mean(dim=(0, 2, 3, 4)).abs().max()
    assert (spread < 1e-5) == (over == "glimpse")  # each glimpse has the bias, 0, for its mean
    assert sketches.mean().abs() < 1e-5
    assert decoder.blocks[0].norm.num_batches_tracked == moves
