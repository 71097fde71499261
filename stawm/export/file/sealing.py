"""The seal of a file: a hash over all of it, at its end.

A protobuf message may be followed by another of its type, whose fields then count too. So the hash
is a last record with one metadata entry: readers of ONNX see an ordinary entry, and the file is
checked byte by byte before anything in it is read.
"""

import hashlib
import os
from pathlib import Path

from stawm.errors import ExportError
from stawm.storage.opening import check_memory, open_regular
from stawm.storage.recognise import FileKind, of_bytes

KEY = "stawm.sha256"
LARGEST = 2**31 - 1
"""How many bytes a file may have: as many as a message of protobuf."""
PEEK = 65_536
"""How many bytes of both ends are looked at before a file is read."""


def _record(digest: str) -> bytes:
    """The bytes of a ModelProto with nothing but this metadata entry: field 14, which holds the fields 1 and 2."""
    entry = b"".join(bytes([tag, len(text)]) + text.encode() for tag, text in ((0x0A, KEY), (0x12, digest)))
    return bytes([0x72, len(entry)]) + entry


LENGTH = len(_record("0" * 64))


def seal(data: bytes) -> bytes:
    """Return a serialised model, not sealed yet, with its seal."""
    return data + _record(hashlib.sha256(data).hexdigest())


def digest(data: bytes) -> str | None:
    """Return the hash that a file claims, or None where it has no seal."""
    record = data[-LENGTH:]
    claimed = record[-64:]
    known = claimed.isascii() and claimed.isalnum() and record == _record(claimed.decode("ascii"))
    return claimed.decode("ascii") if known else None


def read(path: Path) -> bytes:
    """Read a sealed file; one that does not end with a seal is refused without being read.

    Raises:
        ExportError: It cannot be read, is no regular file, is not ours, is truncated, or was altered.
    """
    with open_regular(path, ExportError) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            start = file.read(PEEK)
            file.seek(max(0, size - PEEK))
            end = file.read(PEEK)
            _check_kind(path, start, end)
            if size > LARGEST:
                raise ExportError(f"{path} has {size:,} bytes; a graph has at most {LARGEST:,}.")
            check_memory(path, size, ExportError)
            file.seek(0)
            data = file.read(size)
        except OSError as error:
            raise ExportError(f"Cannot read {path}: {error.strerror or error}.") from error
    check(data, path)
    return data


def _check_kind(path: Path, start: bytes, end: bytes) -> None:
    """Raise where the first and the last bytes tell that a file is no graph of stawm."""
    if digest(end) is not None:
        return
    kind = of_bytes(start)
    if kind is FileKind.SAFETENSORS:
        raise ExportError(
            f"{path} is {kind.value}, and no ONNX file that stawm wrote. Export the model that it holds with "
            "`stawm export`; `stawm run` and `stawm inspect` take checkpoints too."
        )
    if b"stawm." in end or b"stawm." in start:
        raise ExportError(f"{path} is truncated or was altered: it does not end with the hash that stawm writes.")
    said = {FileKind.UNKNOWN: "", FileKind.ONNX: ""}.get(kind, f": it is {kind.value}")
    raise ExportError(f"{path} is not an ONNX file that stawm wrote{said}; write one with stawm.export.to_onnx.")


def check(data: bytes, path: Path) -> None:
    """Raise an ExportError unless a file is whole and as it was written."""
    claimed = digest(data)
    if claimed is None:
        _check_kind(path, data[:PEEK], data[-PEEK:])
    if hashlib.sha256(memoryview(data)[:-LENGTH]).hexdigest() != claimed:
        raise ExportError(f"{path} was altered after it was written: its contents do not match its hash.")
