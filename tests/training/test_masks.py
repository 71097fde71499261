"""Figure and ground: masks are compared as a loop over single pixels compares them."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import stawm
from stawm.errors import InputError
from stawm.models.model import Model
from stawm.training import data, evaluate
from stawm.training.data import ImageSet, figure_ground
from stawm.training.masks import CLUSTERS, LEVELS, NEARNESS, iou, mask_iou
from tests.training.data.test_figure_ground import flat_photographs, some_digits
from tests.training.test_grouping import naive_k_means, naive_rand

TINY = {"memory_size": 8, "hidden_size": 16, "glimpses": 2, "mean": [0.0], "std": [1.0], "class_names": []}


@pytest.fixture(scope="module")
def model() -> Model:
    return stawm.build("stawm-digits", canvas="bernoulli", heads="drawing", seed=0, **TINY).double()


@pytest.fixture(scope="module")
def sets() -> tuple[ImageSet, ImageSet]:
    """Figures to choose thresholds on, and figures to measure on."""
    photographs = torch.randint(0, 256, (5, 1, 16, 16), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    return tuple(
        ImageSet(pixels, torch.zeros(9, dtype=torch.long), ("x",), masks)
        for pixels, masks in (figure_ground.paste(some_digits(9, 7), photographs, (16, 16), seed) for seed in (0, 1))
    )


def naive_iou(found: np.ndarray, true: np.ndarray) -> float:
    both = either = 0
    for row, true_row in zip(found, true, strict=True):
        for f, t in zip(row, true_row, strict=True):
            both += bool(f and t)
            either += bool(f or t)
    return both / either if either else 1.0


def naive(scores: np.ndarray, true: np.ndarray) -> list[float]:
    """The mean over images for every cut: above each level, then below each."""
    cuts = [scores > level for level in LEVELS] + [scores <= level for level in LEVELS]
    return [float(np.mean([naive_iou(f, t) for f, t in zip(cut, true, strict=True)])) for cut in cuts]


def naive_clusters(image: torch.Tensor) -> np.ndarray:
    """The share of an image of 16x16 that each pixel's cluster covers."""
    places = itertools.product(range(16), range(16))
    points = [[float(image[0, y, x]), NEARNESS * y / 15, NEARNESS * x / 15] for y, x in places]
    groups = naive_k_means(points, CLUSTERS)
    return np.array([groups.count(group) / 256 for group in groups]).reshape(16, 16)


@given(st.integers(0, 2**12 - 1), st.integers(0, 2**12 - 1))
def test_iou_of_any_two_masks(a: int, b: int):
    found, true = (np.array([x >> i & 1 for i in range(12)], dtype=bool).reshape(3, 4) for x in (a, b))
    got = iou(torch.from_numpy(found), torch.from_numpy(true))
    assert got.item() == pytest.approx(naive_iou(found, true), rel=1e-6)


def test_every_figure_is_what_a_loop_over_pixels_gives(model: Model, sets: tuple[ImageSet, ImageSet]):
    train, test = sets
    found = mask_iou(model, test, train, batch=4)
    true = {name: s.masks[:, 0].numpy() for name, s in (("train", train), ("test", test))}
    scores: dict[str, dict[str, list[np.ndarray]]] = {"train": {}, "test": {}}
    often = true["train"].mean(axis=0, dtype=np.float32)
    for name, images in (("train", train), ("test", test)):
        pixels = images.images.float() / 255
        scores[name]["brightness"] = [pixels[:, 0].numpy()]
        scores[name]["constant"] = [np.stack([often / often.max()] * len(images))]
        scores[name]["clusters"] = [naive_clusters(image) for image in pixels]
        scores[name]["clusters"] = [np.stack(scores[name]["clusters"])]
        with torch.no_grad():
            masks = model.eval()(pixels.double()).masks
        scores[name]["learned"] = [masks[:, t, 0].numpy() for t in range(2)]
    expected = {}
    agreed: dict[str, float] = {}
    for way in ("brightness", "constant", "clusters", "learned"):
        expected[way] = []
        for fit, measured in zip(scores["train"][way], scores["test"][way], strict=True):
            best = int(np.argmax(naive(fit, true["train"])))
            expected[way].append(naive(measured, true["test"])[best])
            level, above = LEVELS[best % len(LEVELS)], best < len(LEVELS)
            cuts = [mask > level if above else mask <= level for mask in measured]
            pairs = zip(cuts, true["test"], strict=True)
            agreed[way] = float(np.mean([naive_rand([*cut.flat], [*right.flat]) for cut, right in pairs]))
    assert found.by_glimpse == pytest.approx(expected["learned"], rel=1e-6)
    assert found.learned == found.by_glimpse[-1]
    assert [found.constant] == pytest.approx(expected["constant"], rel=1e-6)
    assert [found.brightness] == pytest.approx(expected["brightness"], rel=1e-6)
    assert [found.clusters] == pytest.approx(expected["clusters"], rel=1e-6)
    assert found.ari == pytest.approx(agreed, rel=1e-6)


def test_thresholds_are_chosen_on_no_more_images_than_that(
    model: Model, sets: tuple[ImageSet, ImageSet], monkeypatch: pytest.MonkeyPatch
):
    train, test = sets
    expected = mask_iou(model, test, train.take(slice(0, 2)))
    monkeypatch.setattr("stawm.training.masks.FITTED", 2)
    assert mask_iou(model, test, train) == expected
    monkeypatch.setattr("stawm.training.masks.FITTED", 9)
    assert mask_iou(model, test, train) != expected


@pytest.mark.parametrize("ground", [10, 245])
def test_brightness_finds_figures_that_stand_out_by_it(model: Model, ground: int):
    """Light on dark or dark on light: the side of the threshold is chosen too."""
    images, masks = figure_ground.paste(some_digits(8, 7), flat_photographs([ground], 1, (16, 16)), (16, 16), 0)
    clear = ImageSet(images, torch.zeros(8, dtype=torch.long), ("x",), masks)
    measured = mask_iou(model, clear, clear)
    assert measured.brightness > 0.9
    assert measured.constant < 0.9


def test_a_model_is_left_in_its_mode(model: Model, sets: tuple[ImageSet, ImageSet]):
    model.train()
    mask_iou(model, *sets)
    assert model.training


def test_masks_are_a_part_of_the_evaluation(model: Model, sets: tuple[ImageSet, ImageSet]):
    train, test = sets
    measured = evaluate(model, test, fit=train)
    assert measured.masks == mask_iou(model, test, train)
    assert measured.as_dict()["masks"]["learned"] == measured.masks.learned
    assert f"mask IoU learned {measured.masks.learned:.1%}" in str(measured)
    assert evaluate(model, test).masks is None
    other = stawm.build("stawm-digits", heads="drawing", **TINY)
    assert evaluate(other, test, fit=train).masks is None


def test_what_has_no_masks_is_refused(model: Model, sets: tuple[ImageSet, ImageSet]):
    digits = data.load("digits").test
    with pytest.raises(InputError, match=r"not known where the figure is.*figure-ground:ROOT,PATH"):
        mask_iou(model, digits, digits)
    with pytest.raises(InputError, match="draws no masks: it needs canvas=bernoulli"):
        mask_iou(stawm.build("stawm-digits", **TINY), *sets)


@pytest.mark.gpu
def test_what_is_fitted_and_what_is_measured_may_be_on_different_devices(model: Model, sets: tuple[ImageSet, ImageSet]):
    train, test = sets
    expected = mask_iou(model, test, train)
    found = mask_iou(model.to("cuda"), test.to("cuda"), train)
    model.to("cpu")
    assert (found.constant, found.brightness) == pytest.approx((expected.constant, expected.brightness))
