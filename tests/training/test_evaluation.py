"""Evaluation measures what it says, whatever the batches."""

import pytest
import torch
from scipy.stats import binomtest

import stawm
from stawm.errors import InputError
from stawm.heads.model import Model
from stawm.training import data, evaluate
from stawm.training.data import ImageSet
from stawm.training.evaluation import wilson

SMALL = {"memory_size": 8, "hidden_size": 16, "glimpses": 3}


@pytest.fixture(scope="module")
def images() -> ImageSet:
    return data.load("digits").test.take(slice(0, 40))


@pytest.fixture(scope="module")
def model() -> Model:
    heads = ["classification", {"name": "drawing", "latent": 3}]
    return stawm.build("stawm-digits", heads=heads, seed=0, mean=[0.0], std=[1.0], **SMALL).double()


def test_every_figure_is_what_a_loop_over_single_images_gives(model: Model, images: ImageSet):
    found = evaluate(model, images, batch=7, by_glimpse=True)
    wrong, by_glimpse, mse, kl = 0, [0, 0, 0], 0.0, 0.0
    model.eval()
    with torch.no_grad():
        for image, label in zip(images.images, images.labels, strict=True):
            pixels = (image.float() / 255).double()[None]
            out = model(pixels, glimpse_logits=True)
            wrong += int(out.logits[0].argmax() != label)
            for t in range(3):
                by_glimpse[t] += int(out.glimpse_logits[0, t].argmax() != label)
            mse += float(((out.canvas - pixels) ** 2).mean())
            mu, logvar = out.latent
            kl += float(-0.5 * (1 + logvar - mu**2 - logvar.exp()).sum())
    n = len(images)
    assert found.images == n
    assert found.error == wrong / n
    assert found.error_by_glimpse == tuple(w / n for w in by_glimpse)
    assert found.mse == pytest.approx(mse / n, rel=1e-12)
    assert found.kl == pytest.approx(kl / n, rel=1e-12)


def test_the_model_is_left_in_its_mode(model: Model, images: ImageSet):
    for mode in (True, False):
        model.train(mode)
        evaluate(model, images)
        assert model.training is mode


@pytest.mark.parametrize(("wrong", "count"), [(0, 10), (1, 360), (41, 10_000), (10, 10)])
def test_the_interval_is_wilsons(wrong: int, count: int):
    reference = binomtest(wrong, count).proportion_ci(method="wilson")
    assert wilson(wrong, count) == pytest.approx((reference.low, reference.high), abs=1e-7)


def test_no_images_are_refused(model: Model, images: ImageSet):
    with pytest.raises(InputError, match="no images"):
        evaluate(model, images.take(slice(0, 0)))


def test_images_of_another_form_are_refused(model: Model):
    other = ImageSet(torch.zeros(2, 1, 8, 8, dtype=torch.uint8), torch.zeros(2, dtype=torch.long), ("a",))
    with pytest.raises(InputError, match="1x8x8, the model takes 1x16x16"):
        evaluate(model, other)


def test_more_classes_than_the_model_knows_are_refused(images: ImageSet):
    model = stawm.build("stawm-digits", heads={"classification": {"classes": 4}}, class_names=[], **SMALL)
    with pytest.raises(InputError, match=r"10 classes, the model tells 4 apart.*heads\.classification\.classes=10"):
        evaluate(model, images)


def test_a_baseline_and_a_drawing_model_have_no_errors_by_glimpse(images: ImageSet):
    plain = stawm.build("mnv2-cifar", image=[1, 16, 16], backbone="conv", mean=[0.0], std=[1.0])
    assert evaluate(plain, images, by_glimpse=True).error_by_glimpse is None
    drawing = stawm.build("stawm-digits", heads="drawing", class_names=[], mean=[0.0], std=[1.0], **SMALL)
    measured = evaluate(drawing, images, by_glimpse=True)
    assert (measured.error, measured.error_by_glimpse) == (None, None)
    assert set(measured.as_dict()) == {"images", "mse", "kl"}
