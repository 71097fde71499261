"""Convolutions in int8, with ranges of activations that were measured beforehand.

Written as ONNX has it for all runtimes: QuantizeLinear and DequantizeLinear around what is computed in int8, which
runtimes make one operator of. A layer has one range, one weight and one bias for all glimpses.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import onnx_ir as ir

from stawm.errors import ExportError
from stawm.export.write.editing import initializer, insert
from stawm.export.write.passes import NORMALISED
from stawm.export.write.products import TINY, quantised

ACTIVATIONS = ("Relu", "Clip")
"""What a convolution in int8 does along the way: the range of what comes out begins and ends where they do."""
STEPS = 255
Range = tuple[float, float]


class Layer(NamedTuple):
    """A convolution with a constant kernel.

    Attributes:
        node: The convolution.
        key: The name of its kernel, the same for every glimpse and in every kind of graph.
        given: What goes in.
        gives: What comes out, after its activation.
    """

    node: ir.Node
    key: str
    given: ir.Value
    gives: ir.Value


def layers(nodes: Collection[ir.Node], graph: ir.Graph) -> list[Layer]:
    """Return the convolutions among nodes of a graph, in their order."""
    return [layer for node in graph if node in nodes for layer in _as_layer(node)]


def _as_layer(node: ir.Node) -> Iterator[Layer]:
    constants = node.inputs[1:]
    if node.op_type == "Conv" and all(value is not None and value.const_value is not None for value in constants):
        given, kernel = node.inputs[0], node.inputs[1]
        assert given is not None
        assert kernel is not None
        yield Layer(node, str(kernel.name).removesuffix(NORMALISED), given, _activated(node.outputs[0]))


def _activated(value: ir.Value) -> ir.Value:
    uses = list(value.uses())
    if len(uses) == 1 and uses[0].node.op_type in ACTIVATIONS and not value.is_graph_output():
        return uses[0].node.outputs[0]
    return value


def measured(found: Collection[Layer]) -> dict[str, list[ir.Value]]:
    """Return the values whose ranges are needed, by the names of the ranges; those of all glimpses share one."""
    names = {layer.gives: f"{layer.key}:out" for layer in found}
    for layer in found:
        names.setdefault(layer.given, f"{layer.key}:in")
    grouped: dict[str, list[ir.Value]] = {}
    for value, name in names.items():
        grouped.setdefault(name, []).append(value)
    return grouped


def quantise_convolutions(graph: ir.Graph, nodes: Collection[ir.Node], ranges: Mapping[str, Range]) -> int:
    """Compute convolutions in int8.

    Args:
        graph: The graph.
        nodes: Which nodes of it may be computed so.
        ranges: The range of each activation, by the names that `measured` gives.

    Returns:
        How many convolutions are.

    Raises:
        ExportError: There is no range for one of them.
    """
    found = layers(nodes, graph)
    grids: dict[str, list[ir.Value]] = {}
    scales: dict[ir.Value, float] = {}
    for name, values in measured(found).items():
        if name not in ranges:
            raise ExportError(f"There is no range for {name}: the ranges were measured on another model.")
        scale, zero = grid(ranges[name])
        grids[name] = [initializer(graph, f"{name}.scale", scale), initializer(graph, f"{name}.zero", zero)]
        for value in values:
            scales[_rounded(graph, value, nodes, grids[name])] = float(scale)
    kernels: dict[str, list[ir.Value]] = {}
    for layer in found:
        given = layer.node.inputs[0]
        assert given is not None
        if layer.key not in kernels:
            kernels[layer.key] = _stored(graph, layer, scales[given])
        for i, value in enumerate(kernels[layer.key], start=1):
            layer.node.replace_input_with(i, value)
    return len(found)


def grid(between: Range) -> tuple[np.ndarray, np.ndarray]:
    """Return scale and zero point of the bytes that cover a range, in which zero is one of them."""
    low, high = min(0.0, between[0]), max(0.0, between[1])
    scale = np.float32((high - low) / STEPS)
    scale = scale if scale >= TINY else np.float32(1)
    return np.asarray(scale), np.asarray(np.uint8(np.rint(-low / scale).clip(0, STEPS)))


def _rounded(graph: ir.Graph, value: ir.Value, nodes: Collection[ir.Node], numbers: list[ir.Value]) -> ir.Value:
    """Round a value to bytes and back for what uses it in int8, or where nothing does for all; return the result."""
    uses = [use for use in value.uses() if use.node in nodes] or list(value.uses())
    whole = ir.node("QuantizeLinear", [value, *numbers])
    back = ir.node("DequantizeLinear", [whole.outputs[0], *numbers])
    for node, kind in ((whole, ir.DataType.UINT8), (back, ir.DataType.FLOAT)):
        node.outputs[0].type, node.outputs[0].shape = ir.TensorType(kind), value.shape
    producer = value.producer()
    if producer is None:
        graph.insert_before(graph[0], [whole, back])
    else:
        graph.insert_after(producer, [whole, back])
    for use in uses:
        use.node.replace_input_with(use.idx, back.outputs[0])
    return back.outputs[0]


def _stored(graph: ir.Graph, layer: Layer, unit: float) -> list[ir.Value]:
    """Store kernel and bias as whole numbers, once, widened at the beginning of the graph."""
    arrays = [value.const_value.numpy() for value in layer.node.inputs[1:] if value and value.const_value]
    whole, scale = quantised(arrays[0], 0)
    stored = [(f"{layer.key}.int8", whole, f"{layer.key}.scale", scale)]
    if len(arrays) > 1:
        both = (scale.astype(np.float64) * unit).astype(np.float32)
        limit = np.iinfo(np.int32).max
        bias = np.rint(arrays[1] / both.astype(np.float64)).clip(-limit, limit).astype(np.int32)
        stored.append((f"{layer.key}.bias.int32", bias, f"{layer.key}.bias.scale", both))
    first, widened = graph[0], []
    for name, numbers, scale_name, scales in stored:
        given = [initializer(graph, name, numbers), initializer(graph, scale_name, scales)]
        back = insert(first, "DequantizeLinear", given, axis=0)
        back.type, back.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape(numbers.shape)
        widened.append(back)
    return widened
