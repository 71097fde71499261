"""Files of graphs: a rollout is one file, a step graph a folder of three."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx

from stawm.errors import ExportError, InputError
from stawm.export.file import sealing
from stawm.export.file.contents import check_contents
from stawm.export.file.metadata import NOISE, GraphInfo, contradictions, entries_of, from_entries, is_cue
from stawm.export.file.proto import in_brackets, shape_of, shapes_of
from stawm.export.file.sizes import check_sizes
from stawm.export.graphs.steering import STEER
from stawm.export.graphs.step import IN, OUT, PARTS
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
    if missing and (path / "model.safetensors").is_file():
        raise ExportError(f"{path} holds a checkpoint, and no step graph: export it with `stawm export`.")
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
    """Raise an ExportError where a file's metadata contradicts its graph, or the parts of a step graph each other."""
    for graph in graphs.values():
        if faults := [*contradictions(graph.info, shapes_of(graph.proto)), *_wrong_faces(graph)]:
            raise ExportError(f"The metadata of {graph.path} contradicts its graph: {'; '.join(faults)[:2000]}.")
    if "init" in graphs and (faults := _unlike_states(graphs)):
        raise ExportError(f"{graphs['init'].path.parent}: its parts do not fit together: {'; '.join(faults)[:2000]}.")


def _wrong_faces(graph: GraphFile) -> list[str]:
    """Return which inputs and outputs a session could not give and take as it does."""
    given, gives = graph.proto.graph.input, graph.proto.graph.output
    faults = []
    for way, values, named in (("inputs", given, graph.info.inputs), ("outputs", gives, graph.info.outputs)):
        if {value.name for value in values} != {*named}:
            faults.append(f"{way} are {', '.join(value.name for value in values)}")
    legal = ("image", NOISE, IN) if graph.info.part in ("glimpse", "read") else ("image", NOISE)
    legal += STEER if graph.info.part == "glimpse" else ()
    asked = graph.info.part in (None, "read")
    if strange := [name for name in graph.info.inputs if not name.startswith(legal) and not (asked and is_cue(name))]:
        faults.append(f"{', '.join(strange)} cannot be inputs")
    if graph.info.kind == "rollout" and "image" not in graph.info.inputs:
        faults.append("there is no input image")
    for value in (*given, *gives):
        if value.type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
            faults.append(f"{value.name} is not float32")
        if not isinstance(next(iter(shape_of(value)), 0), str):
            faults.append(f"the batch of {value.name} is fixed")
    return faults


def _unlike_states(graphs: Mapping[str, GraphFile]) -> list[str]:
    """Return what of a state is not given, or in another shape than a part takes it in."""
    state = {name: shape[1:] for name, shape in shapes_of(graphs["init"].proto).items() if name.startswith(OUT)}
    faults = [] if list(graphs["init"].info.inputs) == ["image"] else ["init takes other things than the image"]
    faults += (
        []
        if all(name.startswith(IN) or is_cue(name) for name in graphs["read"].info.inputs)
        else ["read takes more than a state"]
    )
    for part in ("glimpse", "read"):
        for name, shape in shapes_of(graphs[part].proto).items():
            same = name.replace(IN, OUT, 1) if name.startswith(IN) else name
            if same.startswith(OUT) and state.get(same) != shape[1:]:
                faults.append(f"{part} has {name} of shape {in_brackets(shape)}, and init does not give it so")
    return faults


def open_graph(path: Path, data: bytes) -> GraphFile:
    """Parse the bytes of a file, and refuse what no graph of stawm holds; nothing outside them is read.

    Raises:
        ExportError: They are not an ONNX model that stawm wrote, hold what stawm never writes, such as data that is
            stored elsewhere, or would need more memory or time than a graph may.
    """
    try:
        proto = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's own error has no public name
        raise ExportError(f"{path} is damaged: it cannot be parsed as ONNX ({error}).") from error
    check_contents(proto, path)
    info = from_entries(entries_of(proto), path)
    check_sizes(proto, path, info.image[1:] if info.any_size else ())
    return GraphFile(path, data, proto, info)


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
        put_in_place(folder, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def put_in_place(folder: Path, path: Path) -> None:
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
