"""MNIST and its kin: read wherever and however the files lie, and never mixed up."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torchvision import datasets

from stawm.errors import InputError
from stawm.training import data
from tests.training.files import make_idx

COUNTS = {"train": 5, "t10k": 3}
FOLDERS = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}


def pixels(part: str) -> np.ndarray:
    return np.random.default_rng(len(part)).integers(0, 256, (COUNTS[part], 28, 28))


def write(raw: Path, name: Callable[[str], str] = str, *, packed: bool = False, prefix: str = "") -> None:
    """Write a small set, each file under a name that is made of its own."""
    for part, count in COUNTS.items():
        stem = f"{prefix}{part}" if not prefix else f"{prefix}{part.replace('t10k', 'test')}"
        first = 1 if "letters" in prefix else 0
        for what, array in (("images-idx3", pixels(part)), ("labels-idx1", np.arange(count) + first)):
            path = raw / name(f"{stem}-{what}-ubyte")
            make_idx(path, array)
            if packed:
                path.write_bytes(gzip.compress(path.read_bytes()))


def assert_read(source: str, *, transposed: bool = False) -> None:
    for found, part in zip(data.load(source), COUNTS, strict=True):
        expected = pixels(part).swapaxes(1, 2) if transposed else pixels(part)
        assert np.array_equal(found.images.numpy()[:, 0], expected)
        assert found.labels.tolist() == list(range(COUNTS[part]))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", [str, lambda s: s.replace("-idx", ".idx"), lambda s: f"{s}/{s}"])
@pytest.mark.parametrize("place", ["MNIST/raw", "MNIST", "raw", "."])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_mnist_is_found_as_people_have_it(tmp_path: Path, place: str, name: Any, packed: bool, ending: str) -> None:
    if "/" in name("a") and ending:
        ending = ""  # an archive is packed as a file
    write(tmp_path / place, lambda s: name(s) + ending, packed=packed)
    assert_read(f"mnist:{tmp_path}")


@pytest.mark.parametrize("source", FOLDERS)
def test_the_folder_of_the_set_and_the_one_inside_will_do(tmp_path: Path, source: str) -> None:
    whole = tmp_path / FOLDERS[source]
    write(whole / "raw")
    for root in (tmp_path, whole, whole / "raw"):
        assert_read(f"{source}:{root}")
    others = {"mnist", "fashion-mnist"} - {source}
    for root in (tmp_path, whole, whole / "raw"):
        with pytest.raises(InputError, match="is not found under"):
            data.load(f"{others.copy().pop()}:{root}")


def test_the_names_of_the_classes_are_those_of_the_sets(tmp_path: Path) -> None:
    write(tmp_path)
    names = {name: data.load(f"{name}:{tmp_path}").train.class_names for name in FOLDERS}
    assert names["mnist"] == tuple("0123456789")
    assert names["fashion-mnist"][:3] == ("T-shirt/top", "Trouser", "Pullover")
    assert len(names["fashion-mnist"]) == 10


@pytest.mark.parametrize(
    ("source", "split", "classes"),
    [
        ("emnist", "balanced", 47),
        ("emnist-balanced", "balanced", 47),
        ("emnist-letters", "letters", 26),
        ("emnist-digits", "digits", 10),
        ("emnist-byclass", "byclass", 62),
    ],
)
@pytest.mark.parametrize("place", ["EMNIST/raw", "gzip"])
def test_emnist_is_read_upright(tmp_path: Path, source: str, split: str, classes: int, place: str) -> None:
    write(tmp_path / place, packed=place == "gzip", prefix=f"emnist-{split}-")
    assert_read(f"{source}:{tmp_path}", transposed=True)
    names = data.load(f"{source}:{tmp_path}").train.class_names
    assert len(names) == classes
    assert names[0] == ("a" if split == "letters" else "0")


def test_emnist_lies_as_torchvision_has_it(tmp_path: Path) -> None:
    write(tmp_path / "EMNIST" / "raw", prefix="emnist-balanced-")
    theirs = datasets.EMNIST(str(tmp_path), split="balanced", train=True)
    assert np.array_equal(theirs.data, pixels("train")), "torchvision leaves them as they are stored"
    assert tuple(theirs.classes) == data.load(f"emnist:{tmp_path}").train.class_names


@pytest.mark.parametrize("missing", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_what_was_looked_for_and_what_is_there_is_said(tmp_path: Path, missing: str) -> None:
    write(tmp_path / "MNIST" / "raw")
    (tmp_path / "MNIST" / "raw" / missing).rename(tmp_path / "MNIST" / "raw" / "mine.bin")
    with pytest.raises(InputError) as caught:
        data.load(f"mnist:{tmp_path}")
    for word in (missing, str(tmp_path / "MNIST" / "raw"), "mine.bin", "--download", "download=True"):
        assert word in str(caught.value)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def lengthened(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"0")


def torn_pack(path: Path) -> None:
    path.write_bytes(gzip.compress(path.read_bytes())[:-9])


def wrong_type(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"\0\0\x08", b"\0\0\x0d", 1))


def boastful(path: Path) -> None:
    head = path.read_bytes()[:4]
    path.write_bytes(head + b"\xff" * 4 * head[3])


@pytest.mark.parametrize("damaged", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
@pytest.mark.parametrize("damage", [cut, lengthened, torn_pack, wrong_type, boastful, Path.touch])
def test_a_damaged_file_is_named(tmp_path: Path, damaged: str, damage: Callable[[Path], None]) -> None:
    raw = tmp_path / "MNIST" / "raw"
    write(raw)
    if damage is Path.touch:
        (raw / damaged).write_bytes(b"")
    damage(raw / damaged)
    with pytest.raises(InputError, match=f"{damaged} is damaged: remove it.*--download"):
        data.load(f"mnist:{tmp_path}")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("of", "put"), [("train-labels-idx1", "t10k-labels-idx1"), ("t10k-images-idx3", "train-images-idx3")]
)
def test_images_and_labels_of_different_number_are_refused_by_name(
    tmp_path: Path, of: str, put: str, packed: bool
) -> None:
    write(tmp_path, packed=packed)
    (tmp_path / f"{of}-ubyte").write_bytes((tmp_path / f"{put}-ubyte").read_bytes())
    with pytest.raises(InputError, match=r"images-idx3-ubyte holds \d images, .*labels-idx1-ubyte \d labels"):
        data.load(f"mnist:{tmp_path}")


def test_labels_of_another_set_are_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path)
    make_idx(tmp_path / "train-labels-idx1-ubyte", np.array([0, 1, 2, 10, 3]))
    with pytest.raises(InputError, match=r"train-labels-idx1-ubyte holds labels from 0 to 10; of this set .* 0 to 9"):
        data.load(f"mnist:{tmp_path}")


def test_a_set_without_images_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    make_idx(tmp_path / "train-images-idx3-ubyte", np.zeros((0, 28, 28)))
    make_idx(tmp_path / "train-labels-idx1-ubyte", np.zeros(0))
    with pytest.raises(InputError, match="labels for no image"):
        data.load(f"mnist:{tmp_path}")


@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST", "EMNIST", "CIFAR10", "CelebA"])
def test_what_cannot_be_fetched_is_said_in_one_sentence(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(self: Any) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(getattr(datasets, name), "download", offline)
    source = {"MNIST": "mnist", "FashionMNIST": "fashion-mnist", "EMNIST": "emnist", "CIFAR10": "cifar10"}
    with pytest.raises(InputError, match=rf"{name}.* cannot be fetched to .*: Name or service not known\."):
        data.load(f"{source.get(name, 'celeba')}:{tmp_path}", download=True)
