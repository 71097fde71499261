"""Small edits of a graph that several passes make."""

from typing import Any

import numpy as np
import onnx_ir as ir


def initializer(graph: ir.Graph, name: str, array: np.ndarray) -> ir.Value:
    """Store an array in a graph, under a name like this one."""
    while name in graph.initializers:
        name += "_"
    tensor = ir.tensor(array, name=name)
    value = ir.Value(name=name, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor)
    graph.register_initializer(value)
    return value


def insert(before: ir.Node, op: str, inputs: list[ir.Value], **attributes: Any) -> ir.Value:
    """Put a node before another, and return what it gives; of the first input's type."""
    node = ir.node(op, inputs, attributes)
    graph: Any = before.graph
    graph.insert_before(before, node)
    node.outputs[0].type = inputs[0].type
    return node.outputs[0]


def bypass(graph: ir.Graph, node: ir.Node, source: ir.Value) -> None:
    """Take a node out, and let what comes after it use what came before."""
    output = node.outputs[0]
    if output.is_graph_output():
        name = output.name
        ir.convenience.replace_all_uses_with(output, source, replace_graph_outputs=True)
        source.name = name
    else:
        ir.convenience.replace_all_uses_with(output, source)
    graph.remove(node, safe=True)
