"""One safetensors file whose header is sealed: text fields, a table of tensors, and hashes that find every change.

The hash in the header is over the header's own fields and table, the hash of the weights among them, so that
what a file says of itself can be trusted without reading the weights.
"""

import contextlib
import hashlib
import json
import os
import re
import stat
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from stawm.errors import CheckpointError, InputError, shown
from stawm.storage.integers import SCALE
from stawm.storage.opening import as_path, check_memory, open_regular
from stawm.storage.recognise import FileKind, of_bytes

FORMAT = "1"
INT8_FORMAT = "2"
"""The form of a file of which some tensors are 8-bit integers."""
INT4_FORMAT = "3"
"""The form of a file of which some tensors are bytes of two 4-bit integers."""
MAX_HEADER = 10_000_000
"""How many bytes a header may have."""
MAX_TENSORS = 10_000
"""How many tensors a file may hold."""
MAX_AXES = 16
"""How many axes a tensor may have."""
MAX_BYTES = 2**63
"""What sizes and places of tensors are smaller than."""
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
    """Return the file that holds text fields and tensors.

    Raises:
        InputError: It would be a file that `read` refuses: with too many tensors, or a header that is too long.
    """
    if len(tensors) > MAX_TENSORS:
        raise InputError(f"A file holds at most {MAX_TENSORS:,} tensors; got {len(tensors):,}.")
    plain = safetensors.torch.save(dict(tensors))
    length = int.from_bytes(plain[:8], "little")
    table, weights = json.loads(plain[8 : 8 + length]), plain[8 + length :]
    metadata = {**fields, _FORMAT: _form(tensors), _WEIGHTS: hashlib.sha256(weights).hexdigest()}
    header = _encode({**metadata, _SEAL: _seal(metadata, table)}, table)
    if len(header) > MAX_HEADER:
        longest = max(fields, key=lambda key: len(fields[key]), default="the names of tensors")
        raise InputError(
            f"The header would have {len(header):,} bytes, of which at most {MAX_HEADER:,} are read back: "
            f"keep less with the model (most of it is {longest.removeprefix('stawm.')})."
        )
    return len(header).to_bytes(8, "little") + header + weights


def read_header(path: Path) -> Header:
    """Read what a file says of itself, and no more than that.

    Raises:
        CheckpointError: The file cannot be read, is foreign, truncated, or its header was altered.
    """
    with open_regular(path, CheckpointError) as file:
        return _header(path, file)[0]


def read(path: Path, *, known: Header | None = None, sha256: str | None = None) -> tuple[Header, dict[str, Tensor]]:
    """Read a whole file.

    Args:
        path: The file.
        known: The header that was read before, if it was: the file must still have it.
        sha256: The hash that the file, or its header, must have, if one is known.

    Raises:
        CheckpointError: The file cannot be read, is foreign, truncated, was altered, or is another one.
    """
    with open_regular(path, CheckpointError) as file:
        header, start = _header(path, file)  # so that a large foreign file is refused before it is read
        if known is not None and header.seal != known.seal:
            raise CheckpointError(f"{path} became another file while it was read.")
        size = os.fstat(file.fileno()).st_size
        check_memory(path, size, CheckpointError)
        try:
            file.seek(0)
            whole = file.read(size)
        except OSError as error:
            raise CheckpointError(f"Cannot read {path}: {error.strerror}.") from error
    if sha256 is not None and sha256 not in (header.seal, hashlib.sha256(whole).hexdigest()):
        raise CheckpointError(f"{path} is not the file that was asked for: its sha256 is {header.seal}, not {sha256}.")
    if hashlib.sha256(memoryview(whole)[start:]).hexdigest() != header.fields[_WEIGHTS]:
        raise CheckpointError(f"{path} was altered after it was saved: its weights do not match their hash.")
    try:
        return header, safetensors.torch.load(whole)
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        reason = re.sub(r"^Error while deserializing( header)?: ", "", str(error))
        raise CheckpointError(f"{path} is damaged: {reason}.") from error


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file under a temporary name and give it its own at the end.

    Where the path is a symbolic link, the file that it leads to is replaced, and the link stays.

    Raises:
        InputError: The folder is not there or cannot be written, or what is there is no regular file.
    """
    path = _place(path)
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


def _place(path: Path) -> Path:
    """Return where a file is written: what a link leads to; never over a device, a pipe or a folder."""
    path = as_path(path)
    if not path.name:
        raise InputError(f"Cannot write {str(path)!r}: it names no file.")
    try:
        place = path.resolve() if path.is_symlink() else path
        mode = place.lstat().st_mode if os.path.lexists(place) else stat.S_IFREG
    except (OSError, RuntimeError) as error:  # RuntimeError: links that lead round in a circle
        raise InputError(f"Cannot write {path}: {getattr(error, 'strerror', None) or error}.") from error
    if stat.S_ISDIR(mode):
        raise InputError(f"Cannot write {path}: Is a directory.")
    if not stat.S_ISREG(mode):
        raise InputError(f"Cannot write {path}: it is a device, a pipe or a socket, and would be replaced by a file.")
    return place


def _form(tensors: Mapping[str, Tensor]) -> str:
    if any(tensor.dtype == torch.uint8 and name + SCALE in tensors for name, tensor in tensors.items()):
        return INT4_FORMAT
    return INT8_FORMAT if any(tensor.dtype == torch.int8 for tensor in tensors.values()) else FORMAT


def _encode(metadata: Mapping[str, str], table: Mapping[str, Any]) -> bytes:
    header = json.dumps({_METADATA: metadata, **table}, separators=(",", ":")).encode()
    return header + b" " * (-len(header) % 8)


def _seal(metadata: Mapping[str, str], table: Mapping[str, Any]) -> str:
    sealed = {key: value for key, value in metadata.items() if key != _SEAL}
    return hashlib.sha256(json.dumps([sealed, table], sort_keys=True).encode()).hexdigest()


def _header(path: Path, file: IO[bytes]) -> tuple[Header, int]:
    """Return the header, and where the weights start."""
    size = os.fstat(file.fileno()).st_size
    try:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        _check_start(path, start + file.read(64), length, size)
        file.seek(8)
        raw = file.read(length)
    except OSError as error:
        raise CheckpointError(f"Cannot read {path}: {error.strerror}.") from error
    metadata, table = _parse(path, raw)
    if metadata.get(_FORMAT) is None:
        raise CheckpointError(f"{path} is a safetensors file, but no stawm checkpoint.")
    if metadata[_FORMAT] not in (FORMAT, INT8_FORMAT, INT4_FORMAT):
        given = shown(metadata[_FORMAT])
        raise CheckpointError(
            f"{path} is of checkpoint format {given}; this stawm reads {FORMAT}, {INT8_FORMAT} and {INT4_FORMAT}."
        )
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
    if size >= 8 and length <= min(MAX_HEADER, size - 8):
        return
    kind = of_bytes(start)
    if kind in (FileKind.PICKLE, FileKind.ZIP):
        raise CheckpointError(
            f"{path} is a pickle or a zip, as torch.save writes them, and is not opened: such a file can run code. "
            "Save models with stawm.save."
        )
    if kind is FileKind.ONNX:
        raise CheckpointError(
            f"{path} is an ONNX graph, not a checkpoint: graphs are for stawm run, verify and stawm.export.OnnxModel."
        )
    if kind in (FileKind.LFS, FileKind.HTML, FileKind.IMAGE, FileKind.EMPTY):
        short = " (truncated)" if kind is FileKind.EMPTY else ""
        raise CheckpointError(f"{path} is no checkpoint: it is {kind}{short}.")
    if size < 8:
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
    if isinstance(table, dict) and len(table) > MAX_TENSORS + 1:
        raise CheckpointError(f"{path} tells of {len(table):,} tensors, where at most {MAX_TENSORS:,} are read.")
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
    are_numbers = all(
        isinstance(n, list) and len(n) <= MAX_AXES and all(type(i) is int and 0 <= i < MAX_BYTES for i in n)
        for n in numbers
    )
    return are_numbers and len(entry["data_offsets"]) == 2
