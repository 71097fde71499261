"""DRAW against its slow twin, and what its parts promise."""

from typing import Any

import pytest
import torch
from torch import Tensor

import stawm
from stawm.core import filterbank
from stawm.core.naive import draw as naive
from stawm.errors import ConfigError, InputError
from stawm.heads.output import Noise
from stawm.models.draw import Draw
from stawm.models.latents import from_prior, redraw
from stawm.nn.locators.filterbank import FilterBank
from stawm.training import evaluate
from stawm.training.data import ImageSet
from tests.core.twins import EXACT, GRADIENTS
from tests.models import draw_twin
from tests.small import shaken
from tests.strategies import assert_all_near

DRAWING = {"name": "drawing", "latent": 3, "beta": 1.0, "sketch_size": 3, "measure": "nats"}
SIZES: dict[str, Any] = {"image": (1, 6, 7), "glimpses": 3, "hidden_size": 4}


def drawer(**changes: Any) -> Any:
    return shaken(stawm.build("draw-mnist", seed=0, **{**SIZES, "heads": (DRAWING,), **changes}), 0.3)


def whole(**changes: Any) -> Any:
    heads = ({**DRAWING, "sketch_size": None},)
    return drawer(locator=None, glimpse_size=None, first_width=None, heads=heads, **changes)


def reader(**changes: Any) -> Any:
    small = {"glimpse_size": 3, "heads": ({"name": "classification", "classes": 4},), "class_names": ()}
    return shaken(stawm.build("draw-cluttered-100", seed=0, **{**SIZES, **small, **changes}), 0.3)


def pixels(count: int = 2, dtype: torch.dtype = torch.float32, side: tuple[int, int, int] = (1, 6, 7)) -> Tensor:
    return torch.rand(count, *side, generator=torch.Generator().manual_seed(0), dtype=torch.float64).round().to(dtype)


def test_the_model_is_its_twin_in_outputs_and_in_the_gradients_of_every_weight():
    model, image = drawer().double(), pixels(2, torch.float64)
    noise = torch.randn(2, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    output, twin = model(image, noise=Noise(latent=noise)), draw_twin.unroll(model, image, noise)
    trace, latent = output.trace, output.latent
    ours = [output.canvas_logits, latent.mu, latent.logvar, trace.pose, trace.inverse_pose]
    assert_all_near(ours, [twin.canvas, twin.mu, twin.logvar, twin.read_pose, twin.write_pose], EXACT)
    loss = model.loss(output, image)["total"]
    slow = naive.bound(twin.canvas, image, twin.mu, twin.logvar).mean()
    assert_all_near([loss], [slow], EXACT)
    weights = list(model.parameters())
    assert_all_near(torch.autograd.grad(loss, weights), torch.autograd.grad(slow, weights), GRADIENTS)


def test_the_reader_is_its_twin():
    model, image = reader().double().eval(), pixels(2, torch.float64)
    h = torch.stack([model.encoder_start] * 2)
    c, twin = torch.zeros_like(h), []
    for _ in range(3):
        pose = draw_twin.linear(h, model.reader.pose)
        seen = draw_twin.filterbank.read(image, pose, 3).flatten(1)
        h, c = draw_twin.lstm(seen, h, c, model.encoder)
        twin.append(draw_twin.linear(h, model.heads["classification"].linear).log_softmax(dim=-1))
    output = model(image, glimpse_logits=True)
    assert_all_near([output.glimpse_logits, output.logits], [torch.stack(twin, dim=1), twin[-1]], EXACT)


def test_an_untrained_model_reads_the_share_of_the_image_that_it_is_told():
    images, wide = pixels(), stawm.build("draw-mnist", seed=0, first_width=None, **SIZES)
    narrow = stawm.build("draw-mnist", seed=0, first_width=0.25, **SIZES)
    whole = wide.locator.frame(wide(images).trace.pose[:, 0])
    assert torch.equal(whole, wide.locator.frame(wide.locator.identity_pose().expand(2, -1)))
    assert_all_near([narrow.locator.frame(narrow(images).trace.pose[:, 0])], [whole / 4], 1e-6)


def test_what_it_first_writes_spreads_over_the_canvas_as_it_is():
    model = stawm.build("draw-mnist", seed=0, **SIZES)
    expected = model.placer.placing_pose().expand(2, -1)
    assert torch.equal(model(pixels()).trace.inverse_pose[:, 0], expected)


def test_a_first_width_needs_a_locator():
    with pytest.raises(ConfigError, match="first_width must be null without a locator"):
        stawm.config("draw-mnist-no-attention", first_width=0.5)
    with pytest.raises(ConfigError, match=r"first_width must be a number in \(0, 1\]"):
        stawm.config("draw-mnist", first_width=0.0)


def test_what_it_reads_is_what_was_seen_of_the_image_through_its_filters():
    model, image = drawer().double(), pixels(2, torch.float64)
    trace = model(image, sample=False).trace
    assert trace.memory_input is None
    for t in range(3):
        seen = filterbank.read(image, trace.pose[:, t], 2)
        assert torch.allclose(trace.glimpses[:, t], seen, rtol=0, atol=1e-12)


def test_a_step_at_a_time_is_all_at_once():
    model, image = drawer().eval(), pixels()
    state, canvases = model.start(2), []
    for _ in range(3):
        state, step = model.step(image, state)
        canvases.append(step.canvas)
    assert torch.equal(canvases[-1], model(image).canvas_logits)
    assert torch.equal(canvases[1], model(image, glimpses=2).canvas_logits)


def test_without_attention_everything_is_read_and_written():
    model, image = whole().eval(), pixels()
    output = model(image)
    assert output.trace is None
    assert output.sketches.shape == (2, 3, 1, 6, 7)
    drawn = torch.cat([model.painter.blank.expand(2, 1, 1, 6, 7), output.sketches], dim=1).cumsum(dim=1)
    assert torch.allclose(output.canvases, drawn[:, 1:].sigmoid(), atol=1e-6)


@pytest.mark.parametrize("make", [drawer, whole], ids=["attention", "whole"])
def test_latents_alone_draw_what_they_draw_of_an_image(make: Any):
    """The picture depends on the image by its latents only, so generation is the second half of a pass."""
    model, image = make().eval(), pixels()
    output = model(image, sample=True, generator=torch.Generator().manual_seed(3))
    noise = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(3))
    z = output.latent.mu + (output.latent.logvar / 2).exp() * noise
    assert torch.allclose(model.generate(z), output.canvas, atol=1e-6)
    assert torch.equal(redraw(model, image, z[:, None])[:, 0], model.generate(z))
    one, other = (from_prior(model, count=2, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    assert one.shape == (1, 2, 1, 6, 7)
    assert not torch.equal(one, other)


def test_in_use_nothing_is_random_and_given_noise_is_used():
    model, image = drawer().eval(), pixels()
    zero = Noise(latent=torch.zeros(2, 3, 3))
    assert model(image) == model(image, noise=zero)
    assert model(image) != model(image, sample=True)
    with pytest.raises(InputError, match=r"latent noise must be of shape \(2, 3, 3\)"):
        model(image, noise=Noise(latent=torch.zeros(2, 3, 4)))


def test_a_reader_takes_no_noise_and_learns_early_answers():
    model, image, labels = reader(heads=({"name": "classification", "early": 0.5},)), pixels(), torch.tensor([1, 3])
    assert not model.noise_shapes(3)
    losses = model.loss(model(image), image, labels)
    assert losses.keys() == {"classification", "early", "total"}
    logits = model(image).glimpse_logits
    by_hand = [torch.nn.functional.cross_entropy(part, labels) for part in logits[:, :2].unbind(1)]
    assert torch.allclose(losses["early"], 0.5 * (by_hand[0] + by_hand[1]) / 2)
    assert model.eval()(image).glimpse_logits is None


def test_both_heads_share_the_network_that_reads():
    model, image = drawer(heads=(DRAWING, "classification")), pixels()
    output = model(image)
    losses = model.loss(output, image, torch.tensor([1, 2]))
    assert losses.keys() == {"reconstruction", "kl", "classification", "total"}
    assert output.logits.shape == (2, 10)


def test_any_locator_reads_and_writes():
    for locator in ("affine", "crop", {"name": "filterbank", "scales": 2}):
        output = drawer(locator=locator)(pixels())
        assert output.canvas.isfinite().all()
        views = 2 if isinstance(locator, dict) else 1
        assert output.trace.glimpses.shape == (2, 3, views, 2, 2)


@pytest.mark.parametrize("half", ["reader", "painter"])
def test_the_pose_gradient_is_clipped_image_by_image(half: str):
    model, image = drawer(), 50 * pixels()
    norms: list[Tensor] = []
    layer = getattr(model, half).pose
    layer.register_full_backward_hook(lambda module, gone, came: norms.append(came[0].norm(dim=1)))
    model.loss(model(image, sample=False, pose_clip=1e-3), image)["total"].backward()
    assert len(norms) == 3
    assert all(norm.le(1e-3 * (1 + 1e-5)).all() for norm in norms)


def test_the_bound_is_measured_of_drawn_latents_and_black_and_white_pixels_alone():
    model, image = drawer(), pixels(5)
    labels = torch.zeros(5, dtype=torch.long)
    found = evaluate(model, ImageSet(image, labels), sample=True)
    output = model.eval()(image, sample=True, generator=torch.Generator().manual_seed(0))
    expected = naive.bound(output.canvas_logits, image, *output.latent).mean().item()
    assert found.bound == pytest.approx(expected, rel=1e-5)
    assert f"at most {expected:.2f} nats" in str(found)
    assert evaluate(model, ImageSet(image, labels)).bound is None
    grey = evaluate(model, ImageSet(image.clamp(0.25, 1), labels), sample=True)
    assert grey.bound is None
    assert "0 or 1, and 5 of 5 images have others" in str(grey)


def test_a_stawm_that_draws_can_measure_in_nats_too():
    head = {"name": "drawing", "measure": "nats", "beta": 1.0}
    model = stawm.build("stawm-digits", seed=0, heads=(head,), class_names=(), mean=0, std=1, glimpses=2)
    image = pixels(2, side=(1, 16, 16))
    output = model(image)
    losses = model.loss(output, image)
    expected = torch.nn.functional.binary_cross_entropy(output.canvas, image, reduction="sum") / 2
    assert torch.allclose(losses["reconstruction"], expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"locator": None}, "glimpse_size and locator go together"),
        ({"glimpse_size": None}, "glimpse_size and locator go together"),
        ({"mean": (0.5,)}, "mean must be 0 and std 1"),
        ({"heads": ("regression",)}, "has the heads 'classification' and 'drawing', each once; got regression"),
        ({"heads": ({"name": "classification", "label": "second"},)}, "got second"),
        ({"heads": ({**DRAWING, "decoder": "8@3/1"},)}, "decoder must be null"),
        ({"locator": None, "glimpse_size": None, "first_width": None}, "sketch_size must be null"),
        ({"locator": "afine"}, "affine"),
    ],
)
def test_what_cannot_be_is_said(changes: dict[str, Any], said: str):
    with pytest.raises((ConfigError, stawm.errors.UnknownNameError), match=said):
        drawer(**changes)


def test_wrong_calls_are_named():
    with pytest.raises(InputError, match="does not draw, so there is no latent"):
        reader().generate(torch.zeros(1, 3, 3))
    with pytest.raises(InputError, match=r"Latents of draw-mnist are of shape \(b, n, 3\); got \(1, 3, 4\)"):
        drawer().generate(torch.zeros(1, 3, 4))
    with pytest.raises(InputError, match="at least 1 glimpse"):
        drawer()(pixels(), glimpses=0)


def test_the_preset_is_the_papers():
    model = stawm.build("draw-mnist", seed=0)
    assert isinstance(model, Draw)
    assert isinstance(model.locator, FilterBank)
    assert model.noise_shapes(64) == {"latent": (64, 100)}
    assert (model.encoder.input_size, model.encoder.hidden_size) == (2 * 2 * 2 + 256, 256)
    assert (model.locator.glimpse_size, model.placer.glimpse_size, model.config.glimpses) == (2, 5, 64)
