"""What a graph says of itself: read and written as the entries ``stawm.*`` of the file's metadata."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import onnx
import torch

from stawm._version import __version__
from stawm.errors import ExportError
from stawm.export.graphs.fields import AXES
from stawm.export.graphs.plan import Kind, Plan
from stawm.models.config import SharedConfig
from stawm.models.model import Model
from stawm.storage.checkpoint import former_names, library_versions

FORMAT = "1"
_JSON = ("config", "graph", "preprocessing", "class_names", "versions")
_LISTS = ("fields", "inputs", "outputs")
_GRAPH = ("kind", "part", "glimpses", "precision", "sample", *_LISTS)


@dataclass(frozen=True, kw_only=True)
class GraphInfo:
    """What a graph is of, and how it is used.

    Attributes:
        kind: ``"rollout"``, or ``"step"``.
        part: Of a step graph ``"init"``, ``"glimpse"`` or ``"read"``.
        glimpses: How many glimpses it takes, or has room for; None in a baseline.
        precision: ``"fp32"`` or ``"fp16"``.
        fields: The outputs that were asked for, of all parts together.
        sample: Whether random numbers are inputs.
        inputs: The names of its inputs.
        outputs: The names of its outputs.
        config: The model's complete configuration, as plain values: a graph is used without the components
            that its model was built from.
        mean: What is taken from the pixels in [0, 1].
        std: What they are then divided by.
        class_names: The names of the classes; may be empty.
        weights: A hash over the model's weights.
        version: The stawm that wrote it.
        versions: The libraries that it was written with.
    """

    kind: str
    part: str | None
    glimpses: int | None
    precision: str
    fields: tuple[str, ...]
    sample: bool
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    config: Mapping[str, Any]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    class_names: tuple[str, ...]
    weights: str
    version: str
    versions: Mapping[str, str]

    @property
    def plan(self) -> Plan:
        """What was asked of the export."""
        return Plan(cast(Kind, self.kind), self.glimpses, self.fields, self.sample)

    @property
    def preset(self) -> str:
        """The name of the model's configuration."""
        return str(self.config["name"])

    @property
    def image(self) -> tuple[int, int, int]:
        """Channels, height and width of the images."""
        channels, height, width = map(int, self.config["image"])
        return channels, height, width

    @property
    def classes(self) -> int | None:
        """How many classes there are, or None where the model does not classify."""
        return next((int(h["classes"]) for h in self.config["heads"] if h["name"] == "classification"), None)

    @property
    def series(self) -> tuple[Any, ...]:
        """What the parts of a step graph have in common."""
        return (self.plan, self.precision, self.config, self.mean, self.std, self.class_names, self.weights)

    def entries(self) -> dict[str, str]:
        """Return the entries that a file keeps."""
        graph = {key: getattr(self, key) for key in _GRAPH}
        channels, height, width = self.image
        preprocessing = {
            "channels": channels,
            "height": height,
            "width": width,
            "range": [0.0, 1.0],
            "mean": self.mean,
            "std": self.std,
        }
        values = {
            "config": dict(self.config),
            "graph": graph,
            "preprocessing": preprocessing,
            "class_names": self.class_names,
            "versions": dict(self.versions),
        }
        written = {f"stawm.{key}": json.dumps(value, sort_keys=True) for key, value in values.items()}
        return written | {"stawm.format": FORMAT, "stawm.version": self.version, "stawm.weights": self.weights}


def describe(
    model: Model, plan: Plan, precision: str, graphs: Mapping[str, tuple[Sequence[str], Sequence[str]]]
) -> dict[str, GraphInfo]:
    """Return what each graph of a model says of itself.

    Args:
        model: The model.
        plan: What was asked.
        precision: ``"fp32"`` or ``"fp16"``.
        graphs: The inputs and outputs of each part.
    """
    config = model.config
    libraries = {name: version(name) for name in ("onnx", "onnxscript", "onnx-ir")}
    weights = weights_hash(model)
    return {
        part: GraphInfo(
            kind=plan.kind,
            part=None if plan.kind == "rollout" else part,
            glimpses=plan.glimpses,
            precision=precision,
            fields=plan.fields,
            sample=plan.sample,
            inputs=tuple(inputs),
            outputs=tuple(outputs),
            config=plain(config),
            mean=config.mean,
            std=config.std,
            class_names=config.class_names,
            weights=weights,
            version=__version__,
            versions=library_versions() | libraries,
        )
        for part, (inputs, outputs) in graphs.items()
    }


def plain(config: SharedConfig) -> dict[str, Any]:
    """Return a configuration as a file gives it back."""
    return json.loads(json.dumps(config.to_dict()))


def weights_hash(model: Model) -> str:
    """Return a hash over the names, types, shapes and values of a model's weights.

    A tensor that was renamed counts under its former name, so that graphs of the first version still verify.
    """
    digest, former = hashlib.sha256(), former_names(model)
    for name, tensor in sorted((former.get(name, name), tensor) for name, tensor in model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def from_entries(entries: Mapping[str, str], path: Path) -> GraphInfo:
    """Return what a file's metadata says.

    Raises:
        ExportError: It is not ours, of another format, or holds what cannot be understood.
    """
    missing = [f"stawm.{k}" for k in (*_JSON, "format", "version", "weights") if f"stawm.{k}" not in entries]
    if missing:
        raise ExportError(f"{path} is no ONNX file that stawm wrote: its metadata lacks {', '.join(missing)}.")
    if entries["stawm.format"] != FORMAT:
        raise ExportError(f"{path} is of format {entries['stawm.format']!r}; stawm {__version__} reads {FORMAT!r}.")
    try:
        read: dict[str, Any] = {key: json.loads(entries[f"stawm.{key}"]) for key in _JSON}
        graph, shown = read["graph"], read["preprocessing"]
        written: dict[str, Any] = {key: tuple(graph[key]) if key in _LISTS else graph[key] for key in _GRAPH}
        info = GraphInfo(
            **written,
            config=read["config"],
            mean=tuple(shown["mean"]),
            std=tuple(shown["std"]),
            class_names=tuple(read["class_names"]),
            weights=entries["stawm.weights"],
            version=entries["stawm.version"],
            versions=read["versions"],
        )
        _check(info)
    except (KeyError, TypeError, ValueError) as error:
        raise ExportError(f"{path}: its metadata cannot be understood ({error}).") from error
    return info


def _check(info: GraphInfo) -> None:
    """Raise where an entry is of a form that nothing is written in."""
    legal = info.kind in ("rollout", "step") and (info.kind == "step") == (info.part is not None)
    legal = legal and info.precision in ("fp32", "fp16") and set(info.fields) <= set(AXES)
    legal = legal and (info.glimpses is None or (isinstance(info.glimpses, int) and info.glimpses > 0))
    if not legal or not info.preset or min(info.image) < 1 or info.classes == 0:
        raise ValueError("its values are none that stawm writes")


def entries_of(proto: onnx.ModelProto) -> dict[str, str]:
    """Return the metadata entries of a model."""
    return {entry.key: entry.value for entry in proto.metadata_props}
