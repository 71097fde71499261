"""Evaluation measures what it says, whatever the batches."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

import stawm
from stawm.errors import InputError
from stawm.models.model import Model
from stawm.training import data, evaluate
from stawm.training.data import ImageSet
from stawm.training.evaluation import BINS, Bin, Evaluation, _answers, _bins, wilson

SMALL = {"memory_size": 8, "hidden_size": 16, "glimpses": 3}


@pytest.fixture(scope="module")
def images() -> ImageSet:
    return data.load("digits").test.take(slice(0, 40))


@pytest.fixture(scope="module")
def model() -> Model:
    heads = ["classification", {"name": "drawing", "latent": 3}]
    return stawm.build("stawm-digits", heads=heads, seed=0, mean=[0.0], std=[1.0], **SMALL).double()


def test_every_figure_is_what_a_loop_over_single_images_gives(model: Model, images: ImageSet):
    found = evaluate(model, images, batch=7, by_glimpse=True, by_class=True)
    wrong, by_glimpse, mse, kl, nll = 0, [0, 0, 0], 0.0, 0.0, 0.0
    confusion = [[0] * 10 for _ in range(10)]
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(15)]
    model.eval()
    with torch.no_grad():
        for image, label in zip(images.images, images.labels, strict=True):
            pixels = (image.float() / 255).double()[None]
            out = model(pixels, glimpse_logits=True)
            chances = np.exp(out.logits[0].numpy())
            answer = int(np.argmax(chances))
            wrong += answer != int(label)
            nll -= math.log(chances[int(label)])
            confusion[int(label)][answer] += 1
            for k in range(15):
                if k / 15 < chances[answer] <= (k + 1) / 15:
                    bins[k].append((chances[answer], answer == int(label)))
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
    assert found.nll == pytest.approx(nll / n, rel=1e-12)
    assert found.confusion == tuple(map(tuple, confusion))
    assert sum(map(sum, confusion)) - sum(confusion[k][k] for k in range(10)) == wrong
    gap = 0.0
    assert found.calibration is not None
    for k, (answers, measured) in enumerate(zip(bins, found.calibration, strict=True)):
        assert measured.count == len(answers)
        sure, right = ((k + 0.5) / 15, 0.0) if not answers else np.mean(answers, axis=0)
        assert (measured.confidence, measured.accuracy) == pytest.approx((sure, right), rel=1e-12)
        gap += len(answers) / n * abs(sure - right)
    assert found.calibration_error == pytest.approx(gap, rel=1e-12)


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
    plain = stawm.build("mnv2-cifar", image=[1, 16, 16], backbone="conv", mean=[0.0], std=[1.0], class_names=[])
    assert evaluate(plain, images, by_glimpse=True).error_by_glimpse is None
    drawing = stawm.build("stawm-digits", heads="drawing", class_names=[], mean=[0.0], std=[1.0], **SMALL)
    measured = evaluate(drawing, images, by_glimpse=True)
    assert (measured.error, measured.error_by_glimpse) == (None, None)
    assert set(measured.as_dict()) == {"images", "mse", "kl"}


@given(st.lists(st.tuples(st.integers(0, 15), st.booleans()), min_size=1, max_size=40))
def test_a_confidence_on_an_edge_belongs_to_the_bin_below(answers: list[tuple[int, bool]]):
    """Every answer is in one bin, also one that is sure or that is as unsure as can be."""
    chances = torch.tensor([k / BINS for k, _ in answers], dtype=torch.float64)
    logits = torch.stack([chances, chances - 1], dim=1).log()
    bins = _bins(
        _answers(logits.nan_to_num(nan=-800.0, neginf=-700.0), torch.tensor([1 - r for _, r in answers]))["bins"]
    )
    assert sum(b.count for b in bins) == len(answers)
    assert sum(b.count * b.accuracy for b in bins) == pytest.approx(sum(r for _, r in answers))
    for k, b in enumerate(bins):
        assert k / BINS - 1e-12 <= b.confidence <= (k + 1) / BINS + 1e-12


def test_what_was_measured_is_json_and_text(model: Model, images: ImageSet):
    measured = evaluate(model, images, by_glimpse=True, by_class=True)
    said = json.loads(json.dumps(measured.as_dict()))
    assert (
        said["calibration"][3] == {"confidence": pytest.approx(3.5 / 15), "accuracy": 0.0, "count": 0}
        or said["calibration"][3]["count"]
    )
    assert said["confusion"] == [list(row) for row in measured.confusion or ()]
    assert said["class_names"] == list("0123456789")
    assert f"error {measured.error:.2%}" in str(measured)
    assert "taken for" in str(measured)
    assert "masks" not in said


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_an_evaluation_is_strict_json_whatever_it_holds(wrong: float):
    found = Evaluation(images=2, nll=wrong, interval=(0.0, wrong), calibration=(Bin(wrong, 0.5, 2),), error=0.0)
    said = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert said == {
        "images": 2,
        "error": 0.0,
        "nll": None,
        "interval": [0.0, None],
        "calibration": [{"confidence": None, "accuracy": 0.5, "count": 2}],
    }


def test_only_what_was_asked_for_is_kept(model: Model, images: ImageSet):
    measured = evaluate(model, images)
    assert (measured.confusion, measured.calibration, measured.class_names) == (None, None, None)
    assert measured.calibration_error is not None


def test_mistakes_are_told_by_how_often_they_happen():
    names = ("cat", "dog", "bird")
    told = str(Evaluation(images=9, confusion=((3, 2, 0), (5, 1, 0), (0, 0, 4)), class_names=names))
    assert "most often dog taken for cat (5), cat taken for dog (2)" in told
    assert "most often no mistake" in str(Evaluation(images=1, confusion=((1, 0), (0, 0)), class_names=names[:2]))


def test_only_the_most_frequent_mistakes_are_told():
    confusion = tuple(tuple(7 * t + a if t != a else 100 for a in range(4)) for t in range(4))
    told = str(Evaluation(images=9, confusion=confusion, class_names=tuple("abcd")))
    pairs = [
        "d taken for c (23)",
        "d taken for b (22)",
        "d taken for a (21)",
        "c taken for d (17)",
        "c taken for b (15)",
    ]
    assert told.endswith(f"most often {', '.join(pairs)}")


def test_classes_of_the_same_names_have_the_models_numbers(model: Model, images: ImageSet):
    order = torch.tensor([3, 1, 4, 0, 5, 9, 2, 6, 8, 7])
    names = tuple(f"{n} - digit {n}" for n in order.tolist())
    mixed = replace(images, labels=order.argsort()[images.labels], class_names=names)
    assert not torch.equal(mixed.labels, images.labels)
    assert evaluate(model, mixed, by_class=True) == evaluate(model, images, by_class=True)


def test_a_class_that_the_images_lack_is_not_confused(model: Model, images: ImageSet):
    some = images.take((images.labels == 3) | (images.labels == 7))
    named = replace(some, labels=(some.labels == 7).long(), class_names=("3", "7"))
    found = evaluate(model, named, by_class=True)
    assert found == evaluate(model, some, by_class=True)
    assert {t for t, row in enumerate(found.confusion or ()) if any(row)} == {3, 7}


def test_images_of_other_classes_are_refused(model: Model, images: ImageSet):
    other = replace(images, class_names=("0", "apple", *"23456789"))
    with pytest.raises(InputError, match=r"\(0, apple, 2.*\), .*\(0, 1, 2.*\).*none of the model's: apple\. Call"):
        evaluate(model, other)


def test_without_names_numbers_are_compared_and_that_is_said(images: ImageSet):
    named = stawm.build("stawm-digits", seed=0, **SMALL)
    nameless = stawm.build("stawm-digits", seed=0, class_names=[], **SMALL)
    expected = evaluate(named, images, by_class=True)
    assert expected.notes == ()
    found = evaluate(nameless, images, by_class=True)
    assert found.notes == ("classes are compared by their numbers: the model has no names for them",)
    assert replace(found, notes=()) == expected
    assert found.notes[0] in str(found)
    assert json.loads(json.dumps(found.as_dict()))["notes"] == list(found.notes)
    assert evaluate(named, replace(images, class_names=())).error == expected.error


BROKEN = {
    "a weight": lambda model: next(model.parameters()).data.fill_(torch.nan),
    "a bias": lambda model: model.heads["classification"].classifier.linear.bias.data.view(-1)[2].fill_(torch.inf),
    "a class": lambda model: model.heads["classification"].classifier.linear.bias.data[2].fill_(-torch.inf),
}


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("heads", ["classification", ["classification", {"name": "drawing", "latent": 3}]])
def test_a_model_without_finite_answers_has_no_error(images: ImageSet, broken: str, heads: Any):
    model: Any = stawm.build("stawm-digits", heads=heads, seed=0, mean=[0.0], std=[1.0], **SMALL)
    BROKEN[broken](model)
    found = evaluate(model, images, by_glimpse=True, by_class=True)
    assert found.unanswered == 40
    assert all(
        getattr(found, key) is None
        for key in ("error", "interval", "nll", "confusion", "calibration", "error_by_glimpse")
    )
    assert (found.mse is None) is (broken == "a weight" or heads == "classification")
    said = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert said["notes"][0] == "error not measured: what the model gives is not finite for 40 of 40 images"
    assert said["notes"][0] in str(found)


def test_a_single_image_without_an_answer_is_counted(images: ImageSet):
    model: Any = stawm.build("stawm-digits", seed=0, **SMALL)
    forward, seen = model.forward, iter([0, 0, 1, 0])

    def once(batch: torch.Tensor, **options: Any) -> Any:
        output = forward(batch, **options)
        if next(seen):
            output.logits[4] = torch.nan
        return output

    model.forward = once
    found = evaluate(model, images, batch=10)
    assert (found.unanswered, found.error) == (1, None)
    assert found.notes[0].endswith("for 1 of 40 images")


def test_a_divergence_that_is_not_finite_is_no_measure(images: ImageSet):
    model: Any = stawm.build("stawm-digits", heads="drawing", class_names=[], mean=[0.0], std=[1.0], seed=0, **SMALL)
    model.heads["drawing"].sketcher.logvar.bias.data.fill_(1000.0)
    found = evaluate(model, images)
    assert (found.unanswered, found.kl) == (40, None)
    assert found.mse is not None, "the mean of the latent is drawn"
    assert found.notes == ("kl not measured: what the model gives is not finite for 40 of 40 images",)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (
            lambda s: {"labels": torch.where(s.labels == 3, 10, s.labels)},
            r"in \[0, 9\], as there are 10 classes; .* is 10",
        ),
        (
            lambda s: {"labels": torch.where(s.labels == 3, -100, s.labels)},
            r"of 40 are not, the first is -100, of image",
        ),
        (lambda s: {"labels": s.labels.float()}, r"class numbers, .*got float32.*labels\.long"),
        (lambda s: {"labels": s.labels > 3}, "class numbers, .*got bool"),
        (lambda s: {"labels": torch.eye(10).long()[s.labels]}, r"got int64 of shape \(40, 10\).*labels\.argmax"),
        (lambda s: {"images": (s.images / 255).index_fill(0, torch.tensor([3]), torch.nan)}, "Image 3 of .*NaN"),
        (lambda s: {"images": s.images / 127.5 - 1}, r"in \[0, 1\]; got values from -1 to 1"),
    ],
)
def test_images_that_are_wrong_in_themselves(model: Model, images: ImageSet, part: Any, words: str):
    with pytest.raises(InputError, match=words):
        evaluate(model, replace(images, **part(images)))


def test_a_bin_is_plain_json():
    assert Evaluation(images=1, calibration=(Bin(0.5, 1.0, 1),)).as_dict()["calibration"] == (
        {"confidence": 0.5, "accuracy": 1.0, "count": 1},
    )


def test_pixels_may_be_bytes_or_floats(images: ImageSet):
    model = stawm.build("stawm-digits", seed=0, **SMALL)
    as_floats = replace(images, images=images.images[:].float() / 255)
    assert evaluate(model, as_floats) == evaluate(model, images)
    with pytest.raises(InputError, match=r"in \[0, 1\]; got values from 0 to 255"):
        evaluate(model, replace(images, images=images.images[:].float()))
