"""One ``.safetensors`` file: the weights, and in its header everything needed to use them.

Loading never unpickles, downloads, or imports a path from the file: the header holds registered
names only, and a hash over header and weights finds every change.
"""

import hashlib
import json
import os
import platform
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from stawm._version import __version__
from stawm.errors import CheckpointError, ConfigError, InputError, UnknownNameError
from stawm.factory import components, construct
from stawm.heads.model import Model
from stawm.heads.model_config import SharedConfig, from_mapping
from stawm.registry import find

FORMAT = "1"
MAX_HEADER = 10_000_000
_FLOATS = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32, "float64": torch.float64}
_FIELDS = ("stawm.format", "stawm.version", "stawm.config", "stawm.origins", "stawm.dtype", "stawm.versions", "stawm.provenance")


@dataclass(frozen=True, kw_only=True)
class CheckpointInfo:
    """What a checkpoint says of itself, read without its weights.

    Attributes:
        path: The file.
        config: The model's complete configuration.
        version: The stawm that wrote it.
        versions: The libraries that it was written with.
        origins: The distribution that each component came from.
        dtype: The model's floating type; the file may hold fewer bits.
        provenance: What the writer noted: seed, data, measured error.
        sha256: The hash over header and weights.
        tensors: Name to type and shape of every tensor.
    """

    path: Path
    config: SharedConfig
    version: str
    versions: Mapping[str, str]
    origins: Mapping[str, str]
    dtype: str
    provenance: Mapping[str, Any]
    sha256: str
    tensors: Mapping[str, tuple[str, tuple[int, ...]]] = field(repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "path": str(self.path),
            "preset": self.config.name,
            "version": self.version,
            "versions": dict(self.versions),
            "origins": dict(self.origins),
            "dtype": self.dtype,
            "provenance": dict(self.provenance),
            "sha256": self.sha256,
            "parameters": sum(_count(shape) for _, shape in self.tensors.values()),
            "config": self.config.to_dict(),
        }


def save(
    model: Model,
    path: str | os.PathLike[str],
    *,
    provenance: Mapping[str, Any] | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Write a model to one file, whole or not at all.

    Args:
        model: The model.
        path: Where to; an existing file is replaced at the end, in one step.
        provenance: JSON values to keep with it: seed, data, recipe, measured error.
        dtype: The floating type to store the weights in; the model's own where left out.

    Raises:
        InputError: It is no stawm model, the provenance is no JSON, or the folder cannot be written.

    Examples:
        >>> import stawm
        >>> model = stawm.build("stawm-digits")
        >>> stawm.save(model, "digits.safetensors", provenance={"seed": 0})
        >>> stawm.load("digits.safetensors").config == model.config
        True
    """
    if not isinstance(model, Model):
        raise InputError(f"stawm.save takes a model that stawm.build made; got {type(model).__name__}.")
    tensors = {name: _stored(tensor, dtype) for name, tensor in model.state_dict().items()}
    header = _header(model, provenance or {})
    header["stawm.sha256"] = _digest(header, tensors)
    write_atomically(Path(path), safetensors.torch.save(tensors, metadata=header))


def load(
    path: str | os.PathLike[str], *, device: str | torch.device = "cpu", dtype: torch.dtype | None = None
) -> Model:
    """Read a model back, in evaluation mode.

    Args:
        path: The file.
        device: Where the model goes.
        dtype: Its floating type; the one that it was saved from where left out.

    Raises:
        CheckpointError: The file is damaged, foreign, or needs a component that is not installed.
    """
    info, tensors = _read(Path(path))
    try:
        model = construct(_without_downloads(info.config))
    except (ConfigError, UnknownNameError) as error:
        raise CheckpointError(f"{path}: the model that it describes cannot be built here: {error}") from error
    model.to(dtype or _FLOATS[info.dtype])
    _fill(model, tensors, Path(path))
    model.config = info.config
    return model.to(device).eval()


def inspect(path: str | os.PathLike[str]) -> CheckpointInfo:
    """Read what a checkpoint says of itself; its weights are neither read nor checked.

    Raises:
        CheckpointError: The file is truncated, foreign, or describes no model.
    """
    return _info(Path(path), *_read_header(Path(path)))


def load_weights(model: Model, path: Path) -> None:
    """Fill a model with the weights of a checkpoint.

    Raises:
        CheckpointError: The file is damaged, or is of a model of another form; the model is untouched.
    """
    _, tensors = _read(path)
    _fill(model, tensors, path)


def shipped_weights(name: str) -> Path:
    """Return the path of the weights that come with the package for a preset.

    Raises:
        CheckpointError: None come for that preset.
    """
    folder = Path(str(resources.files("stawm"))) / "weights"
    path = folder / f"{name}.safetensors"
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in folder.glob("*.safetensors"))) or "no preset yet"
        raise CheckpointError(f"No weights come with stawm for {name!r}; they come for: {there}.")
    return path


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file under a temporary name and give it its own at the end.

    Raises:
        InputError: The folder is not there or cannot be written.
    """
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror} ({path.parent}).") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise InputError(f"Cannot write {path}: {error.strerror}.") from error


def origins(config: SharedConfig) -> dict[str, str]:
    """Return the distribution of every component that a model uses."""
    return {f"{kind}.{part.name}": find(kind, part.name).origin for kind, part in components(config)}


def library_versions() -> dict[str, str]:
    """Return the versions of what decides a model's numbers."""
    return {"python": platform.python_version(), **{name: version(name) for name in ("torch", "torchvision", "timm")}}


def _header(model: Model, provenance: Mapping[str, Any]) -> dict[str, str]:
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    try:
        noted = json.dumps(dict(provenance), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"provenance must hold plain JSON values: {error}.") from error
    return {
        "stawm.format": FORMAT,
        "stawm.version": __version__,
        "stawm.config": json.dumps(model.config.to_dict(), sort_keys=True),
        "stawm.origins": json.dumps(origins(model.config), sort_keys=True),
        "stawm.dtype": str(dtype).removeprefix("torch."),
        "stawm.versions": json.dumps(library_versions(), sort_keys=True),
        "stawm.provenance": noted,
    }


def _stored(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    tensor = tensor.detach().to("cpu", dtype if dtype and tensor.is_floating_point() else None)
    return tensor.contiguous().clone()


def _digest(header: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for key in _FIELDS:
        digest.update(f"{key}={header.get(key, '')}\n".encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _read_header(path: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the metadata and the table of tensors, reading no more than the header."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            length = int.from_bytes(start, "little")
            _check_start(path, start, length, size)
            table = json.loads(file.read(length))
    except OSError as error:
        raise CheckpointError(f"Cannot read {path}: {error.strerror}.") from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged: its header is no JSON.") from error
    metadata = table.pop("__metadata__", {}) if isinstance(table, dict) else {}
    missing = [key for key in (*_FIELDS, "stawm.sha256") if not isinstance(metadata.get(key), str)]
    if missing:
        raise CheckpointError(f"{path} is no stawm checkpoint: its header lacks {', '.join(missing)}.")
    if metadata["stawm.format"] != FORMAT:
        raise CheckpointError(
            f"{path} is of checkpoint format {metadata['stawm.format']!r}; this stawm ({__version__}) reads format {FORMAT!r}."
        )
    return metadata, table


def _check_start(path: Path, start: bytes, length: int, size: int) -> None:
    if start[:2] == b"PK" or start[:1] == b"\x80":
        raise CheckpointError(
            f"{path} is a pickle or a zip, as torch.save writes them, and is not opened: such a file can run code. "
            "Save models with stawm.save."
        )
    if len(start) < 8 or size < 10:
        raise CheckpointError(f"{path} is truncated: {size} bytes hold no header.")
    if length > MAX_HEADER:
        raise CheckpointError(
            f"{path} is no safetensors file, or hostile: it claims a header of {length:,} bytes; at most {MAX_HEADER:,} are read."
        )
    if 8 + length > size:
        raise CheckpointError(f"{path} is truncated: its header alone needs {8 + length:,} bytes, the file has {size:,}.")


def _info(path: Path, metadata: Mapping[str, str], table: Mapping[str, Any]) -> CheckpointInfo:
    try:
        loaded = {key: json.loads(metadata[f"stawm.{key}"]) for key in ("config", "origins", "versions", "provenance")}
        tensors = {name: (str(entry["dtype"]), tuple(entry["shape"])) for name, entry in table.items()}
    except (ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"{path} is damaged: its header cannot be understood ({error}).") from error
    if not all(isinstance(value, dict) for value in loaded.values()) or metadata["stawm.dtype"] not in _FLOATS:
        raise CheckpointError(f"{path} is damaged: its header holds values of the wrong form.")
    try:
        config = from_mapping(loaded["config"])
    except (ConfigError, UnknownNameError) as error:
        foreign = sorted({o for o in loaded["origins"].values() if isinstance(o, str) and o.split()[0] != "stawm"})
        advice = f" It was saved with components from {', '.join(foreign)}: install that." if foreign else ""
        raise CheckpointError(f"{path} describes a model that this stawm does not know: {error}{advice}") from error
    return CheckpointInfo(
        path=path,
        config=config,
        version=metadata["stawm.version"],
        versions=loaded["versions"],
        origins=loaded["origins"],
        dtype=metadata["stawm.dtype"],
        provenance=loaded["provenance"],
        sha256=metadata["stawm.sha256"],
        tensors=tensors,
    )


def _read(path: Path) -> tuple[CheckpointInfo, dict[str, Tensor]]:
    metadata, table = _read_header(path)
    try:
        tensors = safetensors.torch.load(path.read_bytes())
    except (SafetensorError, ValueError, KeyError) as error:
        reason = re.sub(r"^Error while deserializing( header)?: ", "", str(error))
        raise CheckpointError(f"{path} is damaged or truncated: {reason}.") from error
    if _digest(metadata, tensors) != metadata["stawm.sha256"]:
        raise CheckpointError(f"{path} was altered after it was saved: its contents do not match its hash.")
    return _info(path, metadata, table), tensors


def _without_downloads(config: SharedConfig) -> SharedConfig:
    """Switch off every ``pretrained`` of a backbone: the checkpoint holds the weights."""
    changes = {
        key: getattr(config, key).replace(pretrained=False)
        for key in ("context", "backbone")
        if getattr(getattr(config, key, None), "pretrained", False)
    }
    return config.replace(**changes) if changes else config


def _fill(model: Model, tensors: Mapping[str, Tensor], path: Path) -> None:
    own = model.state_dict()
    lists = {
        "missing": [name for name in own if name not in tensors],
        "unexpected": [name for name in tensors if name not in own],
        "of another shape": [
            f"{name} ({tuple(tensors[name].shape)} for {tuple(own[name].shape)})"
            for name in own
            if name in tensors and tensors[name].shape != own[name].shape
        ],
    }
    if any(lists.values()):
        said = "; ".join(f"{label}: {', '.join(_shorten(names))}" for label, names in lists.items() if names)
        raise CheckpointError(f"{path} does not fit {model.config.name}: {said}.")
    model.load_state_dict(dict(tensors))


def _shorten(names: list[str], limit: int = 4) -> list[str]:
    return names if len(names) <= limit else [*names[:limit], f"and {len(names) - limit} more"]


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for side in shape:
        count *= side
    return count


__all__ = ["CheckpointInfo", "inspect", "load", "load_weights", "save", "shipped_weights", "write_atomically"]
