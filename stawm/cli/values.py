"""What the values of options must be, checked as the command line is read: counts, shares, and places to write to."""

import contextlib
import errno
import os
import uuid
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from stawm.errors import InputError
from stawm.lazy import explained

PICTURES = (".png", ".jpg", ".jpeg", ".svg", ".pdf", ".webp", ".tif", ".tiff")
ANIMATIONS = (".gif",)
LONGEST = 255
"""How many bytes a file's name may have."""


def at_least(least: int) -> Callable[[str], int]:
    """Return the type of an option that takes a whole number of at least so much."""

    def integer(given: str) -> int:
        value = _number(int, given)
        if value is None or value < least:
            raise ArgumentTypeError(f"must be an integer of at least {least}; got {given!r}")
        return value

    return integer


def certainty(given: str) -> float | str:
    """Read a probability that an answer can reach, above 0 and at most 1, or that it is as it was tuned."""
    if given == "tuned":
        return given
    value = _number(float, given)
    if value is None or not 0 < value <= 1:
        raise ArgumentTypeError(f"must be a number above 0 and at most 1, or tuned; got {given!r}")
    return value


def _number(kind: Callable[[str], Any], given: str) -> Any:
    try:
        return kind(given)
    except (ValueError, OverflowError):
        return None


def picture(given: str) -> Path:
    """Read where a picture is written to, and try the place."""
    return _drawn(given, PICTURES)


def picture_or_animation(given: str) -> Path:
    """Read where a picture or an animation is written to, and try the place."""
    return _drawn(given, (*PICTURES, *ANIMATIONS))


def folder(given: str) -> Path:
    """Read the folder that something is written to, and try the place."""
    return _tried(try_folder, given)


def _drawn(given: str, endings: tuple[str, ...]) -> Path:
    if Path(given).suffix.lower() not in endings:
        raise ArgumentTypeError(f"must be a file that ends in one of {', '.join(endings)}; got {given!r}")
    if find_spec("matplotlib") is None:
        raise explained(ModuleNotFoundError(name="matplotlib"))
    return _tried(try_file, given)


def _tried(attempt: Callable[[Path], None], given: str) -> Path:
    try:
        attempt(Path(given))
    except InputError as error:
        raise ArgumentTypeError(str(error).removesuffix(".")) from error
    return Path(given)


def try_file(path: Path) -> None:
    """Find out whether a file can be written, by making one beside it, which is taken away again.

    Raises:
        InputError: It cannot.
    """
    with _refusing(path):
        if not path.name or path.is_dir():
            raise OSError(errno.EISDIR, "It names a folder, not a file")
        _try(path.parent / f".{path.name}.{uuid.uuid4().hex}")  # named as it will be until it is whole


def try_folder(path: Path) -> None:
    """Find out whether a folder can be written to, or made where it is not there.

    Raises:
        InputError: It cannot.
    """
    with _refusing(path):
        if "\0" in str(path) or any(len(os.fsencode(part)) > LONGEST for part in path.parts):
            raise OSError(errno.EINVAL, "A folder cannot have this name")
        there = path
        while not os.path.lexists(there) and there != there.parent:
            there = there.parent
        _try(there / f".{uuid.uuid4().hex}")


def _try(trial: Path) -> None:
    trial.open("xb").close()
    trial.unlink()


@contextlib.contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"Cannot write {str(path)!r}: {error.strerror}.") from error
    except ValueError as error:  # a NUL in the name
        raise InputError(f"Cannot write {str(path)!r}: {error}.") from error


def data_fields(args: Namespace) -> dict[str, Any]:
    """Return the fields of a data set that a command line changes by ``data.FIELD=value``."""
    return {key.removeprefix("data."): value for key, value in args.overrides.items() if key.startswith("data.")}
