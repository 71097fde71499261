"""What is read off an ONNX graph: its opset, the shapes of its inputs and outputs."""

from collections.abc import Iterable

import onnx

from stawm.export.file.faces import Face, Faces


def opset_of(proto: onnx.ModelProto) -> int:
    """Return the opset of ONNX's own operators."""
    return next(entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx"))


def shape_of(value: onnx.ValueInfoProto) -> tuple[int | str, ...]:
    """Return the shape of an input or output: numbers, and names of what is dynamic."""
    dimensions = value.type.tensor_type.shape.dim
    return tuple(d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in dimensions)


def shapes_of(proto: onnx.ModelProto) -> dict[str, tuple[int | str, ...]]:
    """Return the shapes of all inputs and outputs."""
    return {value.name: shape_of(value) for value in (*proto.graph.input, *proto.graph.output)}


def faces_of(proto: onnx.ModelProto) -> Faces:
    """Return what a graph takes and gives, and says of itself."""

    def faces(values: Iterable[onnx.ValueInfoProto]) -> dict[str, Face]:
        return {value.name: Face(value.type.tensor_type.elem_type, shape_of(value)) for value in values}

    entries = {entry.key: entry.value for entry in proto.metadata_props}
    return Faces(opset_of(proto), entries, faces(proto.graph.input), faces(proto.graph.output))
