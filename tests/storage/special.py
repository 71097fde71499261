"""Paths at which something other than a file is: what would hang or exhaust a reader that trusts a name."""

import os
import socket
from collections.abc import Callable
from pathlib import Path


def _fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


def _socket(path: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as listening:
        before = Path.cwd()
        os.chdir(path.parent)  # the path of a socket is short
        try:
            listening.bind(path.name)
        finally:
            os.chdir(before)
    return path


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _link_to(target: str) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        path.symlink_to(target)
        return path

    return make


SPECIAL: dict[str, Callable[[Path], Path]] = {
    "a pipe": _fifo,
    "a socket": _socket,
    "a folder": _folder,
    "a link to an endless device": _link_to("/dev/zero"),
    "a link to an empty device": _link_to("/dev/null"),
    "a link to itself": lambda path: _link_to(path.name)(path),
    "a link to nowhere": _link_to("nowhere"),
}


def sparse(path: Path, size: int = 2**33, start: bytes = b"") -> Path:
    """A file of eight gigabytes that takes no room."""
    with path.open("wb") as file:
        file.write(start)
        file.truncate(size)
    return path
