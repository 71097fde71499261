"""One safetensors file whose header is sealed: text fields, a table of tensors, and hashes that find every change.

The hash in the header is over the header's own fields and table, the hash of the weights among them, so that
what a file says of itself can be trusted without reading the weights.
"""

import contextlib
import hashlib
import io
import json
import os
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from stawm.errors import CheckpointError, InputError

FORMAT = "1"
MAX_HEADER = 10_000_000
_METADATA, _FORMAT, _SEAL, _WEIGHTS = "__metadata__", "stawm.format", "stawm.sha256", "stawm.weights_sha256"


@dataclass(frozen=True)
class Header:
    """What a file says of itself.

    Attributes:
        fields: Its text fields.
        table: For each tensor its type, shape and place in the file.
        seal: The hash over fields and table.
    """

    fields: Mapping[str, str]
    table: Mapping[str, Mapping[str, Any]]
    seal: str

    @property
    def shapes(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Type and shape of every tensor."""
        return {name: (entry["dtype"], tuple(entry["shape"])) for name, entry in self.table.items()}

    @property
    def values(self) -> int:
        """How many numbers the tensors hold."""
        return sum(prod(entry["shape"]) for entry in self.table.values())


def pack(fields: Mapping[str, str], tensors: Mapping[str, Tensor]) -> bytes:
    """Return the file that holds text fields and tensors."""
    plain = safetensors.torch.save(dict(tensors))
    length = int.from_bytes(plain[:8], "little")
    table, weights = json.loads(plain[8 : 8 + length]), plain[8 + length :]
    metadata = {**fields, _FORMAT: FORMAT, _WEIGHTS: hashlib.sha256(weights).hexdigest()}
    header = _encode({**metadata, _SEAL: _seal(metadata, table)}, table)
    return len(header).to_bytes(8, "little") + header + weights


def read_header(path: Path) -> Header:
    """Read what a file says of itself, and no more than that.

    Raises:
        CheckpointError: The file cannot be read, is foreign, truncated, or its header was altered.
    """
    try:
        with path.open("rb") as file:
            return _header(path, file, os.fstat(file.fileno()).st_size)[0]
    except OSError as error:
        raise CheckpointError(f"Cannot read {path}: {error.strerror}.") from error


def read(path: Path) -> tuple[Header, dict[str, Tensor]]:
    """Read a whole file.

    Raises:
        CheckpointError: The file cannot be read, is foreign, truncated, or was altered.
    """
    read_header(path)  # so that a large foreign file is refused before it is read
    try:
        whole = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"Cannot read {path}: {error.strerror}.") from error
    header, start = _header(path, io.BytesIO(whole), len(whole))
    if hashlib.sha256(memoryview(whole)[start:]).hexdigest() != header.fields[_WEIGHTS]:
        raise CheckpointError(f"{path} was altered after it was saved: its weights do not match their hash.")
    try:
        return header, safetensors.torch.load(whole)
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        reason = re.sub(r"^Error while deserializing( header)?: ", "", str(error))
        raise CheckpointError(f"{path} is damaged: {reason}.") from error


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file under a temporary name and give it its own at the end.

    Raises:
        InputError: The folder is not there or cannot be written.
    """
    if not path.name:
        raise InputError(f"Cannot write {str(path)!r}: it names no file.")
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror}.") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _encode(metadata: Mapping[str, str], table: Mapping[str, Any]) -> bytes:
    header = json.dumps({_METADATA: metadata, **table}, separators=(",", ":")).encode()
    return header + b" " * (-len(header) % 8)


def _seal(metadata: Mapping[str, str], table: Mapping[str, Any]) -> str:
    sealed = {key: value for key, value in metadata.items() if key != _SEAL}
    return hashlib.sha256(json.dumps([sealed, table], sort_keys=True).encode()).hexdigest()


def _header(path: Path, file: io.BufferedIOBase, size: int) -> tuple[Header, int]:
    """Return the header, and where the weights start."""
    start = file.read(8)
    length = int.from_bytes(start, "little")
    _check_start(path, start, length, size)
    raw = file.read(length)
    metadata, table = _parse(path, raw)
    if metadata.get(_FORMAT) is None:
        raise CheckpointError(f"{path} is a safetensors file, but no stawm checkpoint.")
    if metadata[_FORMAT] != FORMAT:
        given = metadata[_FORMAT]
        raise CheckpointError(f"{path} is of checkpoint format {given!r}; this stawm reads format {FORMAT!r}.")
    as_saved = _encode(metadata, table) == raw and _seal(metadata, table) == metadata.get(_SEAL)
    if not as_saved or _WEIGHTS not in metadata:
        raise CheckpointError(f"{path} was altered after it was saved: its header does not match its hash.")
    wanted = 8 + length + max((entry["data_offsets"][1] for entry in table.values()), default=0)
    if size != wanted:
        what = "truncated" if size < wanted else "damaged"
        raise CheckpointError(f"{path} is {what}: it has {size:,} bytes where its header tells of {wanted:,}.")
    return Header(metadata, table, metadata[_SEAL]), 8 + length


def _check_start(path: Path, start: bytes, length: int, size: int) -> None:
    """Raise unless the first bytes are those of a safetensors file with a header of bearable length."""
    if len(start) == 8 and length <= min(MAX_HEADER, size - 8):
        return
    if start[:4] == b"PK\3\4" or (start[:1] == b"\x80" and start[1:2] in b"\2\3\4\5"):
        raise CheckpointError(
            f"{path} is a pickle or a zip, as torch.save writes them, and is not opened: such a file can run code. "
            "Save models with stawm.save."
        )
    if len(start) < 8:
        raise CheckpointError(f"{path} is truncated: {size} bytes hold no header.")
    if length > MAX_HEADER:
        raise CheckpointError(
            f"{path} is no safetensors file, or hostile: it tells of a header of {length:,} bytes, "
            f"where at most {MAX_HEADER:,} are read."
        )
    raise CheckpointError(f"{path} is truncated: its header alone needs {8 + length:,} bytes, the file has {size:,}.")


def _parse(path: Path, header: bytes) -> tuple[dict[str, str], dict[str, Any]]:
    try:
        table = json.loads(header)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged, or no safetensors file: its header is no JSON.") from error
    metadata = table.pop(_METADATA, {}) if isinstance(table, dict) else None
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise CheckpointError(f"{path} is no safetensors file: its metadata is no mapping of texts.")
    if not all(map(_is_entry, table.values())):
        raise CheckpointError(f"{path} is no safetensors file: its table of tensors is malformed.")
    return metadata, table


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("dtype"), str):
        return False
    numbers = (entry.get("shape"), entry.get("data_offsets"))
    are_numbers = all(isinstance(n, list) and all(type(i) is int and i >= 0 for i in n) for n in numbers)
    return are_numbers and len(entry["data_offsets"]) == 2
