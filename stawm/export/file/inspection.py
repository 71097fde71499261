"""What a file is, without its model and without running it."""

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stawm.export.file import sealing
from stawm.export.file.files import read_graphs
from stawm.export.file.metadata import GraphInfo
from stawm.export.file.proto import opset_of, shapes_of
from stawm.export.table import table
from stawm.storage.opening import as_path
from stawm.text import Readable


@dataclass(frozen=True, kw_only=True)
class GraphFacts(Readable):
    """What a file, or the folder of a step graph, holds.

    Attributes:
        path: Where it is.
        info: What it says of itself.
        opset: The ONNX opset.
        size: Bytes, of all files.
        sha256: The hash at the end of each file, by part.
        nodes: How many nodes there are of each operator, by part.
        inputs: The shapes of the inputs, by part and name.
        outputs: The shapes of the outputs.
    """

    path: Path
    info: GraphInfo
    opset: int
    size: int
    sha256: Mapping[str, str]
    nodes: Mapping[str, Mapping[str, int]]
    inputs: Mapping[str, Mapping[str, tuple[int | str, ...]]]
    outputs: Mapping[str, Mapping[str, tuple[int | str, ...]]]

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        info = self.info
        return {
            "path": str(self.path),
            "preset": info.preset,
            "graph": info.kind,
            "glimpses": info.glimpses,
            "precision": info.precision,
            "stored": info.stored,
            "opset": self.opset,
            "size": self.size,
            "nodes": {part: sum(ops.values()) for part, ops in self.nodes.items()},
            "operators": {part: dict(ops) for part, ops in self.nodes.items()},
            "inputs": {part: {n: list(s) for n, s in shapes.items()} for part, shapes in self.inputs.items()},
            "outputs": {part: {n: list(s) for n, s in shapes.items()} for part, shapes in self.outputs.items()},
            "preprocessing": {"mean": list(info.mean), "std": list(info.std)},
            "class_names": list(info.class_names),
            **({} if info.stopping is None else {"stopping": info.stopping.as_dict()}),
            "weights": info.weights,
            "sha256": dict(self.sha256),
            "version": info.version,
            "versions": dict(info.versions),
            "config": dict(info.config),
        }

    def __str__(self) -> str:
        info = self.info
        glimpses = "no glimpses" if info.glimpses is None else f"{info.glimpses} glimpses"
        stored = ", weights stored as fp16" if info.stored == "fp16" else ""
        rows = [
            ("of", f"{info.preset}, {glimpses}, written by stawm {info.version}"),
            ("graph", f"{info.kind}, {info.precision}{stored}, opset {self.opset}, {self.size / 1e6:.1f} MB"),
            ("pixels", f"minus {_numbers(info.mean)}, divided by {_numbers(info.std)}"),
            ("classes", ", ".join(info.class_names) or "without names"),
        ]
        if info.stopping is not None:
            kept = info.stopping
            rows.append(("stops", f"after {kept.mean_glimpses:.2f} glimpses on average, error {kept.error:.2%}"))
        for part, ops in self.nodes.items():
            most = ", ".join(f"{count} {op}" for op, count in Counter(ops).most_common(6))
            rows.append((f"{part} nodes", f"{sum(ops.values())}: {most}, ..."))
            for way, shapes in (("takes", self.inputs[part]), ("gives", self.outputs[part])):
                rows += [(f"{part} {way}", f"{name} ({', '.join(map(str, s))})") for name, s in shapes.items()]
        return table((str(self.path), ""), rows)


def inspect(path: str | os.PathLike[str]) -> GraphFacts:
    """Read what a file is; nothing is run.

    Raises:
        ExportError: It is truncated, altered, or not ours.
    """
    place = as_path(path, "A graph")
    files = read_graphs(place)
    first = next(iter(files.values()))
    shapes = {part: shapes_of(file.proto) for part, file in files.items()}
    return GraphFacts(
        path=place,
        info=first.info,
        opset=opset_of(first.proto),
        size=sum(len(file.data) for file in files.values()),
        sha256={part: sealing.digest(file.data) or "" for part, file in files.items()},
        nodes={part: Counter(node.op_type for node in file.proto.graph.node) for part, file in files.items()},
        inputs={part: {v.name: shapes[part][v.name] for v in file.proto.graph.input} for part, file in files.items()},
        outputs={part: {v.name: shapes[part][v.name] for v in file.proto.graph.output} for part, file in files.items()},
    )


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)
