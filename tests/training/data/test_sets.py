"""A set is checked against itself, and known by what decides a run."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stawm.errors import InputError
from stawm.training import data
from stawm.training.data import ImageSet

IMAGES = torch.arange(6 * 3 * 4 * 5, dtype=torch.float32).view(6, 3, 4, 5).remainder(256).to(torch.uint8)
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])
NAMES = ("a", "b", "c")
MASKS = IMAGES[:, :1] > 100
WHOLE: dict[str, Any] = {"images": IMAGES, "labels": LABELS, "class_names": NAMES, "masks": MASKS}


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"labels": LABELS[:5]}, "as many labels as images; got 5 labels for 6 images"),
        ({"labels": torch.cat([LABELS, LABELS])}, "got 12 labels for 6 images"),
        ({"labels": [0, 1, 2, 0, 1, 2]}, "labels of a set must be a tensor.*got list, turn it into a tensor"),
        ({"labels": np.arange(6)}, "got ndarray, turn it into a tensor"),
        ({"labels": torch.tensor(3)}, r"got int64 of shape \(\)"),
        ({"labels": LABELS.view(6, 1, 1)}, r"got int64 of shape \(6, 1, 1\)"),
        ({"images": IMAGES[:, 0]}, r"\(count, channels, height, width\).*got uint8 of shape \(6, 4, 5\)"),
        ({"images": IMAGES.long()}, "of bytes.*or of floats.*got int64"),
        ({"images": IMAGES > 3}, "got bool"),
        ({"images": IMAGES.numpy()}, "got ndarray"),
        ({"class_names": ("a", "b", "a")}, "a name of its own; got more than once: a"),
        ({"class_names": "abc"}, "tuple of strings; got 'abc'"),
        ({"class_names": (1, 2, 3)}, "tuple of strings"),
        ({"masks": MASKS[:5]}, r"booleans of shape \(6, 1, 4, 5\); got bool of shape \(5, 1, 4, 5\)"),
        ({"masks": MASKS.float()}, "booleans of shape.*got float32"),
        ({"masks": MASKS[..., :3]}, r"got bool of shape \(6, 1, 4, 3\)"),
    ],
)
def test_parts_that_do_not_belong_together(part: dict[str, Any], words: str, unchecked: None):
    with pytest.raises(InputError, match=words):
        ImageSet(**{**WHOLE, **part})


def test_what_a_set_may_hold():
    assert ImageSet(IMAGES, LABELS, ["a", "b", "c"]).class_names == NAMES
    assert ImageSet(IMAGES, LABELS).class_names == ()
    for targets in (torch.rand(6, 2), torch.ones(6, 4, dtype=torch.bool)):
        held = ImageSet(IMAGES, targets).take([4, 1])
        assert torch.equal(held.labels, targets[[4, 1]])


def test_images_are_taken_by_number_by_slice_or_by_a_boolean_each():
    whole = ImageSet(**WHOLE)
    expected = whole.take([1, 4])
    for index in (torch.tensor([1, 4]), slice(1, 5, 3), LABELS == 1, (LABELS == 1).tolist()):
        found = whole.take(index)
        assert torch.equal(found.images, expected.images)
        assert found.labels.tolist() == [1, 1]
    assert len(whole.take([])) == 0


OTHERS = {
    "a pixel": {"images": IMAGES.clone().index_fill_(0, torch.tensor([3]), 7)},
    "the type": {"images": IMAGES.float() / 255},
    "the shape": {"images": IMAGES.view(6, 3, 5, 4), "masks": MASKS.view(6, 1, 5, 4)},
    "a label": {"labels": torch.tensor([0, 1, 2, 0, 1, 1])},
    "the kind of labels": {"labels": LABELS.double()},
    "the form of labels": {"labels": LABELS.view(6, 1)},
    "the names": {"class_names": ("a", "c", "b")},
    "no names": {"class_names": ()},
    "a mask": {"masks": ~MASKS},
    "no masks": {"masks": None},
    "the order": {"images": IMAGES.flip(0), "labels": LABELS.flip(0), "masks": MASKS.flip(0)},
    "the count": {"images": IMAGES[:5], "labels": LABELS[:5], "masks": MASKS[:5]},
    "nothing": {"images": IMAGES[:0], "labels": LABELS[:0], "masks": MASKS[:0]},
}


def test_whatever_decides_a_run_changes_the_fingerprint():
    found = {name: ImageSet(**{**WHOLE, **part}).fingerprint() for name, part in OTHERS.items()}
    found["as it is"] = ImageSet(**WHOLE).fingerprint()
    assert len(set(found.values())) == len(found)
    assert all(len(hash_) == 64 for hash_ in found.values())


def test_what_decides_nothing_leaves_the_fingerprint():
    whole = ImageSet(**WHOLE)
    gaps = torch.zeros(6, 3, 4, 10, dtype=torch.uint8)[..., ::2].copy_(IMAGES)
    for same in (
        {"labels": LABELS.int()},
        {"images": gaps},
        {"images": IMAGES.contiguous(memory_format=torch.channels_last)},
        {"source": "digits"},
    ):
        assert replace(whole, **same).fingerprint() == whole.fingerprint()


def test_the_fingerprint_is_the_same_on_every_machine():
    assert ImageSet(**WHOLE).fingerprint().startswith("92d61093d13da70e")


@given(st.integers(1, 5000))
def test_the_fingerprint_does_not_depend_on_how_it_is_counted(count: int):
    pixels = torch.arange(count, dtype=torch.int64).remainder(251).to(torch.uint8).view(-1, 1, 1, 1)
    whole = ImageSet(pixels, torch.zeros(count, dtype=torch.long))
    assert whole.fingerprint() == whole.take(torch.arange(count)).fingerprint()
    last = whole.images.clone()
    last[-1] += 1
    assert replace(whole, images=last).fingerprint() != whole.fingerprint()


def test_images_on_disk_have_the_fingerprint_of_those_in_memory(tmp_path: Path):
    for index in range(12):
        folder = tmp_path / "ab"[index % 2]
        folder.mkdir(exist_ok=True)
        Image.fromarray(np.full((4, 4, 3), 20 * index, dtype=np.uint8)).save(folder / f"{index:02}.png")
    held, streamed = (data.load(f"folder:{tmp_path}", memory=memory).train for memory in (10**9, 0))
    assert isinstance(streamed.images, data.folders.Files)
    assert held.fingerprint() == streamed.fingerprint()
    (Path(streamed.images.paths[3])).write_bytes(Path(streamed.images.paths[4]).read_bytes())
    assert held.fingerprint() != streamed.fingerprint()
