"""The seal of a file: a hash over all of it, at its end.

A protobuf message may be followed by another of its type, whose fields then count too. So the hash
is a last record with one metadata entry: readers of ONNX see an ordinary entry, and the file is
checked byte by byte before anything in it is read.
"""

import hashlib
from pathlib import Path

import onnx

from stawm.errors import ExportError

KEY = "stawm.sha256"


def _record(digest: str) -> bytes:
    """The bytes of a ModelProto with nothing but this metadata entry."""
    return onnx.ModelProto(metadata_props=[onnx.StringStringEntryProto(key=KEY, value=digest)]).SerializeToString()


LENGTH = len(_record("0" * 64))


def seal(data: bytes) -> bytes:
    """Return a serialised model, not sealed yet, with its seal."""
    return data + _record(hashlib.sha256(data).hexdigest())


def digest(data: bytes) -> str | None:
    """Return the hash that a file claims, or None where it has no seal."""
    record = data[-LENGTH:]
    claimed = record[-64:]
    return claimed.decode("ascii") if claimed.isalnum() and record == _record(claimed.decode("ascii")) else None


def read(path: Path) -> bytes:
    """Read a sealed file.

    Raises:
        ExportError: It cannot be read, is not ours, is truncated, or was altered.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ExportError(f"Cannot read {path}: {error.strerror}.") from error
    check(data, path)
    return data


def check(data: bytes, path: Path) -> None:
    """Raise an ExportError unless a file is whole and as it was written."""
    claimed = digest(data)
    if claimed is None:
        if KEY.encode() in data or b"stawm.config" in data:
            raise ExportError(f"{path} is truncated or was altered: it does not end with the hash that stawm writes.")
        raise ExportError(f"{path} is not an ONNX file that stawm wrote; write one with stawm.export.to_onnx.")
    if hashlib.sha256(memoryview(data)[:-LENGTH]).hexdigest() != claimed:
        raise ExportError(f"{path} was altered after it was written: its contents do not match its hash.")
