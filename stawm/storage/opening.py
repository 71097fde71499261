"""Opening files that were named by somebody: regular ones only, so that nothing waits for ever or never ends.

A pipe waits for a writer, a device such as ``/dev/zero`` has no end, and a sparse file holds more than its disk: none
of them is a picture, a checkpoint or a graph, and each is refused before a byte of it is read.
"""

import os
import stat
from pathlib import Path
from typing import IO, Any

from stawm.errors import InputError, StawmError, shown

LONGEST_NAME = 255
"""How many bytes the name of a file or folder has at most, on every usual file system."""
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def as_path(given: Any, what: str = "A file", error: type[StawmError] = InputError) -> Path:
    """Return a path that was given to a public call.

    Args:
        given: A string or a path.
        what: What it is the path of, as a sentence begins.
        error: What is raised.

    Raises:
        StawmError: It is neither, is empty, or holds a character that no path can hold.
    """
    text = os.fspath(given) if isinstance(given, (str, os.PathLike)) else None
    if not isinstance(text, str) or not text.strip():
        raise error(f"{what} must be given by its path, a string or a pathlib.Path; got {shown(given)}.")
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise error(f"{what} cannot have the path {shown(text)}: it is no text that can be encoded.") from None
    if "\0" in text:
        raise error(f"{what} cannot have the path {shown(text)}: it holds a null character.")
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in Path(text).parts):
        raise error(
            f"{what} cannot have the path {shown(text)}: no name in it may be longer than {LONGEST_NAME} bytes."
        )
    return Path(given)


def open_regular(path: Path, error: type[StawmError] = InputError, *, limit: int | None = None) -> IO[bytes]:
    """Open a file for reading, which must be a regular one; a symbolic link to one is followed.

    Args:
        path: The file.
        error: What is raised.
        limit: How many bytes it may have.

    Raises:
        StawmError: It cannot be opened, is a folder, a pipe, a device or a socket, or has more bytes than that.
    """
    path = as_path(path, error=error)
    try:
        _check(path, path.stat(), error, limit)  # before it is opened: that alone can change the state of a device
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as fault:
        raise error(f"Cannot read {path}: {fault.strerror or fault}.") from fault
    file = os.fdopen(descriptor, "rb")
    try:
        _check(path, os.fstat(descriptor), error, limit)
    except BaseException:
        file.close()
        raise
    return file


def read_regular(path: Path, error: type[StawmError] = InputError, *, limit: int | None = None) -> bytes:
    """Return the bytes of a regular file, no more of them than it had when it was opened.

    Raises:
        StawmError: What `open_regular` says, or the memory does not hold it.
    """
    with open_regular(path, error, limit=limit) as file:
        size = os.fstat(file.fileno()).st_size
        check_memory(path, size, error)
        try:
            return file.read(size)
        except OSError as fault:
            raise error(f"Cannot read {path}: {fault.strerror or fault}.") from fault


def why_unread(found: os.stat_result, limit: int | None = None) -> str | None:
    """Return why what a path leads to is not read: it is no regular file, or has more bytes than the limit."""
    if not stat.S_ISREG(found.st_mode):
        return f"it is {_KINDS.get(stat.S_IFMT(found.st_mode), 'no regular file')}, where a file is due"
    if limit is not None and found.st_size > limit:
        return f"it has {found.st_size:,} bytes; at most {limit:,} are read"
    return None


def check_memory(path: Path, size: int, error: type[StawmError] = InputError) -> None:
    """Raise where a file is larger than the memory that is free here, as far as the package psutil can tell."""
    try:
        import psutil
    except ModuleNotFoundError:  # what only runs graphs goes without
        return
    free = psutil.virtual_memory().available
    if size > free:
        raise error(f"{path} has {size:,} bytes, more than the {free:,} bytes of memory that are free here.")


def _check(path: Path, found: os.stat_result, error: type[StawmError], limit: int | None) -> None:
    if reason := why_unread(found, limit):
        raise error(f"Cannot read {path}: {reason}.")
