"""Folders of images: streaming gives what memory gives, and what is wrong is named with its cure."""

import tempfile
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stawm.errors import InputError
from stawm.training import data, train
from stawm.training.data import ImageSet, Splits, files, folders
from stawm.training.data.files import Files
from tests.training.files import make_folder


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[ImageSet, ImageSet]:
    """The same folder in memory and on disk."""
    root = tmp_path_factory.mktemp("folder")
    make_folder(root / "train", {"a": 11, "b": 7, "c": 5})
    make_folder(root / "test", {"a": 2, "b": 2, "c": 1})
    held, streamed = data.load(f"folder:{root}"), data.load(f"folder:{root}", memory=100)
    assert isinstance(held.train.images, torch.Tensor)
    assert isinstance(streamed.train.images, Files)
    return held.train, streamed.train


def assert_same(held: ImageSet, streamed: ImageSet) -> None:
    assert isinstance(streamed.images, Files)
    assert (len(held), held.shape, held.class_names) == (len(streamed), streamed.shape, streamed.class_names)
    assert torch.equal(held.labels, streamed.labels)
    assert held.images.shape == streamed.images.shape
    assert torch.equal(held.images[:], streamed.images[:])


def test_streamed_images_are_those_in_memory(both: tuple[ImageSet, ImageSet]):
    held, streamed = both
    assert_same(held, streamed)
    assert_same(held.to("cpu"), streamed.to("cpu"))


@given(st.lists(st.integers(-23, 22), max_size=30), st.slices(23))
def test_streamed_images_are_indexed_like_a_tensor(both: tuple[ImageSet, ImageSet], some: list[int], cut: slice):
    held, streamed = both
    assert torch.equal(streamed.images[some], held.images[some])
    assert torch.equal(streamed.images[torch.tensor(some, dtype=torch.long)], held.images[some])
    assert_same(held.take(some), streamed.take(some))
    if cut.step is None or cut.step > 0:  # a tensor cannot be cut backwards
        assert_same(held.take(cut), streamed.take(cut))


@given(
    st.integers(1, 30), st.integers(0, 3), st.integers(0, 3), st.integers(0, 2), st.integers(1, 3), st.integers(0, 2)
)
def test_streamed_batches_are_those_in_memory(
    both: tuple[ImageSet, ImageSet], size: int, seed: int, epoch: int, first: int, world: int, rank: int
):
    how = {"seed": seed, "epoch": epoch, "first": first, "rank": min(rank, world - 1), "world": world}
    for batches in (lambda s: data.batches(s, size), lambda s: data.shuffled_batches(s, size, **how)):
        pairs = [list(batches(images)) for images in both]
        for (pixels, labels), (read, of_read) in zip(*pairs, strict=True):
            assert torch.equal(pixels, read)
            assert torch.equal(labels, of_read)


def test_streaming_stops_when_nobody_listens(both: tuple[ImageSet, ImageSet], monkeypatch: pytest.MonkeyPatch):
    read = Counter()
    original = files.read
    monkeypatch.setattr(files, "read", lambda path, *more: read.update([path]) or original(path, *more))
    batches = data.batches(both[1], 1)
    next(batches)
    del batches
    assert 1 <= read.total() <= 1 + files.AHEAD


@pytest.mark.parametrize("channels", [1, 3])
def test_streamed_images_are_resized_and_turned_grey_alike(tmp_path: Path, channels: int):
    make_folder(tmp_path, {"a": 3}, size=(6, 5))
    make_folder(tmp_path, {"b": 4}, size=(9, 9))
    wanted = {"image": (channels, 4, 7), "resize": True}
    held, streamed = (data.load(f"folder:{tmp_path}", memory=m, **wanted).train for m in (None, 0))
    assert_same(held, streamed)


def test_training_on_a_stream_is_training_in_memory(tmp_path: Path):
    make_folder(tmp_path / "images", {"a": 9, "b": 8}, size=(16, 16))
    image = (1, 16, 16)
    tiny = {"memory_size": 8, "hidden_size": 16, "glimpses": 2, "recipe.epochs": 1, "recipe.batch": 4}
    weights = []
    for memory in (None, 0):
        splits = data.load(f"folder:{tmp_path / 'images'}", image=image, memory=memory)
        result = train("stawm-digits", data=splits, out=tmp_path / str(memory), cpu=True, quiet=True, **tiny)
        weights.append(result.model.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_what_fits_is_held_and_what_does_not_is_streamed(tmp_path: Path):
    paths = list(make_folder(tmp_path, {"a": 4}))
    size = 4 * 3 * 6 * 5
    assert isinstance(files.open_images(paths, 3, None, size), torch.Tensor)
    assert isinstance(files.open_images(paths, 3, None, size - 1), Files)


def test_what_is_free_is_what_the_system_says_is_available(monkeypatch: pytest.MonkeyPatch):
    said = files.psutil.virtual_memory()._replace(available=3000, free=100)
    monkeypatch.setattr(files.psutil, "virtual_memory", lambda: said)
    assert files.free_memory() == 3000


def test_the_budget_is_shared_between_processes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(files, "free_memory", lambda: 1200)
    assert files.budget() == 600
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    assert files.budget() == 200


@given(st.lists(st.integers(1, 12), min_size=1, max_size=4), st.data())
def test_every_stretch_of_a_folder_holds_its_classes_in_proportion(counts: list[int], draw: st.DataObject):
    """The last images are held out to tune on: they must not all be of the last class."""
    with tempfile.TemporaryDirectory() as folder:
        written = make_folder(Path(folder), {f"class{i}": count for i, count in enumerate(counts)}, size=(1, 1))
        labels = folders.list_classes(Path(folder)).labels
    total = len(written)
    tail = draw.draw(st.integers(0, total))
    for label, count in enumerate(counts):
        assert abs((labels[total - tail :] == label).sum().item() - count * tail / total) <= len(counts)


@pytest.mark.parametrize("memory", [None, 0])
def test_a_corrupt_image_is_named(tmp_path: Path, memory: int | None):
    make_folder(tmp_path, {"a": 2})
    (tmp_path / "a" / "1.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"a.1\.png cannot be read as an image.*replace or remove it"):
        data.load(f"folder:{tmp_path}", memory=memory)


def test_a_truncated_image_is_named(tmp_path: Path):
    path = list(make_folder(tmp_path, {"a": 2}, size=(64, 64)))[1]
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"1\.png cannot be read as an image"):
        data.load(f"folder:{tmp_path}")
    streamed = data.load(f"folder:{tmp_path}", memory=0)
    with pytest.raises(InputError, match=r"1\.png cannot be read as an image"):
        [*data.batches(streamed.train, 1), *data.batches(streamed.test, 1)]


@pytest.mark.parametrize("memory", [None, 0])
def test_mixed_sizes_are_named(tmp_path: Path, memory: int | None):
    make_folder(tmp_path, {"a": 2}, size=(6, 5))
    make_folder(tmp_path, {"b": 2}, size=(9, 9))
    with pytest.raises(InputError, match=r"9x9 pixels.*5x6 pixels.*--resize"):
        data.load(f"folder:{tmp_path}", memory=memory)


def test_an_empty_class_is_named(tmp_path: Path):
    make_folder(tmp_path, {"full": 2, "void": 0})
    with pytest.raises(InputError, match=r"void.*remove empty ones"):
        data.load(f"folder:{tmp_path}")


def test_a_class_without_images_among_its_files_is_named(tmp_path: Path):
    make_folder(tmp_path, {"full": 2, "notes": 0})
    (tmp_path / "notes" / "notes.txt").write_text("none")
    with pytest.raises(InputError, match="notes"):
        data.load(f"folder:{tmp_path}")


def test_images_without_folders_of_classes_are_refused(tmp_path: Path):
    Image.new("RGB", (5, 6)).save(tmp_path / "0.png")
    with pytest.raises(InputError, match=r"does not hold a folder of images for each class.*folder of its own"):
        data.load(f"folder:{tmp_path}")


def test_a_packed_folder_is_to_be_unpacked(tmp_path: Path):
    (tmp_path / "images.tar").write_bytes(b"")
    with pytest.raises(InputError, match=r"images\.tar is a file: unpack it"):
        data.load(f"folder:{tmp_path / 'images.tar'}")


def test_parts_with_different_classes_are_named(tmp_path: Path):
    make_folder(tmp_path / "train", {"a": 1, "b": 1})
    make_folder(tmp_path / "val", {"a": 1})
    with pytest.raises(InputError, match="different classes: b"):
        data.load(f"folder:{tmp_path}")


def test_one_image_cannot_be_split(tmp_path: Path):
    make_folder(tmp_path, {"a": 1})
    with pytest.raises(InputError, match="1 image, too few to hold some out"):
        data.load(f"folder:{tmp_path}")


def test_five_channels_are_refused(tmp_path: Path):
    make_folder(tmp_path, {"a": 2})
    with pytest.raises(InputError, match=r"1 channel .* or 3 .*; 5 were asked for"):
        data.load(f"folder:{tmp_path}", image=(5, 6, 5))


def test_splits_of_a_stream_are_splits_of_the_folder(tmp_path: Path):
    make_folder(tmp_path, {"a": 7, "b": 8})
    held: Splits = data.load(f"folder:{tmp_path}", seed=3)
    streamed = data.load(f"folder:{tmp_path}", seed=3, memory=0)
    for part, read in zip(held, streamed, strict=True):
        assert_same(part, read)


@pytest.mark.gpu
def test_a_stream_goes_to_the_device(both: tuple[ImageSet, ImageSet]):
    batches = [list(data.shuffled_batches(images.to("cuda"), 5, seed=0, epoch=0)) for images in both]
    for (pixels, labels), (read, of_read) in zip(*batches, strict=True):
        assert (read.device.type, of_read.device.type) == ("cuda", "cuda")
        assert torch.equal(pixels, read)
        assert torch.equal(labels, of_read)
