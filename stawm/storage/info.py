"""What a checkpoint says of itself: checked against what a file may say, before anything is made of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from stawm import registry
from stawm.configuration.limits import MAX_KEYS, read_json, too_much_for_config
from stawm.errors import CheckpointError, ConfigError, UnknownNameError, shown
from stawm.models import stopping
from stawm.models.config import SharedConfig, from_mapping
from stawm.models.stopping import Stopping
from stawm.storage.file import Header
from stawm.storage.integers import I4, INT4, without_scales

FLOATS = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32, "float64": torch.float64}
"""The floating types that a model may be of."""
_WEIGHTS = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64, "I8": torch.int8}
_TYPES = frozenset((*_WEIGHTS, "I64", "I32", "U8", "BOOL"))
"""What the tensors of a model are, in the words of the format."""
STOPPING = stopping.KEY
"""The field that holds thresholds to stop by, in checkpoints and graphs that have some."""


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
        tensors: Name to type, as it is stored, and shape of every tensor; I4 is the type of weights in 4 bits.
        stopping: When the model has looked enough; None where that was not tuned.
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
    stopping: Stopping | None = None

    @property
    def storage(self) -> torch.dtype | None:
        """What to give `stawm.save` as dtype to store the weights as here; None where floats are of several types."""
        kinds = {kind for kind, _ in self.tensors.values()}
        if I4 in kinds:
            return INT4
        found = {_WEIGHTS[kind] for kind in kinds if kind in _WEIGHTS}
        if torch.int8 in found:
            return torch.int8
        return found.pop() if len(found) == 1 else None

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
            **({} if self.stopping is None else {"stopping": self.stopping.as_dict()}),
            "config": self.config.to_dict(),
            "tensors": {name: {"dtype": dtype, "shape": [*shape]} for name, (dtype, shape) in self.tensors.items()},
        }


def info_of(path: Path, header: Header) -> CheckpointInfo:
    """Return what the header of a file says.

    Raises:
        CheckpointError: It is malformed, more than a file may say, or describes a model that is not known here.
    """
    loaded = _mappings(path, header)
    wrote, dtype = header.fields["stawm.version"], header.fields["stawm.dtype"]
    if dtype not in FLOATS or len(wrote) > 100:
        raise CheckpointError(f"{path} is damaged: its header holds values of the wrong form.")
    if strange := sorted({kind for kind, _ in header.shapes.values()} - _TYPES):
        raise CheckpointError(
            f"{path} is damaged: it holds tensors of the type {shown(strange[0])}, which no model has."
        )
    if found := too_much_for_config(loaded["config"]):
        raise CheckpointError(f"{path} describes no model that is built here: of its configuration {found}.")
    try:
        with registry.for_stranger():
            config = from_mapping(loaded["config"])
    except (ConfigError, UnknownNameError) as error:
        advice = _advice(loaded["origins"])
        raise CheckpointError(f"{path} describes a model that is not known here: {error}{advice}") from error
    except Exception as error:  # whatever a stranger's component says of fields that nobody would give it
        raise CheckpointError(f"{path} describes a model that cannot be understood: {shown(error)}.") from error
    return CheckpointInfo(
        path=path,
        config=config,
        version=wrote,
        versions=loaded["versions"],
        origins=loaded["origins"],
        dtype=dtype,
        provenance=loaded["provenance"],
        sha256=header.seal,
        tensors=without_scales(path, header.shapes),
        stopping=_stopping(path, header),
    )


def _stopping(path: Path, header: Header) -> Stopping | None:
    if STOPPING not in header.fields:
        return None
    try:
        return stopping.from_mapping(read_json(header.fields[STOPPING]))
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged: {error}.") from error


def _mappings(path: Path, header: Header) -> dict[str, dict[str, Any]]:
    """Return what a header holds as JSON, of which all is of the form that `save` writes."""
    wanted = ("config", "origins", "versions", "provenance")
    try:
        lacking = [key for key in (*wanted, "version", "dtype") if f"stawm.{key}" not in header.fields]
        loaded = {key: read_json(header.fields[f"stawm.{key}"]) for key in wanted if key not in lacking}
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged: its header cannot be understood ({error}).") from error
    if lacking:
        raise CheckpointError(f"{path} is damaged: its header cannot be understood (it lacks stawm.{lacking[0]}).")
    named = [loaded["origins"], loaded["versions"]]
    are_named = all(
        isinstance(each, dict) and len(each) <= MAX_KEYS and all(isinstance(value, str) for value in each.values())
        for each in named
    )
    if not are_named or not all(isinstance(value, dict) for value in loaded.values()):
        raise CheckpointError(f"{path} is damaged: its header holds values of the wrong form.")
    return loaded


def _advice(origins: Mapping[str, str]) -> str:
    """Say which distributions, or scripts, brought the components that are not found here."""
    known = registry.known()
    missed = [(key, origin) for key, origin in origins.items() if _stem(key) not in known]
    return "".join(f" {shown(key)[1:-1]} came with {_source(origin)}" for key, origin in missed[:8])


def _stem(key: str) -> tuple[str, str]:
    kind, _, name = key.partition(".")
    return kind, name.partition(":")[0]


def _source(origin: str) -> str:
    """Say where a component is had from: a distribution is installed, a script is imported."""
    said = shown(origin)[1:-1]
    if " " in origin:
        return f"{said}: install that."
    script = "a script" if origin == "__main__" else f"the module {said}"
    file = "my_file.py" if origin == "__main__" else f"{said}.py"
    return f"{script}: import it first, on the command line with --import {file}."
