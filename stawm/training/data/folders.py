"""What a folder holds: its parts, its classes, its pictures, and what of it is left out.

Nothing of a folder is taken at its word: what hidden files, other endings and unusual names of parts would do to the
classes is seen, and said through the logger ``stawm.data``.
"""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from stawm.catalog.suggest import natural_key
from stawm.errors import InputError
from stawm.pictures import ENDINGS
from stawm.training.data.files import Files, open_images, read_images

__all__ = ["Files", "Found", "Listing", "Parts", "find_parts", "list_classes", "open_images", "read_images", "search"]

PARTS = {
    "train": ("train", "training", "trainval", "trn"),
    "test": ("test", "tests", "testing", "tst"),
    "val": ("val", "valid", "validation", "validate", "eval", "evaluation", "dev", "holdout", "heldout"),
}
"""How the parts of a set are usually spelled, in whatever case."""
BESIDE = ("sets", "set", "datas", "data", "images", "image", "imgs", "split", "part", "samples", "folder", "dir")
"""What such a name may also say: trainset, test_images, Val-Data."""
SYSTEM = frozenset(
    (
        *("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__pycache__", "lost+found"),
        *("@eadir", "$recycle.bin", "system volume information"),
    )
)
"""What operating systems and file managers leave behind without hiding it, in small letters."""
BIDIRECTIONAL = frozenset(("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"))
"""The kinds of characters that turn the direction of a text round."""
NAMED = 5
"""How many of the things left out are named, of each kind."""


class Found(NamedTuple):
    """The pictures under a folder, and what lies beside them and is left out."""

    pictures: list[Path]
    left: list[Path]


class Parts(NamedTuple):
    """What to train on, what to test on where there is such a part, and what lies beside them."""

    train: Path
    test: Path | None
    left: list[Path]


class Listing(NamedTuple):
    """The pictures of a folder of classes; the classes take turns, so that any stretch holds all of them.

    Attributes:
        paths: The files.
        labels: The class of each.
        names: The classes' names, in natural order (2 before 10).
        left: What lies among them and is left out.
        inside: The folders inside those of the classes; their pictures count as of the class.
    """

    paths: list[Path]
    labels: Int[Tensor, "count"]
    names: tuple[str, ...]
    left: list[Path]
    inside: list[Path]

    @property
    def counts(self) -> dict[str, int]:
        """How many pictures each class has."""
        return dict(zip(self.names, np.bincount(self.labels.numpy()).tolist(), strict=True))


def search(root: Path) -> Found:
    """Find the pictures in a folder and in those inside it, by their endings.

    Links are followed, and no folder is searched twice. Hidden folders are left out with all that is in them.
    """
    pictures, left, seen = list[Path](), list[Path](), {os.path.realpath(root)}
    for place, folders, files in os.walk(root, followlinks=True, onerror=_closed):
        here = Path(place)
        left += [here / name for name in (*folders, *files) if _is_hidden(name)]
        inside = [name for name in folders if not _is_hidden(name)]
        real = {name: os.path.realpath(here / name) for name in inside}
        folders[:] = [name for name in inside if real[name] not in seen]
        seen.update(real.values())
        for path in (here / name for name in files if not _is_hidden(name)):
            (pictures if path.suffix.lower() in ENDINGS else left).append(path)
    by_place = sorted(pictures, key=lambda path: (str(path.parent), path.name))
    return Found(by_place, sorted(left))


def find_parts(root: Path) -> Parts:
    """Return the folder to train on, and the one to test on where there is one.

    A part is a folder that is called so and holds folders; a folder called ``train`` that holds pictures beside other
    folders of pictures is a class.

    Raises:
        InputError: There is no such folder, it lacks the part to train on, a part is there in two spellings, or
            parts hold pictures and no folders of classes.
    """
    if root.is_file():
        raise InputError(f"{root} is a file: unpack it, and give the folder.")
    if not root.is_dir():
        raise InputError(f"{root} is not a directory. Give a folder with a folder of images for each class.")
    inside = _folders(root)
    called = [(part, path) for path in inside if (part := _part(path.name)) is not None]
    flat = [path for _, path in called if not _folders(path)]
    one_of_many = len(called) == 1 < len(inside)
    if not called or (flat and one_of_many):
        return Parts(root, None, [])
    if flat:
        raise InputError(
            f"{root} holds {_list(flat)}, which {'is' if len(flat) == 1 else 'are'} called like a part of a set and "
            "without a folder of images for each class: put the images of each class into a folder of its own, or "
            "rename or move what is no part."
        )
    parts = {part: [path for which, path in called if which == part] for part in PARTS}
    for part, paths in parts.items():
        if len(paths) > 1:
            raise InputError(f"{root} holds {_list(paths)}, all of them called like the part {part}: leave one.")
    train, test = ([*parts["train"]], [*parts["test"], *parts["val"]])
    if not train:
        raise InputError(
            f"{root} holds {test[0].name} but no train: name the folder to train on train; or give "
            f"{root / test[0].name} itself, with all of it held out (--held-out 1)."
        )
    taken = {*train, *test[:1]}
    return Parts(train[0], test[0] if test else None, [path for path in _inside(root) if path not in taken])


def list_classes(root: Path) -> Listing:
    """List a folder of classes, the pictures of each in a folder of its own.

    Raises:
        InputError: There are no such folders, one is empty, they are a level deeper, or one's name can be no name of
            a class.
    """
    folders = _folders(root)
    if not folders:
        direct = search(root).pictures
        beside = f"{len(direct):,} images lie in it directly" if direct else "it has no folders"
        raise InputError(
            f"{root} does not hold a folder of images for each class: {beside}. "
            "Put the images of each class into a folder of its own."
        )
    by_name = _by_name(folders)
    found = {name: search(folder) for name, folder in by_name.items()}
    for name, folder in by_name.items():
        _check_class(root, folder, found[name], alone=len(folders) == 1)
    labels = np.repeat(np.arange(len(found)), [len(some.pictures) for some in found.values()])
    turns = np.concatenate([np.arange(len(some.pictures)) / len(some.pictures) for some in found.values()])
    order = np.lexsort((labels, turns))
    paths = [path for some in found.values() for path in some.pictures]
    beside = [path for path in _inside(root) if path not in folders]
    return Listing(
        paths=[paths[i] for i in order],
        labels=torch.from_numpy(labels[order]),
        names=tuple(found),
        left=[*beside, *(path for some in found.values() for path in some.left)],
        inside=[inner for folder in folders for inner in _folders(folder)],
    )


def describe_left(left: Sequence[Path], root: Path) -> str:
    """Say what of a folder is left out: how many of each kind, and the names of some; empty where nothing is."""
    hidden = [path for path in left if _is_hidden(path.name)]
    rest = [path for path in left if not _is_hidden(path.name)]
    folders = [path for path in rest if path.is_dir()]
    files = [path for path in rest if not path.is_dir()]
    pictures = [path for path in files if path.suffix.lower() in ENDINGS]
    others = [path for path in files if path.suffix.lower() not in ENDINGS]
    endings = Counter(shown(path.suffix.lower()) or "without ending" for path in others).most_common()
    kinds = {
        f"{_count(others, 'file')} of other endings ({', '.join(f'{e} {n}' for e, n in endings)})": others,
        f"{_count(pictures, 'image')} outside the folders of classes": pictures,
        f"{_count(folders, 'folder')} beside the parts": folders,
        f"{len(hidden):,} hidden or the system's": hidden,
    }
    return "; ".join(f"{kind}: {_names(paths, root)}" for kind, paths in kinds.items() if paths)


def describe_inside(inside: Sequence[Path], root: Path) -> str:
    """Say that folders inside those of classes count as of the class, and that they may be meant otherwise."""
    return (
        f"{_count(inside, 'folder')} inside folders of classes count as of the class ({_names(inside, root)}); where "
        "the folders around them are parts, call these train and test"
    )


def _names(paths: Sequence[Path], root: Path) -> str:
    some = [shown(str(path.relative_to(root))) for path in paths[:NAMED]]
    return ", ".join([*some, "..."] if len(paths) > NAMED else some)


def shown(name: str) -> str:
    """Return a name from a file as it may be printed: without characters that control a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in name)


def describe_counts(counts: Mapping[str, int]) -> str:
    """Say how many images each class has; of many classes, only how many there are."""
    if len(counts) > 2 * NAMED:
        return f"{len(counts):,} classes"
    named = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    return f"{len(counts)} class{'es' * (len(counts) != 1)} ({named})"


def _count(paths: Sequence[Path], word: str) -> str:
    return f"{len(paths):,} {word}{'s' * (len(paths) != 1)}"


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in SYSTEM


def _folders(root: Path) -> list[Path]:
    """Return the folders in a folder that are not hidden, 2 before 10."""
    inside = (path for path in _inside(root) if path.is_dir() and not _is_hidden(path.name))
    return sorted(inside, key=lambda path: (natural_key(path.name), path.name))


def _inside(root: Path) -> list[Path]:
    try:
        return sorted(root.iterdir())
    except OSError as error:
        _closed(error)


def _closed(error: OSError) -> NoReturn:
    raise InputError(
        f"{error.filename} cannot be searched ({error.strerror}): make it readable, or move it."
    ) from error


def _part(name: str) -> str | None:
    """Return which part of a set a folder is called like: train, test, val, or none."""
    word = re.sub(r"[\W_0-9]+", "", name.casefold())
    for beside in BESIDE:
        word = word.removesuffix(beside).removeprefix(beside) if word != beside else word
    return next((part for part, spellings in PARTS.items() if word in spellings), None)


def _by_name(folders: Iterable[Path]) -> dict[str, Path]:
    """Return the folders by the names of their classes; an accent counts alike, however it is stored."""
    by_name: dict[str, Path] = {}
    for folder in folders:
        name = unicodedata.normalize("NFC", folder.name)
        if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in name) or any(
            unicodedata.bidirectional(c) in BIDIRECTIONAL for c in name
        ):
            raise InputError(
                f"The folder {folder.name!r} in {folder.parent} can be no class: its name holds characters that break "
                "a line, control a terminal or are no text. Rename it."
            )
        if name in by_name:
            raise InputError(f"{by_name[name]} and {folder} are one name, stored in two ways: put them together.")
        by_name[name] = folder
    return by_name


def _check_class(root: Path, folder: Path, found: Found, *, alone: bool) -> None:
    inside = _folders(folder)
    parts = [path for path in inside if _part(path.name) is not None]
    if parts:
        raise InputError(
            f"{folder} would be a class, and holds {_list(parts)}, called like a part of a set: give {folder} itself, "
            "or put the parts outside and the classes inside (train/CLASS, test/CLASS)."
        )
    if not found.pictures:
        beside = describe_left(found.left, root)
        raise InputError(
            f"{folder} holds no images ({', '.join(ENDINGS)}){f', but {beside}' if beside else ''}: "
            "remove empty ones from the folders of classes, or save their images in one of these forms."
        )
    if alone and inside and not any(path.parent == folder for path in found.pictures):
        raise InputError(f"{root} holds one folder, {folder.name}, that holds folders itself: give {folder}.")


def _list(paths: Sequence[Path]) -> str:
    return " and ".join(path.name for path in paths)
