"""Data sets: what is read is what lies there, and what is wrong is named with its cure."""

import struct
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from stawm.errors import InputError
from stawm.training import data
from stawm.training.data import ImageSet


def make_folder(root: Path, classes: dict[str, int], size: tuple[int, int] = (6, 5)) -> dict[Path, np.ndarray]:
    """Write random colour images, and return their pixels by path."""
    rng, written = np.random.default_rng(0), {}
    for name, count in classes.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i}.png")
            written[root / name / f"{i}.png"] = pixels
    return written


def make_idx(path: Path, array: np.ndarray) -> None:
    """Write an array of bytes in MNIST's own form."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def rows(images: Tensor) -> list[tuple[int, ...]]:
    return sorted(tuple(image.flatten().tolist()) for image in images)


def test_digits_are_split_without_loss_or_overlap():
    first, second = data.load("digits", seed=0), data.load("digits", seed=1)
    assert (len(first.train), len(first.test)) == (1437, 360)
    assert first.train.shape == (1, 16, 16)
    everything = [rows(torch.cat([s.train.images, s.test.images])) for s in (first, second)]
    assert everything[0] == everything[1]
    assert rows(first.test.images) != rows(second.test.images)
    assert torch.equal(first.test.images, data.load("digits", seed=0).test.images)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_mnist_is_read_from_its_own_files(tmp_path: Path, name: str):
    raw = tmp_path / {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}[name] / "raw"
    rng = np.random.default_rng(0)
    images = {part: rng.integers(0, 256, (n, 28, 28)) for part, n in (("train", 5), ("t10k", 3))}
    for part, pixels in images.items():
        make_idx(raw / f"{part}-images-idx3-ubyte", pixels)
        make_idx(raw / f"{part}-labels-idx1-ubyte", np.arange(len(pixels)))
    train, test = data.load(f"{name}:{tmp_path}")
    assert np.array_equal(train.images.numpy()[:, 0], images["train"])
    assert np.array_equal(test.images.numpy()[:, 0], images["t10k"])
    assert test.labels.tolist() == [0, 1, 2]
    assert len(train.class_names) == 10


def test_a_folder_is_read_pixel_by_pixel(tmp_path: Path):
    written = make_folder(tmp_path / "train", {"cat": 3, "dog": 2})
    make_folder(tmp_path / "test", {"cat": 1, "dog": 1})
    train, test = data.load(f"folder:{tmp_path}")
    assert train.class_names == ("cat", "dog")
    assert train.labels.tolist() == [0, 0, 0, 1, 1]
    assert np.array_equal(train.images.permute(0, 2, 3, 1).numpy(), np.stack(list(written.values())))
    assert len(test) == 2


def test_a_folder_without_parts_is_split_by_a_seed(tmp_path: Path):
    make_folder(tmp_path, {"a": 7, "b": 8})
    splits = [data.load(f"folder:{tmp_path}", seed=seed) for seed in (0, 0, 1)]
    assert [len(part) for part in splits[0]] == [12, 3]
    assert torch.equal(splits[0].test.images, splits[1].test.images)
    assert not torch.equal(splits[0].test.images, splits[2].test.images)


def test_a_folder_can_be_read_grey_and_resized(tmp_path: Path):
    make_folder(tmp_path, {"a": 2}, size=(6, 5))
    make_folder(tmp_path, {"b": 3}, size=(9, 9))
    train, _ = data.load(f"folder:{tmp_path}", image=(1, 4, 4), resize=True)
    assert train.shape == (1, 4, 4)


def test_celeba_is_read_from_its_own_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from torchvision.datasets import CelebA

    monkeypatch.setattr(CelebA, "_check_integrity", lambda self: True)  # it compares hashes of the real files
    names = [f"{i:06d}.jpg" for i in range(1, 7)]
    folder = tmp_path / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    for i, name in enumerate(names):
        Image.new("RGB", (178, 218), (40 * i, 0, 0)).save(folder / "img_align_celeba" / name)
    (folder / "list_eval_partition.txt").write_text("".join(f"{n} {p}\n" for n, p in zip(names, "000122", strict=True)))
    (folder / "identity_CelebA.txt").write_text("".join(f"{n} 1\n" for n in names))
    for file, columns in (("list_bbox", 4), ("list_landmarks_align", 10), ("list_attr", 40)):
        heading = f"{len(names)}\n{' '.join(f'c{k}' for k in range(columns))}\n"
        path = folder / f"{file}_celeba.txt"
        path.write_text(heading + "".join(f"{n}{' 1' * columns}\n" for n in names))
    train, test = data.load(f"celeba:{tmp_path}", image=(3, 64, 64))
    assert (train.shape, len(train), len(test)) == ((3, 64, 64), 3, 2)
    assert train.images[2, 0].float().mean() == pytest.approx(80, abs=3)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("digit", ["'digit'", "'digits'"]),
        ("mnist", ["lacks its folder", "mnist:FOLDER"]),
        ("digits:here", ["takes no folder"]),
        ("cifar10:{empty}", ["CIFAR10", "--download"]),
        ("mnist:{empty}/none", ["is no folder", "--download"]),
        ("celeba:{empty}", ["CelebA", "--download"]),
        ("folder:{empty}/none", ["is no folder"]),
        ("folder:{empty}", ["folder of images for each class"]),
    ],
)
def test_what_is_not_there_is_named_with_the_cure(tmp_path: Path, source: str, words: list[str]):
    with pytest.raises(InputError) as caught:
        data.load(source.replace("{empty}", str(tmp_path)))
    assert all(word in str(caught.value) for word in words)


def test_a_corrupt_image_is_named(tmp_path: Path):
    make_folder(tmp_path, {"a": 2})
    (tmp_path / "a" / "1.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"a.1\.png cannot be read as an image"):
        data.load(f"folder:{tmp_path}")


def test_a_truncated_image_is_named(tmp_path: Path):
    path = next(iter(make_folder(tmp_path, {"a": 1}, size=(64, 64))))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"0\.png cannot be read as an image"):
        data.load(f"folder:{tmp_path}")


def test_mixed_sizes_are_named(tmp_path: Path):
    make_folder(tmp_path, {"a": 2}, size=(6, 5))
    make_folder(tmp_path, {"b": 2}, size=(9, 9))
    with pytest.raises(InputError, match=r"9x9 pixels.*5x6 pixels.*--resize"):
        data.load(f"folder:{tmp_path}")


def test_an_empty_class_is_named(tmp_path: Path):
    make_folder(tmp_path, {"full": 2, "void": 0})
    with pytest.raises(InputError, match="void"):
        data.load(f"folder:{tmp_path}")


def test_parts_with_different_classes_are_named(tmp_path: Path):
    make_folder(tmp_path / "train", {"a": 1, "b": 1})
    make_folder(tmp_path / "val", {"a": 1})
    with pytest.raises(InputError, match="different classes: b"):
        data.load(f"folder:{tmp_path}")


def test_images_of_another_form_than_the_model_takes_are_refused():
    with pytest.raises(InputError, match=r"1x16x16, the model takes 1x28x28.*image=1,16,16"):
        data.load("digits", image=(1, 28, 28))
    assert data.load("digits", image=(1, 28, 28), resize=True).train.shape == (1, 28, 28)


@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 3), st.integers(0, 5), st.integers(0, 3))
def test_an_epoch_visits_every_image_once_over_all_processes(count: int, size: int, world: int, seed: int, epoch: int):
    images = ImageSet(torch.zeros(count, 1, 1, 1, dtype=torch.uint8), torch.arange(count), ("x",))
    alone = [labels.tolist() for _, labels in data.shuffled_batches(images, size, seed=seed, epoch=epoch)]
    assert sorted(chain(*alone)) == list(range(count))
    shares = [
        [
            labels.tolist()
            for _, labels in data.shuffled_batches(images, size, seed=seed, epoch=epoch, rank=r, world=world)
        ]
        for r in range(world)
    ]
    together = [sorted(chain(*parts)) for parts in zip(*shares, strict=True)]
    assert together == [sorted(batch) for batch in alone]
    first = len(alone) // 2
    rest = [x.tolist() for _, x in data.shuffled_batches(images, size, seed=seed, epoch=epoch, first=first)]
    assert rest == alone[first:]


def test_epochs_and_seeds_order_differently():
    images = ImageSet(torch.zeros(50, 1, 1, 1, dtype=torch.uint8), torch.arange(50), ("x",))
    orders = {
        tuple(next(iter(data.shuffled_batches(images, 50, seed=seed, epoch=epoch)))[1].tolist())
        for seed in range(3)
        for epoch in range(3)
    }
    assert len(orders) == 9


def test_the_last_images_are_held_out():
    images = ImageSet(torch.zeros(10, 1, 1, 1, dtype=torch.uint8), torch.arange(10), ("x",))
    train, held = data.hold_out_last(images, 3)
    assert train.labels.tolist() == list(range(7))
    assert held.labels.tolist() == [7, 8, 9]
