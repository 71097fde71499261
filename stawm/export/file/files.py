"""Files of graphs: a rollout is one file, a step graph a folder of three."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from stawm.errors import ExportError, MissingPackageError
from stawm.export.file import sealing
from stawm.export.file.faces import FLOAT, Faces, in_brackets, read_faces
from stawm.export.file.metadata import GraphInfo, contradictions, from_entries
from stawm.export.graphs.names import IN, NOISE, OUT, PARTS, STEER, is_cue


@dataclass(frozen=True)
class GraphFile:
    """One graph as it is in a file.

    Attributes:
        path: The file.
        data: Its bytes.
        proto: What they mean, an `onnx.ModelProto`; None where the file is trusted.
        info: What it says of itself.
    """

    path: Path
    data: bytes
    proto: Any
    info: GraphInfo

    @cached_property
    def faces(self) -> Faces:
        """What it takes and gives."""
        if self.proto is None:
            return read_faces(self.data, self.path)
        from stawm.export.file.proto import faces_of

        return faces_of(self.proto)


def read_graphs(path: Path, *, trusted: bool = False) -> dict[str, GraphFile]:
    """Read the graphs of a file or of a folder by part; nothing else is read, and nothing is run.

    Args:
        path: The file or folder.
        trusted: Whether it is the caller's own, so that what its graphs are made of is not looked at.

    Raises:
        ExportError: A file is missing, truncated, altered, not ours, or not of the same export as the others.
    """
    if not path.is_dir():
        found = _open(path, trusted)
        if found.info.part is not None:
            raise ExportError(f"{path} is a part of a step graph, {found.info.part!r}: give its folder, {path.parent}.")
        return {"rollout": found}
    missing = [f"{part}.onnx" for part in PARTS if not (path / f"{part}.onnx").is_file()]
    if missing and (path / "model.safetensors").is_file():
        raise ExportError(f"{path} holds a checkpoint, and no step graph: export it with `stawm export`.")
    if missing:
        raise ExportError(f"{path} is not a step graph that stawm wrote: it lacks {', '.join(missing)}.")
    graphs = {part: _open(path / f"{part}.onnx", trusted) for part in PARTS}
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
        if faults := [*contradictions(graph.info, graph.faces.shapes), *_wrong_faces(graph)]:
            raise ExportError(f"The metadata of {graph.path} contradicts its graph: {'; '.join(faults)[:2000]}.")
    if "init" in graphs and (faults := _unlike_states(graphs)):
        raise ExportError(f"{graphs['init'].path.parent}: its parts do not fit together: {'; '.join(faults)[:2000]}.")


def _wrong_faces(graph: GraphFile) -> list[str]:
    """Return which inputs and outputs a session could not give and take as it does."""
    given, gives = graph.faces.inputs, graph.faces.outputs
    faults = []
    for way, values, named in (("inputs", given, graph.info.inputs), ("outputs", gives, graph.info.outputs)):
        if {*values} != {*named}:
            faults.append(f"{way} are {', '.join(values)}")
    legal = ("image", NOISE, IN) if graph.info.part in ("glimpse", "read") else ("image", NOISE)
    legal += STEER if graph.info.part == "glimpse" else ()
    asked = graph.info.part in (None, "read")
    if strange := [name for name in graph.info.inputs if not name.startswith(legal) and not (asked and is_cue(name))]:
        faults.append(f"{', '.join(strange)} cannot be inputs")
    if graph.info.kind == "rollout" and "image" not in graph.info.inputs:
        faults.append("there is no input image")
    for name, face in (*given.items(), *gives.items()):
        if face.type != FLOAT:
            faults.append(f"{name} is not float32")
        if not isinstance(next(iter(face.shape), 0), str):
            faults.append(f"the batch of {name} is fixed")
    return faults


def _unlike_states(graphs: Mapping[str, GraphFile]) -> list[str]:
    """Return what of a state is not given, or in another shape than a part takes it in."""
    state = {name: shape[1:] for name, shape in graphs["init"].faces.shapes.items() if name.startswith(OUT)}
    faults = [] if list(graphs["init"].info.inputs) == ["image"] else ["init takes other things than the image"]
    faults += (
        []
        if all(name.startswith(IN) or is_cue(name) for name in graphs["read"].info.inputs)
        else ["read takes more than a state"]
    )
    for part in ("glimpse", "read"):
        for name, shape in graphs[part].faces.shapes.items():
            same = name.replace(IN, OUT, 1) if name.startswith(IN) else name
            if same.startswith(OUT) and state.get(same) != shape[1:]:
                faults.append(f"{part} has {name} of shape {in_brackets(shape)}, and init does not give it so")
    return faults


def _open(path: Path, trusted: bool) -> GraphFile:
    data = sealing.read(path)
    if trusted:
        return GraphFile(path, data, None, from_entries(read_faces(data, path).entries, path))
    try:
        return open_graph(path, data)
    except ModuleNotFoundError as error:
        if error.name != "onnx":
            raise
        raise MissingPackageError(
            f"What {path} holds is checked with the package onnx before it is run: pip install onnx. A graph of your "
            "own needs no such check: stawm.runtime.Session(path, trusted=True).",
            name="onnx",
        ) from error


def open_graph(path: Path, data: bytes) -> GraphFile:
    """Parse the bytes of a file, and refuse what no graph of stawm holds; nothing outside them is read.

    Raises:
        ExportError: They are not an ONNX model that stawm wrote, hold what stawm never writes, such as data that is
            stored elsewhere, or would need more memory or time than a graph may.
    """
    import onnx

    from stawm.export.file.contents import check_contents
    from stawm.export.file.proto import faces_of
    from stawm.export.file.sizes import check_sizes

    try:
        proto = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's own error has no public name
        raise ExportError(f"{path} is damaged: it cannot be parsed as ONNX ({error}).") from error
    check_contents(proto, path)
    info = from_entries(faces_of(proto).entries, path)
    check_sizes(proto, path, info.image[1:] if info.any_size else ())
    return GraphFile(path, data, proto, info)
