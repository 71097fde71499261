"""Models in one ``.safetensors`` file: the weights, and in its header everything needed to use them.

Loading never unpickles, downloads, or imports a path from the file: the header holds registered
names only, and hashes over header and weights find every change.
"""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from stawm._version import __version__
from stawm.errors import CheckpointError, ConfigError, InputError, UnknownNameError
from stawm.models.config import SharedConfig, from_mapping
from stawm.models.construct import components, construct, without_downloads
from stawm.models.model import Model
from stawm.registry import Kind, find
from stawm.storage.file import Header, pack, read, read_header, write_atomically

WEIGHTS = "model.safetensors"
"""What a checkpoint is called in a folder of its own: that of a run, or of a repository."""
_FLOATS = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32, "float64": torch.float64}
T = TypeVar("T")


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
        """Return it as plain JSON values; of the tensors their types and shapes."""
        return {
            "path": str(self.path),
            "preset": self.config.name,
            "version": self.version,
            "versions": dict(self.versions),
            "origins": dict(self.origins),
            "dtype": self.dtype,
            "provenance": dict(self.provenance),
            "sha256": self.sha256,
            "config": self.config.to_dict(),
            "tensors": {name: {"dtype": dtype, "shape": [*shape]} for name, (dtype, shape) in self.tensors.items()},
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
        InputError: It is no stawm model, the provenance is no JSON, the type cannot hold the weights,
            or the folder cannot be written.

    Examples:
        >>> import stawm, tempfile
        >>> model = stawm.build("stawm-digits")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     stawm.save(model, f"{folder}/digits.safetensors", provenance={"seed": 0})
        ...     stawm.load(f"{folder}/digits.safetensors").config == model.config
        True
    """
    if not isinstance(model, Model):
        raise InputError(f"stawm.save takes a model that stawm.build made; got {type(model).__name__}.")
    _check_float(dtype)
    tensors = {name: _stored(name, tensor, dtype) for name, tensor in model.state_dict().items()}
    write_atomically(Path(path), pack(_fields(model, provenance or {}), tensors))


def load(
    path: str | os.PathLike[str], *, device: str | torch.device = "cpu", dtype: torch.dtype | None = None
) -> Model:
    """Read a model back, in evaluation mode; PyTorch's random numbers go on as if nothing had been built.

    Args:
        path: The file.
        device: Where the model goes.
        dtype: Its floating type; the one that it was saved from where left out.

    Raises:
        CheckpointError: The file is damaged, foreign, or needs a component that is not installed.
        InputError: The type is no floating type.
    """
    _check_float(dtype)
    path = Path(path)
    header, tensors = read(path)
    info = _info(path, header)
    model = _construct(info)
    model.to(dtype or _FLOATS[info.dtype])
    model.load_state_dict(_renamed(tensors, model))
    model.config = info.config
    return model.to(device).eval()


def inspect(path: str | os.PathLike[str]) -> CheckpointInfo:
    """Read what a checkpoint says of itself; its weights are neither read nor checked.

    Raises:
        CheckpointError: The file is truncated, foreign, altered in its header, or describes a model
            that is not known here.
    """
    return _info(Path(path), read_header(Path(path)))


def load_weights(model: Model, path: str | os.PathLike[str]) -> None:
    """Fill a model with the weights of a checkpoint.

    A model of which only the readout learns also takes the checkpoint of the model whose glimpses it
    stands on: glimpse loop and memory are filled, its own heads stay as they are.

    Raises:
        CheckpointError: The file is damaged, or is of a model of another form; the model is untouched.
    """
    path = Path(path)
    header, tensors = read(path)
    info = _info(path, header)
    tensors = _renamed(tensors, _outline(info))
    if model.config.is_readout and not info.config.is_readout:
        tensors = _under_heads_of(model, tensors)
    _check_fit(model, tensors, path)
    model.load_state_dict(tensors)


def former_names(model: nn.Module) -> dict[str, str]:
    """Return for each tensor of a model that was renamed the name that files of the first version know it by."""
    own = model.state_dict()
    pairs = [
        (f"{path}.{new}", f"{path}.{old}")
        for path, module in model.named_modules()
        for new, old in getattr(module, "formerly", {}).items()
    ]
    return {new: old for new, old in pairs if new in own and old not in own}


def library_versions() -> dict[str, str]:
    """Return the versions of what decides a model's numbers."""
    return {"python": platform.python_version(), **{name: version(name) for name in ("torch", "torchvision", "timm")}}


def _fields(model: Model, provenance: Mapping[str, Any]) -> dict[str, str]:
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    try:
        noted = json.dumps(dict(provenance), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"provenance must hold plain JSON values: {error}.") from error
    origins = {f"{kind}.{part.name}": _origin(kind, part.name) for kind, part in components(model.config)}
    return {
        "stawm.version": __version__,
        "stawm.config": json.dumps(model.config.to_dict(), sort_keys=True),
        "stawm.origins": json.dumps(origins, sort_keys=True),
        "stawm.dtype": str(dtype).removeprefix("torch."),
        "stawm.versions": json.dumps(library_versions(), sort_keys=True),
        "stawm.provenance": noted,
    }


def _origin(kind: Kind, name: str) -> str:
    origin = find(kind, name).origin
    return f"stawm {__version__}" if origin == "stawm" else origin


def _check_float(dtype: torch.dtype | None) -> None:
    if dtype is not None and dtype not in _FLOATS.values():
        raise InputError(f"dtype must be one of torch.{', torch.'.join(_FLOATS)}; got {dtype}.")


def _stored(name: str, tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    kept = tensor.detach().to("cpu", dtype if tensor.is_floating_point() else None)
    if dtype is not None and tensor.isfinite().all() and not kept.isfinite().all():
        raise InputError(f"{dtype} cannot hold {name}: it reaches {tensor.abs().max().item():.3g}.")
    return kept.contiguous().clone()


def _info(path: Path, header: Header) -> CheckpointInfo:
    try:
        mappings = ("config", "origins", "versions", "provenance")
        loaded = {key: json.loads(header.fields[f"stawm.{key}"]) for key in mappings}
        wrote, dtype = header.fields["stawm.version"], header.fields["stawm.dtype"]
    except (ValueError, KeyError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged: its header cannot be understood ({error}).") from error
    if dtype not in _FLOATS or not all(isinstance(value, dict) for value in loaded.values()):
        raise CheckpointError(f"{path} is damaged: its header holds values of the wrong form.")
    try:
        config = from_mapping(loaded["config"])
    except (ConfigError, UnknownNameError) as error:
        advice = _advice(loaded["origins"])
        raise CheckpointError(f"{path} describes a model that is not known here: {error}{advice}") from error
    return CheckpointInfo(
        path=path,
        config=config,
        version=wrote,
        versions=loaded["versions"],
        origins=loaded["origins"],
        dtype=dtype,
        provenance=loaded["provenance"],
        sha256=header.seal,
        tensors=header.shapes,
    )


def _advice(origins: Mapping[str, Any]) -> str:
    """Say which distributions brought the components that are not found here."""
    return "".join(f" {key} came with {origin}: install that." for key, origin in origins.items() if not _is_known(key))


def _is_known(key: str) -> bool:
    kind, _, name = key.partition(".")
    try:
        find(kind, name)
    except UnknownNameError:
        return False
    return True


def _construct(info: CheckpointInfo) -> Model:
    """Build the model of a file whose tensors it fits; nothing large is made before that is known."""
    outline = _outline(info)
    shapes = {name: shape for name, (_, shape) in info.tensors.items()}
    _check_fit(outline, _renamed(shapes, outline), info.path)
    with torch.random.fork_rng(devices=[]):
        return construct(without_downloads(info.config))


def _outline(info: CheckpointInfo) -> Model:
    try:
        with torch.device("meta"):
            return construct(without_downloads(info.config))
    except Exception as error:  # whatever a component says of sizes that nobody would give it
        raise CheckpointError(f"{info.path}: the model that it describes cannot be built here: {error}") from error


def _renamed(tensors: Mapping[str, T], model: Model) -> dict[str, T]:
    """Return what a file holds, with the former names of the model that it is of replaced by those of today."""
    renamed = {old: new for new, old in former_names(model).items() if new not in tensors}
    return {renamed.get(name, name): tensor for name, tensor in tensors.items()}


def _under_heads_of(model: Model, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a model's own heads on the rest of the tensors, but for an inverse pose that this model does not have."""
    own = model.state_dict()
    heads = {name: tensor for name, tensor in own.items() if name.startswith("heads.")}
    known = (name for name in tensors if name in own or not name.startswith("loop.inverse_emitter."))
    return heads | {name: tensors[name] for name in known if not name.startswith("heads.")}


def _check_fit(model: Model, tensors: Mapping[str, Tensor | tuple[int, ...]], path: Path) -> None:
    """Raise unless the tensors, or their shapes, are those of the model."""
    own = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    given = {name: tuple(t.shape) if isinstance(t, Tensor) else t for name, t in tensors.items()}
    lists = {
        "missing": [name for name in own if name not in given],
        "unexpected": sorted(name for name in given if name not in own),
        "of another shape": [
            f"{name} ({given[name]} for {shape})" for name, shape in own.items() if given.get(name, shape) != shape
        ],
    }
    if any(lists.values()):
        said = "; ".join(f"{label}: {_shorten(names)}" for label, names in lists.items() if names)
        raise CheckpointError(f"{path} does not fit {model.config.name}: {said}.")


def _shorten(names: list[str]) -> str:
    return ", ".join([*names[:4], *([f"and {len(names) - 4} more"] if len(names) > 4 else [])])
