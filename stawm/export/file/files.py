"""Files of graphs: a rollout is one file, a step graph a folder of three."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx

from stawm.errors import ExportError, InputError
from stawm.export.file import sealing
from stawm.export.file.metadata import GraphInfo, contradictions, entries_of, from_entries
from stawm.export.file.proto import shapes_of
from stawm.export.graphs.step import PARTS
from stawm.storage.file import write_atomically


@dataclass(frozen=True)
class GraphFile:
    """One graph as it is in a file.

    Attributes:
        path: The file.
        data: Its bytes.
        proto: What they mean.
        info: What it says of itself.
    """

    path: Path
    data: bytes
    proto: onnx.ModelProto
    info: GraphInfo


def read_graphs(path: Path) -> dict[str, GraphFile]:
    """Read the graphs of a file or of a folder by part; nothing else is read, and nothing is run.

    Raises:
        ExportError: A file is missing, truncated, altered, not ours, or not of the same export as the others.
    """
    if not path.is_dir():
        found = open_graph(path, sealing.read(path))
        if found.info.part is not None:
            raise ExportError(f"{path} is a part of a step graph, {found.info.part!r}: give its folder, {path.parent}.")
        return {"rollout": found}
    missing = [f"{part}.onnx" for part in PARTS if not (path / f"{part}.onnx").is_file()]
    if missing:
        raise ExportError(f"{path} is not a step graph that stawm wrote: it lacks {', '.join(missing)}.")
    graphs = {part: open_graph(path / f"{part}.onnx", sealing.read(path / f"{part}.onnx")) for part in PARTS}
    for part, graph in graphs.items():
        if graph.info.part != part:
            raise ExportError(f"{graph.path} says that it is the part {graph.info.part!r} and not {part!r}.")
    if any(graph.info.series != graphs["init"].info.series for graph in graphs.values()):
        raise ExportError(f"{path}: init, glimpse and read are not of one export.")
    gives = {"glimpse_logits"}.union(*(graph.info.outputs for graph in graphs.values()))
    if not gives.issuperset(graphs["init"].info.fields):
        raise ExportError(f"{path} says that it gives {', '.join(graphs['init'].info.fields)}, and not all are there.")
    return graphs


def check_consistent(graphs: Mapping[str, GraphFile]) -> None:
    """Raise an ExportError where a file's metadata contradicts its inputs and outputs."""
    for graph in graphs.values():
        if faults := contradictions(graph.info, shapes_of(graph.proto)):
            raise ExportError(f"The metadata of {graph.path} contradicts its graph: {'; '.join(faults)}.")


def open_graph(path: Path, data: bytes) -> GraphFile:
    """Parse the bytes of a file; nothing outside them is read.

    Raises:
        ExportError: They are not an ONNX model that stawm wrote, or ask for data outside the file.
    """
    try:
        proto = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's own error has no public name
        raise ExportError(f"{path} is damaged: it cannot be parsed as ONNX ({error}).") from error
    foreign = {node.domain for node in proto.graph.node} - {"", "ai.onnx"}
    if foreign or proto.functions:
        domain = next(iter(foreign), proto.functions[0].domain if proto.functions else "")
        raise ExportError(f"{path} holds operators of the domain {domain!r}; stawm writes ONNX's own operators only.")
    for tensor in proto.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            places = {entry.key: entry.value for entry in tensor.external_data}
            raise ExportError(
                f"{path} asks for data outside itself ({places.get('location', '?')!r} for {tensor.name}); "
                "stawm writes a graph as one file and reads nothing else."
            )
    return GraphFile(path, data, proto, from_entries(entries_of(proto), path))


def check_place(path: Path, kind: str) -> None:
    """Raise an InputError where an export would replace something else, or has nowhere to go."""
    ours = path.is_dir() and {p.name for p in path.iterdir()} <= {f"{part}.onnx" for part in PARTS}
    if path.is_dir() and not (ours and kind == "step"):
        raise InputError(f"{path} is a folder that holds other files: choose another name.")
    if not path.parent.is_dir():
        raise InputError(f"{path.parent} is not a folder, so {path.name} cannot be written there.")


def write_graphs(path: Path, graphs: Mapping[str, bytes]) -> None:
    """Write a file, or for a step graph a folder, whole or not at all.

    Raises:
        InputError: It cannot be written.
    """
    if "rollout" in graphs:
        write_atomically(path, graphs["rollout"])
        return
    try:
        folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror} ({path.parent}).") from error
    try:
        for part, data in graphs.items():
            write_atomically(folder / f"{part}.onnx", data)
        folder.chmod(0o755)
        _put(folder, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _put(folder: Path, path: Path) -> None:
    """Give a folder its name; what had it goes away afterwards."""
    if not path.exists():
        folder.rename(path)
        return
    before = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.")) / "before"
    path.rename(before)
    try:
        folder.rename(path)
    except OSError:
        before.rename(path)
        raise
    finally:
        shutil.rmtree(before.parent, ignore_errors=True)
