"""PyTorch's data sets are taken as they are, or refused with what to do."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    random_split,
)
from torchvision import transforms
from torchvision.datasets import FakeData

import stawm
from stawm.errors import InputError
from stawm.training import data, evaluate, train
from stawm.training.data import ImageSet, Splits, as_image_set, as_splits
from tests.training.tiny import TINY

COUNT = 12
PIXELS = (torch.arange(COUNT * 3 * 16 * 16).view(COUNT, 3, 16, 16) % 251).to(torch.uint8)
LABELS = torch.arange(COUNT) % 3
SHORT: dict[str, Any] = {"recipe.epochs": 1, "quiet": True, "cpu": True, "pictures": 0}


class Own(Dataset[Any]):
    """A data set as people write it."""

    def __init__(
        self, image: Callable[[torch.Tensor], Any], target: Callable[[int], Any] = int, names: Any = None
    ) -> None:
        self.image, self.target = image, target
        if names is not None:
            self.classes = names

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.image(PIXELS[index]), self.target(int(LABELS[index]))


def as_picture(pixels: torch.Tensor) -> Image.Image:
    return Image.fromarray(pixels.permute(1, 2, 0).numpy())


NAMES = ["a", "b", "c"]
OWN = Own(as_picture, names=NAMES)


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter([(PIXELS[0], 0)])


FORMS = {
    "pictures": OWN,
    "bytes": Own(lambda p: p, names=NAMES),
    "ToTensor": Own(lambda p: transforms.ToTensor()(as_picture(p)), names=NAMES),
    "doubles": Own(lambda p: p.double() / 255, names=tuple(NAMES)),
    "targets as tensors": Own(as_picture, torch.tensor, NAMES),
    "targets as NumPy has them": Own(as_picture, np.int64, NAMES),
    "targets in rows of one": Own(as_picture, lambda t: np.array([t]), NAMES),
    "a subset of a subset": Subset(Subset(OWN, range(COUNT)), range(COUNT)),
    "a loader": DataLoader(OWN, batch_size=5),
    "a loader without batches": DataLoader(OWN, batch_size=None),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_images(form: str):
    found = as_image_set(FORMS[form])
    expected = PIXELS if found.images[:1].dtype == torch.uint8 else PIXELS.float() / 255
    assert torch.allclose(found.images[:], expected, rtol=0, atol=torch.finfo(torch.float32).eps)
    assert (found.labels.tolist(), found.class_names) == (LABELS.tolist(), tuple(NAMES))
    assert found.labels.dtype == torch.int64


def test_grey_images_get_their_channel():
    for image in (lambda p: as_picture(p).convert("L"), lambda p: p[0], lambda p: as_picture(p).convert("1")):
        assert as_image_set(Own(image)).shape == (1, 16, 16)


def test_pictures_stand_upright():
    def turned(pixels: torch.Tensor) -> Image.Image:
        image = as_picture(pixels)
        image.getexif()[274] = 6
        return image

    assert torch.equal(as_image_set(Own(turned)).images[:], PIXELS.rot90(-1, dims=(2, 3)))


def test_other_targets_than_classes():
    rows = as_image_set(Own(as_picture, lambda t: [0.5 * t, 1.0]))
    assert torch.equal(rows.labels, torch.stack([0.5 * LABELS, torch.ones(COUNT)], dim=1))
    assert as_image_set(Own(as_picture, float)).labels.shape == (COUNT, 1)
    assert (
        as_image_set(Own(as_picture, lambda t: torch.eye(3).long()[t])).labels.tolist() == torch.eye(3)[LABELS].tolist()
    )


def test_sets_that_have_no_names():
    assert as_image_set(TensorDataset(PIXELS, LABELS)).class_names == ()
    assert as_image_set(ConcatDataset([OWN, OWN])).class_names == ()
    assert as_image_set(Own(as_picture, names=3)).class_names == ()
    fake = as_image_set(FakeData(6, (3, 16, 16), 3))
    assert (fake.shape, len(fake), fake.class_names) == ((3, 16, 16), 6, ())


def test_a_set_of_images_is_itself():
    whole = ImageSet(PIXELS, LABELS)
    assert as_image_set(whole) is whole


def test_shuffling_is_left_away_and_that_is_said():
    with pytest.warns(UserWarning, match="shuffling of the DataLoader of the dataset is not used"):
        found = as_image_set(DataLoader(OWN, shuffle=True))
    assert found.labels.tolist() == LABELS.tolist()


def different(pixels: torch.Tensor) -> Image.Image:
    image = as_picture(pixels)
    return image.resize((8, 8)) if torch.equal(pixels, PIXELS[4]) else image


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        (Stream(), "an IterableDataset, which has neither length nor order"),
        (DataLoader(Stream()), "an IterableDataset"),
        (
            DataLoader(OWN, sampler=SubsetRandomSampler([1, 2])),
            r"draws by a SubsetRandomSampler: give .*Subset\(dataset",
        ),
        (DataLoader(OWN, sampler=WeightedRandomSampler([1.0] * COUNT, 4)), "draws by a WeightedRandomSampler"),
        (
            Own(lambda p: p.float() / 127.5 - 1),
            r"item 0 of .*in \[0, 1\]; got values from -1 .*Leave transforms that norm",
        ),
        (Own(lambda p: p.float()), r"in \[0, 1\]; got values from 0 to 250"),
        (Own(lambda p: p.int()), r"bytes \(uint8\).*got int32"),
        (Own(lambda p: p.float() * torch.nan), "got values from nan"),
        (Own(different), r"item 0 is uint8 of shape \(3, 16, 16\), item 4 is uint8 of shape \(3, 8, 8\).*Resize"),
        (Own(lambda p: as_picture(p).convert("RGBA")), "mode RGBA, which can be read in several ways: convert"),
        (Own(lambda p: as_picture(p).convert("P")), "mode P"),
        (Own(lambda p: p.numpy()), "must be a picture .* or a tensor .*got ndarray"),
        (Own(as_picture, str), "target of item 0 of .* is str|class number, or a row of numbers"),
        (Own(as_picture, lambda t: {"box": t}), "class number, or a row of numbers; that of item 0 .* is dict"),
        (Own(as_picture, lambda t: ["a"]), r"target of item 0 of the dataset is no number: \['a'\]"),
        (Own(as_picture, lambda t: [0.0] * (1 + t)), r"targets of .* differ: item 0 has .*\(1,\), item 1 .*\(2,\)"),
        (TensorDataset(PIXELS), "must be a pair .*; item 0 is a tuple"),
        (Subset(OWN, []), "holds no images"),
        (PIXELS, "must be an ImageSet, or a torch Dataset or DataLoader"),
        (3, "must be an ImageSet, .*got int"),
        (None, "got NoneType"),
    ],
)
def test_what_cannot_be_taken(dataset: Any, words: str, unchecked: None):
    with pytest.raises(InputError, match=words):
        as_image_set(dataset)


TRAIN, TEST = random_split(OWN, [8, 4], torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "given",
    [
        (TRAIN, TEST),
        [DataLoader(TRAIN), DataLoader(TEST, batch_size=3)],
        {"train": TRAIN, "test": TEST},
        {"val": TEST, "train": DataLoader(TRAIN)},
        Splits(as_image_set(TRAIN), as_image_set(TEST)),
    ],
)
def test_every_form_of_two_parts(given: Any):
    found = as_splits(given)
    for part, expected in zip(found, (TRAIN, TEST), strict=True):
        assert part.fingerprint() == as_image_set(expected).fingerprint()


def test_of_one_set_a_fifth_is_held_out_and_that_is_said(caplog: pytest.LogCaptureFixture):
    for given in (OWN, DataLoader(OWN), as_image_set(OWN)):
        found, other = as_splits(given, 1), as_splits(given, 2)
        assert (len(found.train), len(found.test)) == (9, 3)
        assert "no test part: 3 of its 12 images, drawn at random by seed 1," in caplog.records[-2].message
        assert found.test.fingerprint() == as_splits(OWN, 1).test.fingerprint() != other.test.fingerprint()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"train": OWN}, "'train' and 'test'; got 'train'"),
        ({"train": OWN, "test": OWN, "more": OWN}, "got 'train', 'test', 'more'"),
        ({}, "got nothing"),
        ((OWN,), "got 1 things"),
        ((OWN, None), "the test set must be an ImageSet"),
        (Subset(OWN, [0]), "holds 1 images, too few"),
    ],
)
def test_what_are_no_parts(given: Any, words: str, unchecked: None):
    with pytest.raises(InputError, match=words):
        as_splits(given)


def test_a_model_is_trained_and_measured_on_them(tmp_path: Any):
    found = train("stawm-digits", data={"train": TRAIN, "test": DataLoader(TEST)}, out=tmp_path / "a", **TINY, **SHORT)
    assert (found.model.config.class_names, found.model.config.image) == (("a", "b", "c"), (3, 16, 16))
    same = train(
        "stawm-digits", data=Splits(as_image_set(TRAIN), as_image_set(TEST)), out=tmp_path / "b", **TINY, **SHORT
    )
    assert same.evaluation == found.evaluation
    measured = evaluate(found.model, DataLoader(TEST), by_glimpse=True)
    assert measured == found.evaluation
    with pytest.raises(InputError, match="none of the model's: a, b, c"):
        evaluate(stawm.build("stawm-digits", image=(3, 16, 16), **TINY), TEST)


def test_they_are_public():
    assert {"as_image_set", "as_splits"} <= set(data.__all__)
