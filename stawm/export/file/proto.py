"""What is read off an ONNX graph: its opset, the shapes of its inputs and outputs."""

from collections.abc import Iterable

import onnx


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


def fixed(shape: tuple[int | str, ...]) -> tuple[int, ...]:
    """Return a shape without the batch, the only axis that is dynamic in what stawm writes."""
    return tuple(map(int, shape[1:]))


def in_brackets(shape: Iterable[int | str]) -> str:
    """Return a shape as people write it."""
    return f"({', '.join(map(str, shape))})"
