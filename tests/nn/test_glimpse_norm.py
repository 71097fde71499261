"""Glimpses are normalised each by its own batch, as by a plain normalisation that is called glimpse after glimpse."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from stawm.nn.glimpse_norm import GlimpseNorm

NEAR = 1e-12


def both(channels: int) -> tuple[GlimpseNorm, nn.BatchNorm2d]:
    """The same normalisation twice, with weights and statistics of its own."""
    norm, plain = GlimpseNorm(channels).double(), nn.BatchNorm2d(channels).double()
    with torch.no_grad():
        for tensor in (norm.weight, norm.bias, norm.running_mean):
            tensor.normal_()
        norm.running_var.uniform_(0.5, 2)
    plain.load_state_dict(norm.state_dict())
    return norm, plain


def one_by_one(norm: nn.Module, images: Tensor, glimpses: int) -> Tensor:
    parts = [norm(part) for part in images.unflatten(0, (-1, glimpses)).unbind(1)]
    return torch.stack(parts, dim=1).flatten(0, 1)


@given(st.integers(2, 4), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.booleans(), st.booleans())
def test_it_is_the_plain_one_glimpse_after_glimpse(
    batch: int, glimpses: int, channels: int, side: int, training: bool, last: bool
):
    norm, plain = (module.train(training) for module in both(channels))
    form = torch.channels_last if last else torch.contiguous_format
    images = torch.randn(batch * glimpses, channels, side, side + 1, dtype=torch.float64).contiguous(memory_format=form)
    pull, results = torch.randn_like(images), []
    for module, call in ((norm, lambda x: norm(x, glimpses)), (plain, lambda x: one_by_one(plain, x, glimpses))):
        given_images = images.clone().requires_grad_()
        out = call(given_images)
        (out * pull).sum().backward()
        results.append([out.detach(), given_images.grad, module.weight.grad, module.bias.grad, *module.buffers()])
    for got, expected in zip(*results, strict=True):
        assert (got - expected).abs().max() <= NEAR * (1 + expected.abs().max())
    assert norm.num_batches_tracked == (glimpses if training else 0)


def test_glimpses_of_an_image_lie_side_by_side():
    norm = GlimpseNorm(1, affine=True).train()
    images = torch.tensor([1.0, 100.0, 3.0, 300.0]).view(4, 1, 1, 1)  # two images of two glimpses
    signs = norm(images, 2).flatten().sign()
    assert signs.tolist() == [-1, -1, 1, 1]
