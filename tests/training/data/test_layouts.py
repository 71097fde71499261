"""Folders as people have them: what is a part, a class, a picture, and what is left out and said."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stawm.errors import InputError
from stawm.export.serve.folder import find_images
from stawm.pictures import ENDINGS, is_coloured
from stawm.training import data
from stawm.training.data import folders
from stawm.training.data.folders import PARTS, describe_left, search, shown
from tests.training.data.drawn import COLOUR, GREY
from tests.training.files import make_folder

HIDDEN = (".DS_Store", "._0.png", ".hidden.png", "Thumbs.db", "desktop.ini")
HIDDEN_FOLDERS = (".ipynb_checkpoints", ".git", "__MACOSX", "@eaDir", "$RECYCLE.BIN")
SPELLINGS = {
    "train": ("train", "Train", "TRAINING", "trainset", "train_set", "Training Data", "train-images", "data_train"),
    "test": ("test", "Test", "testing", "testset", "TEST_IMAGES", "tests"),
    "val": ("val", "Val", "valid", "validation", "Validation-Set", "eval", "evaluation", "dev", "val2017"),
}


def says(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> str:
    return "\n".join(r.getMessage() for r in caplog.records if r.name == "stawm.data" and r.levelno >= level)


@pytest.fixture
def listening(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "stawm.data")
    return caplog


def clutter(place: Path) -> None:
    """Put into a folder what operating systems, editors and people leave there."""
    for name in HIDDEN:
        (place / name).write_bytes(b"clutter")
    for name in HIDDEN_FOLDERS:
        make_folder(place / name, {"x": 1})
    (place / "notes.txt").write_text("no image")
    (place / "photo.HEIC").write_bytes(b"no image that is read")


@pytest.mark.parametrize("parts", [(), ("train", "test")])
def test_clutter_is_neither_class_nor_picture_and_is_said(
    tmp_path: Path, parts: tuple[str, ...], listening: pytest.LogCaptureFixture
) -> None:
    places = [tmp_path / part for part in parts] or [tmp_path]
    for place in places:
        make_folder(place, {"a": 3, "b": 2})
        for cluttered in {tmp_path, place, place / "a"}:
            if not (cluttered / HIDDEN[0]).exists():
                clutter(cluttered)
    train, test = data.load(f"folder:{tmp_path}")
    assert train.class_names == test.class_names == ("a", "b")
    assert len(train) + len(test) == 5 * len(places)
    for word in (*HIDDEN[:1], ".heic", ".txt", "notes.txt", "hidden or the system's"):
        assert word in says(listening)


def test_what_was_taken_is_counted_out_loud(tmp_path: Path, listening: pytest.LogCaptureFixture) -> None:
    make_folder(tmp_path / "train", {"apple": 3, "pear": 2})
    make_folder(tmp_path / "test", {"apple": 1, "pear": 1})
    data.load(f"folder:{tmp_path}")
    assert "5 images to train on, 2 to test on; 2 classes (apple 3, pear 2)" in says(listening, logging.INFO)
    assert says(listening) == "", "nothing is amiss, so nothing warns"


def test_a_folder_without_a_test_part_says_what_is_held_out(
    tmp_path: Path, listening: pytest.LogCaptureFixture
) -> None:
    make_folder(tmp_path, {"a": 7, "b": 8})
    for options, words in (
        ({}, "a random 20% (3 of 15 images, drawn by seed 0)"),
        ({"held_out": 0.4, "seed": 5}, "a random 40% (6 of 15 images, drawn by seed 5)"),
        ({"held_out": 1}, "all of it (15 of 15 images"),
    ):
        listening.clear()
        train, test = data.load(f"folder:{tmp_path}", **options)
        assert len(train) + len(test) == 15
        assert words in says(listening)
        assert "--held-out" in says(listening)


@pytest.mark.parametrize("share", [0, -0.2, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(tmp_path: Path, share: float) -> None:
    make_folder(tmp_path, {"a": 7})
    with pytest.raises(InputError, match="above 0 and at most 1"):
        data.load(f"folder:{tmp_path}", held_out=share)


@pytest.mark.parametrize("train", SPELLINGS["train"])
@pytest.mark.parametrize("test", [*SPELLINGS["test"], *SPELLINGS["val"]])
def test_parts_are_known_by_their_usual_spellings(tmp_path: Path, train: str, test: str) -> None:
    for name in (train, test):
        (tmp_path / name / "a").mkdir(parents=True)
    assert folders.find_parts(tmp_path)[:2] == (tmp_path / train, tmp_path / test)


@pytest.mark.parametrize(
    "name", ["station", "training_shoes", "test_tube", "device", "train_interior", "evaluators", "set"]
)
def test_a_class_that_only_begins_like_a_part_is_a_class(tmp_path: Path, name: str) -> None:
    for each in (name, "other"):
        (tmp_path / each / "inside").mkdir(parents=True)
    assert folders.find_parts(tmp_path) == (tmp_path, None, [])


@pytest.mark.parametrize(
    ("part", "pair"), [("train", ("train", "Training")), ("test", ("test", "testset")), ("val", ("val", "valid"))]
)
def test_two_spellings_of_one_part_are_refused_by_name(tmp_path: Path, part: str, pair: tuple[str, str]) -> None:
    for name in {*pair, "train"}:
        make_folder(tmp_path / name, {"a": 1})
    with pytest.raises(InputError) as caught:
        data.load(f"folder:{tmp_path}")
    assert all(name in str(caught.value) for name in (*pair, f"like the part {pair[0]}: leave one"))


def test_of_test_and_validation_the_first_counts_and_the_other_is_said(
    tmp_path: Path, listening: pytest.LogCaptureFixture
) -> None:
    for name, count in (("train", 3), ("val", 2), ("test", 4)):
        make_folder(tmp_path / name, {"a": count})
    assert [len(part) for part in data.load(f"folder:{tmp_path}")] == [3, 4]
    assert "1 folder beside the parts: val" in says(listening)


def test_a_part_to_test_on_alone_says_how_to_take_all_of_it(tmp_path: Path) -> None:
    make_folder(tmp_path / "val", {"a": 2, "b": 2})
    with pytest.raises(InputError, match=r"holds val but no train.*--held-out 1"):
        data.load(f"folder:{tmp_path}")
    assert len(data.load(f"folder:{tmp_path / 'val'}", held_out=1).test) == 4


def too_deep(root: Path) -> None:
    make_folder(root / "mine" / "train", {"a": 1})
    make_folder(root / "mine" / "test", {"a": 1})


def wrapped(root: Path) -> None:
    make_folder(root / "mine", {"a": 1, "b": 1})


def inside_out(root: Path) -> None:
    for name in ("a", "b"):
        make_folder(root / name, {"train": 1, "test": 1})


def flat(root: Path) -> None:
    make_folder(root, {"Training": 2, "validation": 1})


def unlabelled(root: Path) -> None:
    make_folder(root / "train", {"a": 1, "b": 1})
    make_folder(root, {"test": 2})


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        (too_deep, "called like a part of a set: give"),
        (wrapped, "holds one folder, mine, that holds folders itself: give"),
        (inside_out, "put the parts outside and the classes inside"),
        (flat, "Training and validation, which are called like a part"),
        (unlabelled, "test, which is called like a part of a set"),
    ],
)
def test_a_level_too_many_or_too_few_makes_no_classes(
    tmp_path: Path, layout: Callable[[Path], None], words: str
) -> None:
    layout(tmp_path)
    with pytest.raises(InputError, match=words):
        data.load(f"folder:{tmp_path}")


def test_a_class_may_be_called_like_a_part(tmp_path: Path) -> None:
    """CIFAR-100 has one called train."""
    make_folder(tmp_path, {"train": 2, "bus": 2, "car": 2})
    assert data.load(f"folder:{tmp_path}").train.class_names == ("bus", "car", "train")
    make_folder(tmp_path / "deeper" / "train", {"train": 2, "bus": 2})
    make_folder(tmp_path / "deeper" / "test", {"train": 2, "bus": 2})
    assert data.load(f"folder:{tmp_path / 'deeper'}").train.class_names == ("bus", "train")


def test_folders_inside_those_of_classes_count_and_are_said(
    tmp_path: Path, listening: pytest.LogCaptureFixture
) -> None:
    make_folder(tmp_path / "animals", {"cat": 2, "dog": 3})
    make_folder(tmp_path / "vehicles", {"car": 4})
    train, test = data.load(f"folder:{tmp_path}")
    assert (train.class_names, len(train) + len(test)) == (("animals", "vehicles"), 9)
    assert "3 folders inside folders of classes" in says(listening)
    assert f"animals{os.sep}cat" in says(listening)


def test_numbers_in_names_of_classes_count_as_numbers(tmp_path: Path) -> None:
    names = ["0", "1", "2", "10", "11", "a2", "a10", "b"]
    make_folder(tmp_path, dict.fromkeys(reversed(names), 1))
    assert folders.list_classes(tmp_path).names == tuple(names)


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "\x1b[31mred", "a\tb", "\u202egnp", "a\u2028b", "\x85", "\x7f"])
def test_a_name_that_is_no_line_of_text_is_no_class(tmp_path: Path, name: str) -> None:
    make_folder(tmp_path, {name: 1, "b": 1})
    with pytest.raises(InputError, match="can be no class") as caught:
        data.load(f"folder:{tmp_path}")
    assert name not in str(caught.value)


@pytest.mark.parametrize("name", ["$5-$10", "a b", "名字", "ünï", "می‌خواهم", "a,b", "-x", "3"])
def test_other_names_are_classes(tmp_path: Path, name: str) -> None:
    make_folder(tmp_path, {name: 2})
    assert data.load(f"folder:{tmp_path}").train.class_names == (name,)


def test_an_accent_is_one_however_it_is_stored(tmp_path: Path) -> None:
    make_folder(tmp_path / "train", {"café": 1})
    make_folder(tmp_path / "test", {"cafe\u0301": 1})
    train, test = data.load(f"folder:{tmp_path}")
    assert train.class_names == test.class_names == ("café",)
    make_folder(tmp_path / "train", {"cafe\u0301": 1})
    with pytest.raises(InputError, match="one name, stored in two ways"):
        data.load(f"folder:{tmp_path}")


def test_what_cannot_be_searched_is_not_taken_for_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_folder(tmp_path, {"a": 2, "b": 2})
    scandir = os.scandir

    def closed(path: str) -> object:
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(InputError, match=r"b cannot be searched \(Permission denied\)"):
        data.load(f"folder:{tmp_path}")


@pytest.mark.timeout(60)
def test_a_circle_of_links_ends(tmp_path: Path) -> None:
    make_folder(tmp_path, {"a": 2})
    (tmp_path / "a" / "again").symlink_to(tmp_path / "a", target_is_directory=True)
    (tmp_path / "a" / "twice").symlink_to(tmp_path / "a", target_is_directory=True)
    assert len(search(tmp_path).pictures) == len(find_images(tmp_path)) == 2
    assert len(folders.list_classes(tmp_path).paths) == 2


@pytest.mark.parametrize("ending", [*ENDINGS, *(e.upper() for e in ENDINGS)])
def test_training_and_running_know_the_same_endings(tmp_path: Path, ending: str) -> None:
    make_folder(tmp_path, {"a": 1})
    Image.new("RGB", (5, 6)).save(tmp_path / "a" / "x.png")
    (tmp_path / "a" / "x.png").rename(tmp_path / "a" / f"x{ending}")
    found = folders.list_classes(tmp_path).paths
    assert found == find_images(tmp_path)
    assert len(found) == 2


def test_running_over_a_folder_says_what_it_leaves_out(tmp_path: Path, listening: pytest.LogCaptureFixture) -> None:
    make_folder(tmp_path, {"a": 2})
    clutter(tmp_path)
    (tmp_path / "a" / "no_ending").touch()
    assert find_images(tmp_path) == [tmp_path / "a" / "0.png", tmp_path / "a" / "1.png"]
    for word in ("3 files of other endings", ".heic 1", "without ending 1", "10 hidden", ".DS_Store"):
        assert word in says(listening)


def test_a_folder_of_none_says_what_there_is(tmp_path: Path) -> None:
    (tmp_path / "x.heic").touch()
    with pytest.raises(InputError, match=r"holds no images.*there are 1 file of other endings \(.heic 1\): x.heic"):
        find_images(tmp_path)
    with pytest.raises(InputError, match="cannot be read as an image"):
        find_images(tmp_path / "nowhere")


@pytest.mark.timeout(60)
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="pipe"):
        find_images(tmp_path / "pipe")


def test_of_many_left_out_some_are_named(tmp_path: Path) -> None:
    left = [tmp_path / f"{k}.txt" for k in range(40)]
    said = describe_left(left, tmp_path)
    assert said.startswith("40 files of other endings (.txt 40): 0.txt, 1.txt")
    assert said.endswith("...")
    assert len(said) < 120


@given(st.text())
def test_what_is_shown_of_a_name_controls_no_terminal(name: str) -> None:
    assert shown(name).isprintable()
    if name.isprintable():
        assert shown(name) == name


def test_one_of_several_processes_speaks(
    tmp_path: Path, listening: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder(tmp_path, {"a": 5})
    monkeypatch.setenv("RANK", "1")
    data.load(f"folder:{tmp_path}")
    assert says(listening, logging.DEBUG) == ""


def test_a_colour_folder_for_a_grey_model_is_called_what_it_is(
    tmp_path: Path, listening: pytest.LogCaptureFixture
) -> None:
    make_folder(tmp_path, {"a": 3}, size=(30, 40))
    with pytest.raises(InputError, match=r"are 3x30x40, the model takes 1x16x16.*image=3,30,40, or with image=1,30,40"):
        data.load(f"folder:{tmp_path}", image=(1, 16, 16))
    for options in ({"image": (1, 30, 40)}, {"image": (1, 16, 16), "resize": True}):
        listening.clear()
        assert data.load(f"folder:{tmp_path}", **options).train.shape[0] == 1
        assert "are in colour; the model takes 1 channel, so they are read in grey" in says(listening)
    listening.clear()
    data.load(f"folder:{tmp_path}", image=(3, 30, 40))
    assert "in colour" not in says(listening)


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "CMYK"])
def test_a_grey_picture_is_grey_however_it_is_stored(tmp_path: Path, mode: str) -> None:
    form = "JPEG" if mode == "CMYK" else "PNG"
    Image.fromarray(GREY).convert(mode).save(tmp_path / "grey", form)
    assert not is_coloured(tmp_path / "grey")
    if mode != "L":
        Image.fromarray(COLOUR).convert(mode).save(tmp_path / "colour", form)
        assert is_coloured(tmp_path / "colour")


def test_the_spellings_tried_here_are_of_the_parts_that_there_are() -> None:
    assert set(SPELLINGS) == set(PARTS)
