"""Data sets: what is read is what lies there, and what is wrong is named with its cure."""

import pickle
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional as F
from torchvision.datasets import cifar
from torchvision.transforms.functional import resize

from stawm.errors import InputError
from stawm.training import data
from stawm.training.data import ImageSet
from stawm.training.data.pictures import fit_all, read
from tests.training.files import make_folder


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


def test_digits_are_enlarged_bicubically_with_a_margin_of_two():
    raw = load_digits()
    small = torch.tensor(raw.images / 16, dtype=torch.float32)[:, None]
    large = F.interpolate(small, size=(12, 12), mode="bicubic", align_corners=False).clamp(0, 1)
    expected = torch.zeros(len(small), 1, 16, 16)
    expected[:, :, 2:14, 2:14] = large
    train, test = data.load("digits")
    pixels = torch.cat([train.images, test.images])
    assert rows(pixels) == rows((255 * expected).round().byte())
    labels = dict(zip(map(tuple, pixels.flatten(1).tolist()), torch.cat([train.labels, test.labels]), strict=True))
    for pixel, label in zip((255 * expected).round().byte().flatten(1).tolist(), raw.target, strict=True):
        assert labels[tuple(pixel)] == label


def test_cifar_is_read_from_its_own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cifar, "check_integrity", lambda *_: True)  # it compares hashes of the real files
    monkeypatch.setattr(cifar.CIFAR10, "_check_integrity", lambda self: True)
    folder, pixels = tmp_path / "cifar-10-batches-py", np.random.default_rng(0).integers(0, 256, (6, 3072), np.uint8)
    folder.mkdir()
    for k, name in enumerate((*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")):
        (folder / name).write_bytes(pickle.dumps({"data": pixels[k : k + 1], "labels": [k]}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": [*"abcdefghij"]}))
    train, test = data.load(f"cifar10:{tmp_path}")
    assert torch.equal(data.load(f"cifar10:{folder}").train.images, train.images), "the folder itself will do"
    assert np.array_equal(train.images.flatten(1).numpy(), pixels[:5])
    assert np.array_equal(test.images.flatten(1).numpy(), pixels[5:])
    assert (train.shape, train.labels.tolist(), test.labels.tolist()) == ((3, 32, 32), [0, 1, 2, 3, 4], [5])
    assert train.class_names == tuple("abcdefghij")


def test_of_damaged_and_missing_files_of_cifar_the_names_are_said(tmp_path: Path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    (tmp_path / "cifar-10-python.tar.gz").touch()
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        (folder / name).write_bytes(b"torn")
    with pytest.raises(InputError, match=r"lacks batches\.meta\. Unpack cifar-10-python\.tar\.gz, give"):
        data.load(f"cifar10:{tmp_path}")
    (folder / "batches.meta").write_bytes(b"torn")
    with pytest.raises(InputError, match=r"data_batch_1, .*batches\.meta is damaged: remove it.*--download"):
        data.load(f"cifar10:{tmp_path}")


def test_of_missing_files_of_celeba_the_names_are_said(tmp_path: Path):
    (tmp_path / "celeba").mkdir()
    with pytest.raises(InputError, match=r"lacks list_attr_celeba\.txt, .*img_align_celeba\."):
        data.load(f"celeba:{tmp_path}")


def test_a_folder_is_read_pixel_by_pixel(tmp_path: Path):
    written = make_folder(tmp_path / "train", {"cat": 3, "dog": 2})
    make_folder(tmp_path / "test", {"cat": 1, "dog": 1})
    train, test = data.load(f"folder:{tmp_path}")
    assert train.class_names == ("cat", "dog")
    assert train.labels.tolist() == [0, 1, 0, 1, 0]
    in_turn = [("cat", 0), ("dog", 0), ("cat", 1), ("dog", 1), ("cat", 2)]
    expected = [written[tmp_path / "train" / name / f"{i}.png"] for name, i in in_turn]
    assert np.array_equal(train.images.permute(0, 2, 3, 1).numpy(), np.stack(expected))
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


def test_a_colour_read_as_grey_is_as_bright_as_it_appears(tmp_path: Path):
    for name, colour in (("red", (255, 0, 0)), ("green", (0, 255, 0)), ("blue", (0, 0, 255))):
        (tmp_path / name).mkdir()
        Image.new("RGB", (2, 2), colour).save(tmp_path / name / "0.png")
    levels = {path.name: read(path / "0.png", 1).flatten()[0].item() for path in tmp_path.iterdir()}
    assert levels == {"blue": 29, "green": 150, "red": 76}, "255 times 0.114, 0.587 and 0.299"


def test_celeba_is_read_from_its_own_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from torchvision.datasets import CelebA

    monkeypatch.setattr(CelebA, "_check_integrity", lambda self: True)  # it compares hashes of the real files
    names = [f"{i:06d}.jpg" for i in range(1, 7)]
    folder = tmp_path / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    for i, name in enumerate(names):
        portrait = Image.new("RGB", (178, 218), (0, 255, 0))
        portrait.paste((40 * i, 0, 0), (0, 20, 178, 198))
        portrait.save(folder / "img_align_celeba" / name, format="PNG")
    (folder / "list_eval_partition.txt").write_text("".join(f"{n} {p}\n" for n, p in zip(names, "000122", strict=True)))
    (folder / "identity_CelebA.txt").write_text("".join(f"{n} 1\n" for n in names))
    for file, columns in (("list_bbox", 4), ("list_landmarks_align", 10), ("list_attr", 40)):
        heading = f"{len(names)}\n{' '.join(f'c{k}' for k in range(columns))}\n"
        path = folder / f"{file}_celeba.txt"
        path.write_text(heading + "".join(f"{n}{' 1' * columns}\n" for n in names))
    train, test = data.load(f"celeba:{folder}", image=(3, 64, 64))
    assert (train.shape, len(train), len(test)) == ((3, 64, 64), 3, 2)
    for part, reds in ((train, (0, 40, 80)), (test, (160, 200))):
        face = part.images[:, :, 1:-1]  # at the edge of the square the filter still sees what is beyond
        expected = torch.tensor(reds, dtype=torch.uint8).view(-1, 1, 1).expand(-1, 62, 64)
        assert torch.equal(face[:, 0], expected)
        assert not face[:, 1:].any(), "what is above and below the square around the face is cut off"
    assert data.load(f"celeba:{tmp_path}", image=(3, 20, 30)).train.shape == (3, 20, 30)


@pytest.mark.parametrize("memory", [None, 0])
@pytest.mark.parametrize(("size", "middle"), [((30, 10), (10, 0, 20, 10)), ((10, 30), (0, 10, 10, 20))])
def test_images_of_a_folder_are_cut_to_the_square_and_not_squeezed(
    tmp_path: Path, size: tuple[int, int], middle: tuple[int, int, int, int], memory: int | None
):
    image = Image.new("RGB", size, (255, 0, 0))
    image.paste((0, 0, 200), middle)
    (tmp_path / "a").mkdir()
    for name in ("0.png", "1.png"):
        image.save(tmp_path / "a" / name)
    train, _ = data.load(f"folder:{tmp_path}", image=(3, 5, 5), resize=True, memory=memory)
    inner = train.images[:][0, :, 1:-1, 1:-1]  # at the edges the filter still sees what is beyond
    assert inner.flatten(1).unique(dim=1).flatten().tolist() == [0, 0, 200]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("digit", ["'digit'", "'digits'"]),
        ("mnist", ["lacks its folder", "mnist:FOLDER"]),
        ("digits:here", ["takes no folder"]),
        ("emnist", ["lacks its folder", "emnist-letters:FOLDER"]),
        ("cifar10:{empty}", ["CIFAR10", "cifar-10-batches-py", "It is empty", "--download", "download=True"]),
        ("mnist:{empty}", ["train-images-idx3-ubyte", "It is empty", "--download", "download=True"]),
        ("emnist-byclass:{empty}", ["emnist-byclass-test-labels-idx1-ubyte", "It is empty", "--download"]),
        ("mnist:{empty}/none", ["is not a directory", "--download"]),
        ("celeba:{empty}", ["CelebA", "--download"]),
        ("folder:{empty}/none", ["is not a directory"]),
        ("folder:{empty}", ["folder of images for each class"]),
        ("figure-ground:{empty}", ["names one folder of two", "figure-ground:MNIST_ROOT,PHOTOGRAPHS"]),
        ("figure-ground:{empty},{empty}", ["MNIST", "--download"]),
    ],
)
def test_what_is_not_there_is_named_with_the_cure(tmp_path: Path, source: str, words: list[str]):
    with pytest.raises(InputError) as caught:
        data.load(source.replace("{empty}", str(tmp_path)))
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize("side", [4, 40])
def test_sets_are_resized_as_torchvision_resizes_them_with_every_pixel_counted(side: int):
    """Pillow computes in fixed point, so the two may differ where they round, in either direction of the image."""
    own, resized = data.load("digits").test, data.load("digits", image=(1, side, side), resize=True).test
    expected = resize(own.images.float(), [side, side], antialias=True).round().clamp(0, 255)
    assert (resized.images.float() - expected).abs().max() <= 1


@pytest.mark.parametrize("rule", ["crop", "squeeze"])
@pytest.mark.parametrize("size", [(9, 30), (30, 9), (16, 16), (5, 4)])
def test_a_set_is_resized_exactly_as_its_images_in_files_are(tmp_path: Path, rule: str, size: tuple[int, int]):
    own = data.load("digits").test.take(slice(0, 3))
    fitted = data.load("digits", image=(1, *size), resize=rule).test.images[:3]
    assert torch.equal(fit_all(own.images, size, rule), fitted)
    for k, pixels in enumerate(own.images):
        Image.fromarray(pixels[0].numpy()).save(tmp_path / f"{k}.png")
        assert torch.equal(read(tmp_path / f"{k}.png", 1, size, rule), fitted[k])


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


@pytest.mark.parametrize("count", [-1, 0, 10, 11])
def test_no_more_is_held_out_than_leaves_something(count: int):
    images = ImageSet(torch.zeros(10, 1, 1, 1, dtype=torch.uint8), torch.arange(10), ("x",))
    with pytest.raises(InputError, match=f"Of 10 images, 1 to 9 can be held out; {count} were asked for"):
        data.hold_out_last(images, count)


def test_masks_go_with_their_images():
    images = torch.arange(6, dtype=torch.uint8).view(6, 1, 1, 1)
    held = ImageSet(images, torch.arange(6), ("x",), images % 2 == 0).to("cpu").take([1, 2, 5])
    assert held.masks is not None
    assert held.masks.flatten().tolist() == [False, True, False]
    assert held.take(slice(1, 2)).masks.flatten().tolist() == [True]
