"""What a graph says of itself: read and written as the entries ``stawm.*`` of the file's metadata."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, cast

import onnx
import torch

from stawm._version import __version__
from stawm.errors import ExportError
from stawm.export.file.proto import in_brackets
from stawm.export.graphs.fields import is_output
from stawm.export.graphs.plan import Kind, Plan
from stawm.export.graphs.prepared import Prepared
from stawm.export.graphs.step import PARTS
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
        stored: How weights are stored, ``"fp32"`` or ``"fp16"``; files of before say nothing of it.
        inputs: The names of its inputs.
        outputs: The names of its outputs.
        config: The model's complete configuration, as plain values: a graph is used without the components
            that its model was built from.
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
    weights: str
    version: str
    versions: Mapping[str, str]
    stored: Literal["fp32", "fp16"] = "fp32"

    @property
    def plan(self) -> Plan:
        """What was asked of the export."""
        return Plan(cast(Kind, self.kind), self.glimpses, self.fields, self.sample, self.stored)

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
    def mean(self) -> tuple[float, ...]:
        """What is taken from the pixels in [0, 1], one number or one for each channel."""
        return tuple(map(float, self.config["mean"]))

    @property
    def std(self) -> tuple[float, ...]:
        """What they are then divided by."""
        return tuple(map(float, self.config["std"]))

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes; may be empty."""
        return tuple(map(str, self.config["class_names"]))

    @property
    def classes(self) -> int | None:
        """How many classes there are, or None where the model does not classify."""
        return next((int(h["classes"]) for h in self.config["heads"] if h["name"] == "classification"), None)

    @property
    def series(self) -> tuple[Any, ...]:
        """What the parts of a step graph have in common."""
        return (self.plan, self.precision, self.config, self.weights)

    def entries(self) -> dict[str, str]:
        """Return the entries that a file keeps."""
        graph = {key: getattr(self, key) for key in _GRAPH}
        graph |= {"stored": self.stored} if self.stored != "fp32" else {}
        values = {"config": dict(self.config), "graph": graph, "versions": dict(self.versions), **self.for_others()}
        written = {f"stawm.{key}": json.dumps(value, sort_keys=True) for key, value in values.items()}
        return written | {"stawm.format": FORMAT, "stawm.version": self.version, "stawm.weights": self.weights}

    def for_others(self) -> dict[str, Any]:
        """Return the entries for readers that do not know the configuration, from which they repeat what is needed."""
        channels, height, width = self.image
        sizes = {"channels": channels, "height": height, "width": width}
        pixels = {**sizes, "range": [0.0, 1.0], "mean": list(self.mean), "std": list(self.std)}
        return {"preprocessing": pixels, "class_names": list(self.class_names)}


def describe(model: Model, prepared: Prepared) -> dict[str, GraphInfo]:
    """Return what each graph of a model says of itself, given the model and the same made ready for its export."""
    plan = prepared.plan
    libraries = {name: version(name) for name in ("onnx", "onnxscript", "onnx-ir")}
    weights = weights_hash(model)
    return {
        part: GraphInfo(
            kind=plan.kind,
            part=None if plan.kind == "rollout" else part,
            glimpses=plan.glimpses,
            precision=prepared.precision,
            fields=plan.fields,
            sample=plan.sample,
            inputs=graph.inputs,
            outputs=prepared.outputs(part),
            config=plain(model.config),
            weights=weights,
            version=__version__,
            versions=library_versions() | libraries,
            stored=plan.weights,
        )
        for part, graph in prepared.graphs.items()
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
        ExportError: It is not ours, of another format, contradicts itself, or cannot be understood.
    """
    missing = [f"stawm.{k}" for k in (*_JSON, "format", "version", "weights") if f"stawm.{k}" not in entries]
    if missing:
        raise ExportError(f"{path} is not an ONNX file that stawm wrote: its metadata lacks {', '.join(missing)}.")
    if entries["stawm.format"] != FORMAT:
        raise ExportError(f"{path} has format {entries['stawm.format']!r}; stawm {__version__} reads {FORMAT!r}.")
    try:
        read: dict[str, Any] = {key: json.loads(entries[f"stawm.{key}"]) for key in _JSON}
        graph = read["graph"]
        written: dict[str, Any] = {key: tuple(graph[key]) if key in _LISTS else graph[key] for key in _GRAPH}
        info = GraphInfo(
            **written,
            config=read["config"],
            weights=entries["stawm.weights"],
            version=entries["stawm.version"],
            versions=read["versions"],
            stored=graph.get("stored", "fp32"),
        )
        faults = _illegal(info)
        differing = [key for key, value in info.for_others().items() if read[key] != value]
    except (KeyError, TypeError, ValueError) as error:
        raise ExportError(f"{path}: its metadata cannot be understood ({type(error).__name__}: {error}).") from error
    if faults:
        raise ExportError(f"{path}: its metadata is not legal: {'; '.join(faults)}.")
    if differing:
        key, value = differing[0], info.for_others()[differing[0]]
        raise ExportError(
            f"{path}: its metadata contradicts itself: {key} is {read[key]}, by its configuration {value}."
        )
    return info


def _illegal(info: GraphInfo) -> list[str]:
    """Return what no file that stawm writes says of itself."""
    channels, classes, names = info.image[0], info.classes, info.class_names
    rules = [
        (info.kind in ("rollout", "step"), f"kind must be 'rollout' or 'step'; got {info.kind!r}"),
        (info.part in (PARTS if info.kind == "step" else (None,)), f"part is {info.part!r} in a {info.kind}"),
        (info.precision in ("fp32", "fp16"), f"precision must be 'fp32' or 'fp16'; got {info.precision!r}"),
        (info.stored in ("fp32", "fp16"), f"stored must be 'fp32' or 'fp16'; got {info.stored!r}"),
        (info.glimpses is None or _is_count(info.glimpses), f"glimpses must be at least 1; got {info.glimpses!r}"),
        (isinstance(info.sample, bool), f"sample must be true or false; got {info.sample!r}"),
        (_are_outputs(info), f"fields must be outputs of a model; got {', '.join(map(str, info.fields))}"),
        (bool(info.preset), "the configuration has no name"),
        (min(info.image) > 0, f"image is {info.image}"),
        (classes is None or classes > 0, f"there are {classes} classes"),
        (classes is None or len(names) in (0, classes), f"there are {len(names)} class names for {classes} classes"),
        (
            {len(info.mean), len(info.std)} <= {1, channels},
            f"mean {info.mean} or std {info.std} does not fit {channels}",
        ),
        (all(value > 0 for value in info.std), f"std must be above 0; got {info.std}"),
    ]
    return [fault for holds, fault in rules if not holds]


def _are_outputs(info: GraphInfo) -> bool:
    """Whether all fields are those of an output, or may be further ones of a head that is not known here."""
    heads = [head["name"] for head in info.config["heads"]]
    return all(is_output(name, heads) for name in info.fields)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def contradictions(info: GraphInfo, shapes: Mapping[str, tuple[int | str, ...]]) -> list[str]:
    """Return where a graph's metadata contradicts its inputs and outputs.

    Args:
        info: What the graph says of itself.
        shapes: The shapes of its inputs and outputs, with the batch.
    """
    faults = []
    missing = [name for name in (*info.inputs, *info.outputs) if name not in shapes]
    if missing:
        faults.append(f"the graph has no {', '.join(missing)}")
    dynamic = [name for name, shape in shapes.items() if any(isinstance(axis, str) for axis in shape[1:])]
    faults += [f"{name} is {in_brackets(shapes[name])}, where only the batch may be dynamic" for name in dynamic]
    expected: dict[str, tuple[int, ...]] = {"image": info.image, "canvas": info.image}
    expected |= {"logits": (info.classes,)} if info.classes is not None else {}
    for name, shape in expected.items():
        if name in shapes and tuple(shapes[name][1:]) != shape:
            faults.append(f"{name} is {in_brackets(shapes[name])}, by the metadata {in_brackets(('b', *shape))}")
    if info.kind == "rollout" and "pose" in shapes and shapes["pose"][1:2] != (info.glimpses,):
        faults.append(f"pose is {in_brackets(shapes['pose'])}, by the metadata there are {info.glimpses} glimpses")
    if info.kind == "rollout" and info.fields != info.outputs:
        faults.append(f"fields are {', '.join(info.fields)}, outputs are {', '.join(info.outputs)}")
    return faults


def entries_of(proto: onnx.ModelProto) -> dict[str, str]:
    """Return the metadata entries of a model."""
    return {entry.key: entry.value for entry in proto.metadata_props}
