"""The stages of a forward pass: look, recall, answer; and the properties that say what a model does."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import stawm
from stawm.errors import InputError
from stawm.heads.output import Noise
from stawm.models.model import Seen, evaluating
from tests.small import BASELINES, STAWMS, inputs, shaken, small, tensors, tiny


def staged(model: Any, images: Tensor, noise: Noise | None = None) -> dict[str, Tensor]:
    """What the three stages give one after the other."""
    n = model.config.glimpses
    seen = model.look(images, n)
    return tensors(model.answer(seen, model.recall(seen, model.reads(n, every=True)), noise))


@pytest.mark.parametrize("preset", STAWMS)
def test_forward_is_the_three_stages(preset: str) -> None:
    model: Any = shaken(small(preset)).eval()
    images, _ = inputs(model)
    with torch.no_grad():
        whole, parts = tensors(model(images, glimpse_logits=True)), staged(model, images)
    assert set(whole) == set(parts)
    assert all(torch.equal(parts[name], value) for name, value in whole.items())


@pytest.mark.parametrize("preset", BASELINES)
def test_a_baseline_has_two_of_them(preset: str) -> None:
    model: Any = small(preset).eval()
    images, _ = inputs(model)
    with torch.no_grad():
        whole, parts = tensors(model(images)), tensors(model.answer(model.look(images)))
    assert all(torch.equal(parts[name], value) for name, value in whole.items())
    assert set(whole) == set(parts)


def test_what_is_recalled_is_what_the_memory_reads_through_relu6() -> None:
    model = shaken(tiny()).eval()
    seen = model.look(inputs(model)[0], 3)
    reads = {"drawing": (1, 3), "classification": (0,)}
    found = model.recall(seen, reads)
    largest = 0.0
    for name, times in reads.items():
        query = model.heads[name].query(seen.context)
        for k, after in enumerate(times):
            state = model.memory.init_state(2)
            for e in seen.memory_input[:, :after].unbind(1):
                state = model.memory.write(state, e)
            read = model.memory.read(state, query)
            largest = max(largest, read.abs().max().item())
            torch.testing.assert_close(found[name][:, k], read.clamp(0, 6))
    assert largest > 0


def test_recall_bounds_what_it_gives() -> None:
    model = shaken(tiny()).eval()
    with torch.no_grad():
        model.loop.what.bias.add_(50)
        model.loop.where.bias.add_(50)
        model.heads["classification"].query.linear.bias.add_(6)
    recalled = model.recall(model.look(inputs(model)[0], 3), {"classification": (3,)})["classification"]
    assert recalled.max() == 6
    assert recalled.min() >= 0


def test_the_noise_of_a_pass_reaches_the_answer() -> None:
    model = shaken(tiny(canvas="bernoulli")).eval()
    images, _ = inputs(model)
    shapes = model.noise_shapes(3)
    assert set(shapes) == {"latent", "mask"}
    noise = Noise(latent=torch.randn(2, *shapes["latent"]), mask=torch.rand(2, *shapes["mask"]))
    with torch.no_grad():
        found, plain = staged(model, images, noise), staged(model, images)
        expected = tensors(model(images, noise=noise, glimpse_logits=True))
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert not torch.equal(found["masks"], plain["masks"])


def test_heads_that_need_no_glimpses_answer_without_them() -> None:
    model = shaken(tiny(heads="classification")).eval()
    images, _ = inputs(model)
    seen = model.look(images, 3)
    kept = Seen(seen.context, None, seen.memory_input)
    output = model.answer(kept, model.recall(kept, model.reads(3)))
    assert torch.equal(output.logits, model(images).logits)
    assert output.trace is None
    drawing = shaken(tiny()).eval()
    kept = drawing.look(images, 3)._replace(looks=None)
    with pytest.raises(InputError, match="needs the glimpses"):
        drawing.answer(kept, drawing.recall(kept, drawing.reads(3)))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("images", "glimpses", "said"),
    [
        (torch.rand(2, 1, 12, 11), 3, r"takes float32 images of shape \(b, 1, 12, 12\); got float32 of shape"),
        (torch.rand(1, 12, 12), 3, r"got float32 of shape \(1, 12, 12\)"),
        ([[0.0]], 3, "got list"),
        (torch.rand(2, 1, 12, 12), 0, "at least 1 glimpse; got 0"),
        (torch.rand(2, 1, 12, 12), 1.5, r"at least 1 glimpse; got 1\.5"),
    ],
)
def test_look_says_what_it_takes(images: Any, glimpses: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        tiny().look(images, glimpses)


def test_a_model_is_left_in_the_mode_that_it_was_in() -> None:
    for training in (True, False):
        model = tiny().train(training)
        with evaluating(model):
            assert not model.training
            assert not torch.is_grad_enabled()
        assert model.training == training
        with pytest.raises(ZeroDivisionError), evaluating(model):
            raise ZeroDivisionError
        assert model.training == training
        assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("preset", "glimpses", "classes", "draws", "masked", "readout"),
    [
        ("stawm-mnist-8", 8, 10, False, False, False),
        ("stawm-mnist-sketchpad", 6, 10, True, False, False),
        ("stawm-mnist-selfsup", 12, 10, False, False, True),
        ("stawm-celeba-draw-32", 8, None, True, True, False),
        ("bvae-cifar", None, None, True, False, False),
        ("mnv2-cifar", None, 10, False, False, False),
    ],
)
def test_a_configuration_says_what_a_model_does(
    preset: str, glimpses: int | None, classes: int | None, draws: bool, masked: bool, readout: bool
) -> None:
    config = stawm.config(preset)
    assert (config.glimpses, config.classes, config.classifies) == (glimpses, classes, classes is not None)
    assert (config.draws, config.masked, config.is_readout) == (draws, masked, readout)
    assert not {"classes", "classifies", "draws", "masked"} & set(config.to_dict())
    assert ("glimpses" in config.to_dict()) == (glimpses is not None)


def test_a_canvas_that_is_not_drawn_on_masks_nothing() -> None:
    assert not stawm.config("stawm-digits", canvas="bernoulli").masked
    assert stawm.config("stawm-digits", canvas="bernoulli", heads="drawing", class_names=()).masked


def test_preprocessing_is_kept_with_the_model_and_in_no_state_dict(tmp_path: Path) -> None:
    model = tiny(image=(3, 12, 12), mean=(0.1, 0.2, 0.3), std=(0.7,))
    assert not {"mean", "std"} & set(model.state_dict())
    for dtype in (torch.float64, torch.float32):
        pixels = torch.rand(2, 3, 12, 12, dtype=dtype)
        mean = torch.tensor([0.1, 0.2, 0.3], dtype=dtype).view(1, 3, 1, 1)
        assert torch.equal(model.normalise(pixels), (pixels - mean) / torch.tensor(0.7, dtype=dtype))
        assert torch.equal(model.denormalise(pixels), pixels * torch.tensor(0.7, dtype=dtype) + mean)
    assert torch.equal(model.double().mean.view(-1), torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64))
    assert torch.equal(model.float().mean.view(-1), torch.tensor([0.1, 0.2, 0.3]))


def test_bytes_are_diagnosed_as_their_pixel_values_are() -> None:
    model = tiny(mean=(0.3,), std=(0.5,))
    raw = torch.randint(0, 256, (3, 1, 12, 12), dtype=torch.uint8)
    report = stawm.diagnose(model, raw)
    assert report == stawm.diagnose(model, raw.float() / 255)
    drive = (0.4 * model.eval().look(model.normalise(raw.float() / 255), 3).memory_input.square().sum(-1)).max()
    assert max(glimpse.drive_max or 0.0 for glimpse in report.glimpses) == pytest.approx(drive.item())
