"""What a file is, told by its first bytes: so that a message can name what was given in place of what is due."""

from enum import StrEnum
from pathlib import Path

from stawm.storage.opening import open_regular

LOOKED_AT = 512
"""How many bytes are looked at."""


class FileKind(StrEnum):
    """What a file is, in words that fit into a sentence."""

    SAFETENSORS = "a safetensors file, as checkpoints are"
    ONNX = "an ONNX graph"
    PICKLE = "a pickle, as torch.save writes them"
    ZIP = "a zip archive, as torch.save writes them"
    LFS = "a Git LFS pointer, which stands for a file that was not fetched: run `git lfs pull`"
    HTML = "a web page"
    IMAGE = "an image"
    JSON = "JSON"
    EMPTY = "empty"
    UNKNOWN = "of no kind that is known here"


_STARTS: tuple[tuple[bytes, FileKind], ...] = (
    (b"version https://git-lfs", FileKind.LFS),
    (b"PK\3\4", FileKind.ZIP),
    (b"\x89PNG", FileKind.IMAGE),
    (b"\xff\xd8\xff", FileKind.IMAGE),
    (b"GIF8", FileKind.IMAGE),
    (b"BM", FileKind.IMAGE),
)
_ONNX_FIELDS = b"\x12\x1a\x22\x28\x32\x3a\x42\x72"
"""The tags of the fields of an ONNX model that can follow its version."""


def what_is(path: Path) -> FileKind:
    """Return what a file is; it is opened as any file is here, so that only a regular one is read.

    Raises:
        InputError: It cannot be read, or is no regular file.
    """
    with open_regular(path) as file:
        return of_bytes(file.read(LOOKED_AT))


def of_bytes(start: bytes) -> FileKind:
    """Return what a file is that begins with these bytes.

    Examples:
        >>> of_bytes(b"version https://git-lfs.github.com/spec/v1").name, of_bytes(b"").name
        ('LFS', 'EMPTY')
    """
    if not start:
        return FileKind.EMPTY
    for mark, kind in _STARTS:
        if start.startswith(mark):
            return kind
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return FileKind.IMAGE
    if start[8:9] == b"{" and not any(start[5:8]):
        return FileKind.SAFETENSORS
    if start[:1] == b"\x80" and start[1:2] in (b"\2", b"\3", b"\4", b"\5"):
        return FileKind.PICKLE
    if start[:1] == b"\x08" and start[1:2] <= b"\x40" and start[2:3] and start[2] in _ONNX_FIELDS:
        return FileKind.ONNX
    return _of_text(start)


def _of_text(start: bytes) -> FileKind:
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return FileKind.HTML
    return FileKind.JSON if text[:1] in (b"{", b"[") else FileKind.UNKNOWN
