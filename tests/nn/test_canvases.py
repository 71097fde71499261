"""Canvases: the paper's Eq. 3 and 4 as modules."""

import pytest
import torch
from torch import Tensor

from stawm.core.canvas import coarse, concrete, one_colour
from stawm.errors import ConfigError
from stawm.nn.canvases.addition import Addition
from stawm.nn.canvases.base import Canvas
from stawm.nn.canvases.bernoulli import Bernoulli
from stawm.nn.testing import check_canvas


def test_names_and_channels():
    addition, bernoulli = Addition(channels=3), Bernoulli(channels=3)
    assert (addition.config.name, bernoulli.config.name) == ("addition", "bernoulli")
    assert (addition.sketch_channels, bernoulli.sketch_channels) == (3, 4)
    assert (addition.takes_noise, bernoulli.takes_noise) == (False, True)


@pytest.mark.parametrize("initial", [-6.0, 0.0, 1.5])
def test_addition_is_equation_3(initial: float):
    sketches = torch.randn(2, 4, 3, 5, 5, dtype=torch.float64)
    canvas = Addition(Addition.Config(initial=initial), channels=3)
    assert torch.equal(canvas.activate(sketches[:, 0]), sketches[:, 0])
    drawn, masks = canvas.unroll(sketches)
    assert masks is None
    for n in range(4):
        assert torch.allclose(drawn[:, n], (initial + sketches[:, : n + 1].sum(dim=1)).sigmoid(), atol=1e-14)


def test_the_papers_settings_are_the_default():
    assert Addition(channels=1).config == Addition.Config(initial=-6.0, activation="sigmoid")
    assert Bernoulli(channels=1).config == Bernoulli.Config(temperature=2.0, ground=False, flat=False)


def test_addition_starts_black_and_can_leave_out_the_sigmoid():
    nothing = torch.zeros(1, 1, 1, 2, 2)
    assert Addition(channels=1).unroll(nothing)[0].max() < 0.0025
    plain = Addition(Addition.Config(activation="none", initial=0.5), channels=1)
    assert torch.equal(plain.unroll(nothing + 2)[0], nothing + 2.5)


def loop(picture: Tensor, masks: Tensor) -> Tensor:
    """Equation 4, from an empty canvas."""
    canvas, drawn = torch.zeros_like(picture[:, 0]), []
    for n in range(picture.shape[1]):
        canvas = canvas * (1 - masks[:, n]) + picture[:, n] * masks[:, n]
        drawn.append(canvas)
    return torch.stack(drawn, dim=1)


def test_bernoulli_takes_the_probability_where_it_has_no_noise():
    sketches = torch.rand(2, 4, 3, 5, 5, dtype=torch.float64)
    drawn, masks = Bernoulli(channels=2).unroll(sketches)
    assert torch.equal(masks, sketches[:, :, :1])
    assert torch.allclose(drawn, loop(sketches[:, :, 1:], sketches[:, :, :1]), atol=1e-15)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_bernoulli_samples_its_masks_from_the_noise(temperature: float):
    sketches, noise = torch.rand(2, 3, 4, 5, 5, dtype=torch.float64), torch.rand(2, 3, 1, 5, 5, dtype=torch.float64)
    canvas = Bernoulli(Bernoulli.Config(temperature=temperature), channels=3)
    drawn, masks = canvas.unroll(sketches, noise)
    assert torch.equal(masks, concrete(sketches[:, :, :1], noise, temperature))
    assert torch.allclose(drawn, loop(sketches[:, :, 1:], masks), atol=1e-15)
    assert torch.equal(canvas.unroll(sketches, noise)[0], drawn)


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("glimpses", [1, 3])
def test_a_ground_covers_all_and_flat_sketches_have_one_colour(glimpses: int, noisy: bool):
    sketches = torch.rand(2, glimpses, 4, 5, 5, dtype=torch.float64)
    noise = torch.rand(2, glimpses, 1, 5, 5, dtype=torch.float64) if noisy else None
    drawn, masks = Bernoulli(Bernoulli.Config(ground=True, flat=True), channels=3).unroll(sketches, noise)
    assert masks[:, 0].eq(1).all()
    assert torch.equal(drawn[:, 0], sketches[:, 0, 1:])
    painted = Bernoulli(channels=3).unroll(sketches, noise)[1]
    assert torch.equal(masks[:, 1:], painted[:, 1:])
    flat = one_colour(sketches[:, :, 1:], sketches[:, :, :1])
    picture = torch.cat([sketches[:, :1, 1:], flat[:, 1:]], dim=1)
    assert torch.allclose(drawn, loop(picture, masks), atol=1e-15)
    every = Bernoulli(Bernoulli.Config(flat=True), channels=3).unroll(sketches, noise)[0]
    assert torch.allclose(every, loop(flat, painted), atol=1e-15)


@pytest.mark.parametrize("ground", [False, True])
@pytest.mark.parametrize("flat", [False, True])
def test_bernoulli_keeps_the_contract_with_and_without_ground_and_flat_sketches(ground: bool, flat: bool):
    config = Bernoulli.Config(ground=ground, flat=flat, ground_size=2, flat_by="frame", sampled=False, mask_bias=-1.0)
    assert "learns" in check_canvas(Bernoulli, config=config, seeds=(0,), export=False)
    config = Bernoulli.Config(ground=ground, flat=flat)
    assert "learns" in check_canvas(Bernoulli, config=config, seeds=(0,), export=False)


def test_a_coarse_ground_is_coarse_and_what_lies_on_it_is_not():
    sketches = torch.rand(2, 3, 4, 6, 6, dtype=torch.float64)
    fine, rough = (Bernoulli(Bernoulli.Config(ground=True, ground_size=size), channels=3) for size in (None, 2))
    drawn, masks = rough.unroll(sketches)
    picture = torch.cat([coarse(sketches[:, :1, 1:], 2), sketches[:, 1:, 1:]], dim=1)
    assert torch.allclose(drawn, loop(picture, masks), atol=1e-15)
    assert torch.equal(masks, fine.unroll(sketches)[1])
    without = Bernoulli(Bernoulli.Config(ground_size=2), channels=3)
    assert torch.equal(without.unroll(sketches)[0], Bernoulli(channels=3).unroll(sketches)[0]), "there is no ground"


def test_masks_that_are_not_sampled_take_no_noise():
    canvas, sketches = Bernoulli(Bernoulli.Config(sampled=False), channels=3), torch.rand(2, 3, 4, 5, 5)
    assert not canvas.takes_noise
    drawn, masks = canvas.unroll(sketches, torch.rand(2, 3, 1, 5, 5))
    assert torch.equal(masks, sketches[:, :, :1])
    assert torch.equal(drawn, Bernoulli(channels=3).unroll(sketches)[0])


def test_a_colour_by_the_frame_stays_where_the_mask_changes():
    canvas = Bernoulli(Bernoulli.Config(flat=True, flat_by="frame"), channels=3)
    pictures = torch.rand(2, 1, 3, 4, 4, dtype=torch.float64)
    for mask in torch.rand(2, 2, 1, 1, 4, 4, dtype=torch.float64):
        drawn, _ = canvas.unroll(torch.cat([mask, pictures], dim=2))
        assert torch.allclose(drawn / mask, pictures.mean(dim=(-2, -1), keepdim=True).expand_as(drawn), atol=1e-12)
    half = torch.cat([mask, pictures], dim=2)
    half[..., 2:] = 0  # beyond the frame of what was placed there is nothing
    drawn = canvas.unroll(half)[0][..., :2] / half[:, :, :1, :, :2]
    colour = pictures[..., :2].mean(dim=(-2, -1), keepdim=True)
    assert torch.allclose(drawn, colour.expand_as(drawn), atol=1e-12)


def test_the_bias_of_a_mask_moves_it_alone():
    sketch = torch.randn(2, 4, 3, 3)
    canvas = Bernoulli(Bernoulli.Config(mask_bias=-2.0), channels=3)
    found = canvas.activate(sketch)
    moved = torch.cat([sketch[:, :1] - 2.0, sketch[:, 1:]], dim=1)
    assert torch.allclose(found, moved.sigmoid(), rtol=1e-6)


def test_bernoulli_brings_sketches_between_0_and_1():
    sketch = torch.randn(2, 4, 3, 3)
    assert torch.equal(Bernoulli(channels=3).activate(sketch), sketch.sigmoid())


@pytest.mark.parametrize("canvas", [Addition(channels=3), Bernoulli(channels=2)], ids=["addition", "bernoulli"])
def test_canvases_stay_in_full_precision(canvas: Canvas):
    sketches, noise = torch.rand(1, 3, 3, 4, 4).bfloat16(), torch.rand(1, 3, 1, 4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        drawn, _ = canvas.unroll(sketches, noise)
    assert drawn.dtype == torch.float32
    assert torch.equal(drawn, canvas.unroll(sketches.float(), noise)[0])


def test_wrong_settings_are_refused():
    with pytest.raises(ConfigError, match=r"temperature must be a number in \(0, inf\)"):
        Bernoulli.Config(temperature=0.0)
    with pytest.raises(ConfigError, match="activation must be one of 'sigmoid', 'none'"):
        Addition.Config(activation="tanh")  # pyright: ignore[reportArgumentType]
