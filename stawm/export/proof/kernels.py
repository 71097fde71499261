"""Whether ONNX Runtime can run every node of a graph on a CUDA device, told without one.

The table holds the kernels that the CUDA provider of onnxruntime-gpu registers. A kernel serves a node
where the version of the operator that the graph's opset means lies between the kernel's two (is its
first, where it has no last), and the node's types are among the kernel's.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

import onnx
from onnx import TensorProto

from stawm.export.file.proto import opset_of

NAMES: Mapping[int, str] = {
    TensorProto.FLOAT: "float",
    TensorProto.FLOAT16: "float16",
    TensorProto.BFLOAT16: "bfloat16",
    TensorProto.DOUBLE: "double",
    TensorProto.INT8: "int8",
    TensorProto.INT16: "int16",
    TensorProto.INT32: "int32",
    TensorProto.INT64: "int64",
    TensorProto.UINT8: "uint8",
    TensorProto.UINT16: "uint16",
    TensorProto.UINT32: "uint32",
    TensorProto.UINT64: "uint64",
    TensorProto.BOOL: "bool",
}


def without_kernel(proto: onnx.ModelProto) -> list[str]:
    """Return what cannot run on a CUDA device: each node's operator, types and name."""
    opset = opset_of(proto)
    types = element_types(proto)
    missing = []
    for node in proto.graph.node:
        if not has_kernel(node, opset, types):
            given = ", ".join(types.get(name, "?") for name in (*node.input, *node.output) if name)
            missing.append(f"{node.op_type}({given}) at {node.name or node.output[0]}")
    return missing


def has_kernel(node: onnx.NodeProto, opset: int, types: Mapping[str, str]) -> bool:
    """Whether the CUDA provider has a kernel for a node.

    Args:
        node: The node.
        opset: The graph's opset.
        types: The element type of each value, by name.
    """
    if node.domain not in ("", "ai.onnx"):
        return False
    schema = onnx.defs.get_schema(node.op_type, opset, "")
    has = dict(_constraints(node, schema, types))
    return any(
        _covers(first, last, schema.since_version) and _accepts(legal, has)
        for first, last, legal in table()["kernels"].get(node.op_type, ())
    )


def element_types(proto: onnx.ModelProto) -> dict[str, str]:
    """Return the element type of every value, by name."""
    graph = onnx.shape_inference.infer_shapes(proto, data_prop=True).graph
    found = {tensor.name: NAMES.get(tensor.data_type, "?") for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        found[value.name] = NAMES.get(value.type.tensor_type.elem_type, "?")
    return found


@cache
def table() -> dict[str, Any]:
    """Return the kernels by operator: first version, last version, types by constraint."""
    return json.loads(resources.files("stawm.export.proof").joinpath("cuda_kernels.json").read_text(encoding="utf-8"))


def _covers(first: int, last: int | None, version: int) -> bool:
    return version == first if last is None else first <= version <= last


def _accepts(legal: Mapping[str, list[str]], has: Mapping[str, str]) -> bool:
    return all(has[name] in types for name, types in legal.items() if name in has)


def _constraints(
    node: onnx.NodeProto, schema: onnx.defs.OpSchema, types: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield the type of each constraint and of each formal parameter of a node."""
    for names, formal in ((node.input, schema.inputs), (node.output, schema.outputs)):
        for name, parameter in zip(names, _spread(formal, len(names)), strict=False):
            if name in types:
                yield parameter.type_str, types[name]
                yield parameter.name, types[name]


def _spread(formal: Iterable[Any], count: int) -> list[Any]:
    """Repeat the last formal parameter, which may stand for any number."""
    listed = list(formal)
    return listed + listed[-1:] * (count - len(listed))
