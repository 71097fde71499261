"""Models in one ``.safetensors`` file: the weights, and in its header everything needed to use them.

Loading never unpickles, downloads, or imports a path from the file: the header holds registered
names only, and hashes over header and weights find every change.
"""

import json
import logging
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stawm._version import __version__
from stawm.configuration.limits import read_json, too_much, too_much_for_config
from stawm.errors import CheckpointError, InputError, shown
from stawm.models.construct import components, construct, without_downloads
from stawm.models.model import Model
from stawm.network import origin_of
from stawm.registry import Kind, find
from stawm.storage import integers
from stawm.storage.file import Header, pack, read, read_header, write_atomically
from stawm.storage.fitting import Loaded, check_fit, choose, renamed, under_heads_of
from stawm.storage.fitting import former_names as former_names
from stawm.storage.hashing import check_stopping
from stawm.storage.info import FLOATS, STOPPING, info_of
from stawm.storage.info import CheckpointInfo as CheckpointInfo
from stawm.storage.opening import as_path

logger = logging.getLogger(__name__)
WEIGHTS = "model.safetensors"
"""What a checkpoint is called in a folder of its own: that of a run, or of a repository."""
PARTLY = (
    " To take what fits and begin the rest at random, say so: partial=True in stawm.build, --partial in `stawm train`."
)
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_WRAPPERS = ("_orig_mod", "module")
"""Where torch.compile and data parallelism keep the model that they wrap."""


def save(
    model: Model,
    path: str | os.PathLike[str],
    *,
    provenance: Mapping[str, Any] | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Write a model to one file, whole or not at all.

    Args:
        model: The model; one that torch.compile, DataParallel or DistributedDataParallel wraps is taken out of it.
        path: Where to; an existing file is replaced at the end, in one step, and a link to one is followed.
        provenance: JSON values to keep with it: seed, data, recipe, measured error.
        dtype: The type to store the weights in: a floating one, or torch.int8 for about a quarter of float32's size,
            torch.int4 for about a seventh, rounded as `stawm.storage.integers` says; the model's own where left out.

    Raises:
        InputError: It is no stawm model, the provenance is no JSON or more than a file may hold, the type cannot
            hold the weights, its thresholds to stop by are of other weights, or the file cannot be written.

    Examples:
        >>> import stawm, tempfile
        >>> model = stawm.build("stawm-digits")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     stawm.save(model, f"{folder}/digits.safetensors", provenance={"seed": 0})
        ...     stawm.load(f"{folder}/digits.safetensors").config == model.config
        True
    """
    path, model = as_path(path, "A checkpoint"), _unwrapped(model)
    _check_type(dtype, {**FLOATS, "int8": torch.int8, "int4": integers.INT4})
    fields = _fields(model, {} if provenance is None else provenance)
    tensors = _tensors(model, dtype)
    _check_stopping(model, tensors)
    write_atomically(path, pack(fields, tensors))


def _check_stopping(model: Model, tensors: Mapping[str, Tensor]) -> None:
    """Raise an InputError where thresholds to stop by are not those of the weights that are stored."""
    check_stopping(model)
    if model.stopping is None:
        return
    read_back = integers.decode(tensors)
    if any(not torch.equal(read_back[name].to(kept), kept.cpu()) for name, kept in model.state_dict().items()):
        raise InputError(
            "The thresholds in model.stopping were tuned for the weights as they are, and this type rounds them: leave "
            "out dtype, or set model.stopping = None."
        )


def load(
    path: str | os.PathLike[str],
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    sha256: str | None = None,
) -> Model:
    """Read a model back, in evaluation mode; PyTorch's random numbers go on as if nothing had been built.

    Thresholds to stop by come with it, unless its floating type is changed: they hold for the weights as they were.

    Args:
        path: The file.
        device: Where the model goes.
        dtype: Its floating type; the one that it was saved from where left out.
        sha256: What the file must be: the hash that `inspect` shows, or that of the whole file as ``sha256sum`` and
            the Hugging Face hub show it.

    Raises:
        CheckpointError: The file is damaged, foreign, another one than ``sha256`` says, or needs a component that is
            not installed.
        InputError: The type is no floating type, or there is no such device here.
    """
    _check_type(dtype, FLOATS)
    _check_device(device)
    path = as_path(path, "A checkpoint")
    known = read_header(path)
    info = info_of(path, known)
    model = _construct(info)
    tensors = _read(path, known, sha256)  # not before they are known to fit
    model.to(dtype or FLOATS[info.dtype])
    model.load_state_dict(renamed(tensors, model))
    model.config = info.config
    model.loaded = _loaded(model, info)
    model.stopping = info.stopping if dtype in (None, FLOATS[info.dtype]) else None
    return model.to(device).eval()


def inspect(path: str | os.PathLike[str]) -> CheckpointInfo:
    """Read what a checkpoint says of itself; its weights are neither read nor checked.

    Raises:
        CheckpointError: The file is truncated, foreign, altered in its header, or describes a model
            that is not known here.
    """
    path = as_path(path, "A checkpoint")
    return info_of(path, read_header(path))


def load_weights(
    model: Model, path: str | os.PathLike[str], *, partial: bool = False, sha256: str | None = None
) -> Loaded:
    """Fill a model with the weights of a checkpoint.

    A model of which only the readout learns also takes the checkpoint of the model whose glimpses it
    stands on: glimpse loop and memory are filled, its own heads stay as they are.

    Args:
        model: The model.
        path: The checkpoint.
        partial: Take what is of the same name and shape, and of heads for other classes the rows of the classes that
            both name; the rest of the model stays as it is.
        sha256: What the file must be, as in `load`.

    Returns:
        What was taken, what was left and what is new; it is kept as the model's ``loaded`` too.

    Raises:
        CheckpointError: The file is damaged, or is of a model of another form; the model is untouched.
    """
    path = as_path(path, "A checkpoint")
    if not isinstance(model, Model):
        raise InputError(f"Weights go into a model that stawm.build made; got {type(model).__name__}.")
    known = read_header(path)
    info = info_of(path, known)
    outline = _outline(info)
    check_fit(outline, renamed(_shapes(info), outline), path)
    tensors = renamed(_read(path, known, sha256), outline)
    loaded = _loaded(model, info)
    if partial:
        tensors, loaded = choose(model, tensors, info.config, loaded)
        if not loaded.whole:
            logger.warning(str(loaded))
    elif model.config.is_readout and not info.config.is_readout:
        own = tuple(name for name in model.state_dict() if name.startswith("heads."))
        tensors = under_heads_of(model, tensors)
        loaded = replace(loaded, taken=tuple(name for name in loaded.taken if name not in own), new=own)
    check_fit(model, tensors, path, PARTLY)
    model.load_state_dict(tensors)
    model.loaded = loaded
    return loaded


def _loaded(model: Model, info: CheckpointInfo) -> Loaded:
    repository, revision = origin_of(info.path)
    taken = tuple(model.state_dict())
    return Loaded(path=info.path, sha256=info.sha256, repository=repository, revision=revision, taken=taken)


def library_versions() -> dict[str, str]:
    """Return the versions of what decides a model's numbers."""
    return {"python": platform.python_version(), **{name: version(name) for name in ("torch", "torchvision", "timm")}}


def checked_hash(sha256: Any) -> str | None:
    """Return a hash that was given, in lower case.

    Raises:
        InputError: It is none.
    """
    if sha256 is None:
        return None
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise InputError(f"sha256 must be 64 hexadecimal digits; got {shown(sha256)}.")
    return sha256.lower()


def _unwrapped(model: Any) -> Model:
    """Return the model itself, of one that is compiled or runs in parallel."""
    found = model
    while not isinstance(found, Model) and isinstance(found, nn.Module):
        found = next(
            (getattr(found, name) for name in _WRAPPERS if isinstance(getattr(found, name, None), nn.Module)), None
        )
    if not isinstance(found, Model):
        raise InputError(f"stawm.save takes a model that stawm.build made; got {type(model).__name__}.")
    return found


def _fields(model: Model, provenance: Any) -> dict[str, str]:
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    origins = {f"{kind}.{part.name}": _origin(kind, part.name) for kind, part in components(model.config)}
    if found := too_much_for_config(model.config.to_dict()):
        raise InputError(f"The configuration is more than a checkpoint may hold: {found}.")
    return {
        "stawm.version": __version__,
        "stawm.config": json.dumps(model.config.to_dict(), sort_keys=True),
        "stawm.origins": json.dumps(origins, sort_keys=True),
        "stawm.dtype": str(dtype).removeprefix("torch."),
        "stawm.versions": json.dumps(library_versions(), sort_keys=True),
        "stawm.provenance": _noted(provenance),
        **({} if model.stopping is None else {STOPPING: json.dumps(model.stopping.as_dict(), sort_keys=True)}),
    }


def _noted(provenance: Any) -> str:
    """Return what is noted with a model as JSON that `load` reads."""
    try:
        if not isinstance(provenance, Mapping):
            raise TypeError(f"it must be a mapping, got {shown(provenance)}")
        noted = json.dumps(dict(provenance), sort_keys=True, allow_nan=False)
        values = read_json(noted)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"provenance must hold plain JSON values: {error}.") from error
    if found := too_much(values):
        raise InputError(f"provenance is more than a checkpoint may hold: {found}.")
    return noted


def _origin(kind: Kind, name: str) -> str:
    origin = find(kind, name).origin
    return f"stawm {__version__}" if origin == "stawm" else origin


def _check_type(dtype: Any, legal: Mapping[str, torch.dtype]) -> None:
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype in legal.values()):
        raise InputError(f"dtype must be one of torch.{', torch.'.join(legal)}; got {shown(dtype)}.")


def _check_device(device: Any) -> None:
    try:
        torch.empty(0, device=device)
    except Exception as error:  # of many kinds, by the device
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"There is no device {shown(device)} here: {said}.") from error


def _read(path: Path, known: Header, sha256: str | None) -> dict[str, Tensor]:
    return integers.decode(read(path, known=known, sha256=checked_hash(sha256))[1])


def _tensors(model: Model, dtype: torch.dtype | None) -> dict[str, Tensor]:
    """Return what is stored of a model: its tensors in a floating type or, of large ones, integers and scales."""
    if dtype in (torch.int8, integers.INT4):
        return integers.encode(_tensors(model, None), dtype)
    return {name: _stored(name, tensor, dtype) for name, tensor in model.state_dict().items()}


def _stored(name: str, tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    kept = tensor.detach().to("cpu", dtype if tensor.is_floating_point() else None)
    if dtype is not None and tensor.isfinite().all() and not kept.isfinite().all():
        raise InputError(f"{dtype} cannot hold {name}: it reaches {tensor.abs().max().item():.3g}.")
    return kept.contiguous().clone()


def _construct(info: CheckpointInfo) -> Model:
    """Build the model of a file whose tensors it fits; nothing large is made before that is known."""
    outline = _outline(info)
    check_fit(outline, renamed(_shapes(info), outline), info.path)
    with torch.random.fork_rng(devices=[]):
        return construct(without_downloads(info.config))


def _shapes(info: CheckpointInfo) -> dict[str, tuple[int, ...]]:
    return {name: shape for name, (_, shape) in info.tensors.items()}


def _outline(info: CheckpointInfo) -> Model:
    try:
        with torch.device("meta"):
            return construct(without_downloads(info.config))
    except Exception as error:  # whatever a component says of sizes that nobody would give it
        raise CheckpointError(f"{info.path}: the model that it describes cannot be built here: {error}") from error
