"""Models with a thumbnail: images of any size at one price."""

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import stawm
from stawm.errors import ConfigError, InputError
from stawm.models.construct import construct
from stawm.models.resolve import config
from stawm.training.adapt import adapt
from stawm.training.data import ImageSet, Splits
from stawm.training.evaluation import evaluate
from tests.small import shaken, tiny

EYES = {
    "context_size": 10,
    "image": (1, 24, 24),
    "heads": ("classification",),
    "locator": {"scales": 3, "antialias": True, "square": True},
}
NAMES = tuple("0123456789")
each_locator = pytest.mark.parametrize("name", ["affine", "crop", "filterbank"])


def eyes(**overrides: Any) -> Any:
    asked = overrides.pop("locator", {})
    known = {"scales": 3, "antialias": True} if asked.get("name") == "filterbank" else EYES["locator"]
    locator = {**known, **asked}
    return tiny(**{**EYES, "locator": locator, **overrides})


def outline(**overrides: Any) -> Any:
    with torch.device("meta"):
        return construct(eyes().config.replace(**overrides)).eval()


def test_parameters_and_flops_do_not_depend_on_the_images():
    counted = []
    for height, width in ((60, 60), (61, 333), (4096, 4096)):
        model = outline(image=(1, height, width))
        with FlopCounterMode(display=False) as counter:
            model(torch.zeros(1, 1, height, width, device="meta"))
        counted.append((sum(p.numel() for p in model.parameters()), counter.get_total_flops()))
    (parameters, flops), *others = counted
    assert flops > 0
    assert all(more[0] == parameters and abs(more[1] - flops) <= 0.01 * flops for more in others)


@each_locator
def test_each_call_has_images_of_its_own_size(name: str):
    model = shaken(eyes(locator={"name": name})).eval()
    for height, width in ((10, 10), (24, 24), (17, 50), (101, 40)):
        images = torch.randn(3, 1, height, width, generator=torch.Generator().manual_seed(height))
        output = model(images)
        assert output.logits.shape == (3, 10)
        assert output.trace.glimpses.shape == (3, 3, 3, 6, 6)
        alone = torch.cat([model(images[i : i + 1]).logits for i in range(3)])
        assert torch.allclose(output.logits, alone, atol=1e-5)


def test_a_picture_of_twice_the_size_looks_the_same():
    """Each pixel four times: the same thumbnail, and the same means but for the finest, so that answers are near."""
    model = shaken(eyes()).eval().double()
    image = torch.randn(2, 1, 48, 48, generator=torch.Generator().manual_seed(0)).double()
    small, large = (image.repeat_interleave(n, 2).repeat_interleave(n, 3) for n in (2, 4))
    assert torch.allclose(model.loop.overview(small), model.loop.overview(large))
    first, second = (model(images).trace.glimpses[:, 0, 2] for images in (small, large))  # the widest view
    assert torch.allclose(first, second)


def test_gradients_reach_every_parameter():
    model = shaken(eyes()).train()
    images = torch.randn(2, 1, 31, 26, generator=torch.Generator().manual_seed(0))
    model.loss(model(images), images, torch.tensor([1, 2]))["total"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_it_survives_a_checkpoint(tmp_path: Any):
    model = shaken(eyes()).eval()
    stawm.save(model, tmp_path / "eyes.safetensors")
    images = torch.randn(1, 1, 40, 33, generator=torch.Generator().manual_seed(0))
    back = stawm.load(tmp_path / "eyes.safetensors")
    assert back.config == model.config
    assert torch.equal(back(images).logits, model(images).logits)


BAD = {
    "of another number of channels": (torch.zeros(1, 3, 24, 24), r"got float32 of shape \(1, 3, 24, 24\)"),
    "smaller than the thumbnail": (torch.zeros(1, 1, 24, 9), r"h and w from 10 to 16,384; got .*\(1, 1, 24, 9\)"),
    "without height": (torch.zeros(1, 1, 0, 24), r"h and w from 10 to 16,384; got .*\(1, 1, 0, 24\)"),
    "without width": (torch.zeros(1, 1, 24, 0), r"h and w from 10"),
    "without a batch": (torch.zeros(1, 24, 24), r"of shape \(b, 1, h, w\)"),
    "larger than can be held": (torch.zeros(1, 1, 1, 1).expand(1, 1, 24, 16_385), r"to 16,384"),
    "bytes": (torch.zeros(1, 1, 24, 24, dtype=torch.uint8), r"Pixels go to predict"),
}


@pytest.mark.parametrize("kind", BAD)
def test_images_that_do_not_fit_are_refused_in_one_sentence(kind: str):
    images, said = BAD[kind]
    with pytest.raises(InputError, match=said):
        eyes().check_images(images)


def test_a_glimpse_larger_than_the_thumbnail_is_the_least_side():
    with pytest.raises(InputError, match="h and w from 12"):
        eyes(glimpse_size=12)(torch.zeros(1, 1, 24, 11))


def test_a_model_that_draws_has_one_canvas_and_takes_its_size_alone():
    model = eyes(heads=("classification", "drawing")).eval()
    assert model(torch.zeros(1, 1, 24, 24)).canvas.shape == (1, 1, 24, 24)
    with pytest.raises(InputError, match=r"of shape \(b, 1, 24, 24\).*draws on a canvas of 24x24"):
        model(torch.zeros(1, 1, 30, 24))


def test_sizes_that_cannot_be_are_refused_when_it_is_built():
    with pytest.raises(ConfigError, match="context_size is 25, larger than images of 24x24"):
        eyes(context_size=25)
    with pytest.raises(ConfigError, match="glimpse_size is 30, larger than images of 24x24"):
        eyes(glimpse_size=30)


def test_filters_that_read_every_pixel_are_refused_for_images_of_any_size():
    with pytest.raises(ConfigError, match=r"filterbank as it is reads every pixel .* set locator\.antialias=true"):
        eyes(locator={"name": "filterbank", "antialias": False})


def test_a_network_of_timm_takes_the_channels_of_all_views():
    model = outline(image=(1, 24, 24), backbone=config("stawm-cifar-mnv2").backbone, glimpse_size=16)
    assert model.loop.backbone.channels == 3
    assert model(torch.zeros(2, 1, 30, 40, device="meta")).logits.shape == (2, 10)


def test_a_diagnosis_is_of_images_of_any_size():
    report = stawm.diagnose(shaken(eyes()), torch.rand(2, 1, 30, 17))
    assert len(report.looks) == 3
    assert all(look.reached == 1 for look in report.looks)
    assert stawm.diagnose(eyes(), torch.rand(2, 1, 24, 24)).untrained


def test_an_evaluation_is_of_images_of_any_size_and_refuses_what_the_model_does():
    pixels, labels = torch.zeros(4, 1, 30, 17, dtype=torch.uint8), torch.arange(4)
    assert evaluate(eyes(), ImageSet(pixels, labels, NAMES)).error is not None
    with pytest.raises(InputError, match=r"The images are 1x30x9, the model takes .* from 10 to"):
        evaluate(eyes(), ImageSet(pixels[..., :9], labels, NAMES))


def test_a_model_is_said_to_be_trained_with_the_size_of_the_data():
    images = ImageSet(torch.zeros(10, 1, 40, 30, dtype=torch.uint8), torch.arange(10), NAMES)
    assert adapt(eyes().config, Splits(images, images), ()).image == (1, 40, 30)
    assert adapt(tiny().config, Splits(images, images), ()).image == (1, 12, 12)


def test_a_card_says_that_any_size_is_taken(tmp_path: Any):
    stawm.hub.save_pretrained(eyes(), tmp_path)
    assert "any height and width from 10 to 16,384 pixels" in (tmp_path / "README.md").read_text()


def test_without_a_thumbnail_nothing_is_new():
    assert config("stawm-mnist-8").to_dict()["context_size"] is None
    with pytest.raises(InputError, match=r"of shape \(b, 1, 28, 28\)"):
        construct(config("stawm-mnist-8"))(torch.zeros(1, 1, 30, 30))
