"""Products in int8: weights of one scale a column, activations of one scale a run that is found while it runs.

Of ONNX's own operators alone: DynamicQuantizeLinear, MatMulInteger, and a multiplication back to float32, which
ONNX Runtime makes one node of. ONNX Runtime's own tool for this fails on a graph that uses a weight more than once.
"""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import onnx_ir as ir

from stawm.export.write.editing import bypass, initializer, insert

LARGEST = 63
"""The largest weight. Two products of 8 bits with 7 fit into 16 bits, in which processors without VNNI add them: with
larger weights they would be cut off there, and a graph that is right on one processor would be wrong on another."""

TINY = float(np.finfo(np.float32).tiny)
"""The least that a byte may stand for: what is less is zero."""


class Product(NamedTuple):
    """A matrix product with a constant.

    Attributes:
        x: What is multiplied.
        source: The weight as it is stored.
        transposed: Whether the product is with its transpose.
        bias: What is added, or None.
    """

    x: ir.Value
    source: ir.Value
    transposed: bool
    bias: ir.Value | None


def quantise_products(graph: ir.Graph, nodes: Collection[ir.Node]) -> int:
    """Compute products with constants in int8.

    Args:
        graph: The graph; a weight that is used more than once is stored once.
        nodes: Which nodes of it may be computed so.

    Returns:
        How many products are.
    """
    weights: dict[tuple[str | None, bool], tuple[ir.Value, ir.Value]] = {}
    activations: dict[ir.Value, list[ir.Value]] = {}
    count = 0
    for node in list(graph):
        product = as_product(node) if node in nodes else None
        if product is None:
            continue
        key = (product.source.name, product.transposed)
        if key not in weights:
            weights[key] = _stored(graph, product)
        if product.x not in activations:
            activations[product.x] = _dynamic(node, product.x)
        bypass(graph, node, _multiplied(node, product, activations[product.x], *weights[key]))
        count += 1
    return count


def as_product(node: ir.Node) -> Product | None:
    """Return what a node multiplies, if it multiplies something by a constant matrix."""
    if node.op_type not in ("MatMul", "Gemm") or node.inputs[0] is None or node.inputs[1] is None:
        return None
    source, transposed = node.inputs[1], bool(node.attributes.get_int("transB", 0))
    before = source.producer()
    if before is not None and before.op_type == "Transpose" and before.inputs[0] is not None:
        source, transposed = before.inputs[0], not transposed
    plain = node.attributes.get_int("transA", 0) == 0 and all(
        node.attributes.get_float(name, 1.0) == 1 for name in ("alpha", "beta")
    )
    if source.const_value is None or len(source.const_value.shape) != 2 or not plain:
        return None
    return Product(node.inputs[0], source, transposed, node.inputs[2] if len(node.inputs) > 2 else None)


def quantised(weight: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a weight as whole numbers, and what one of them stands for, for each place along an axis."""
    others = tuple(i for i in range(weight.ndim) if i != axis)
    greatest = np.abs(weight).max(axis=others, keepdims=True)
    scale = np.where(greatest / LARGEST >= TINY, greatest / LARGEST, 1).astype(np.float32)
    whole = np.rint(weight / scale).clip(-LARGEST, LARGEST).astype(np.int8)
    return whole, scale.reshape(-1)


def _stored(graph: ir.Graph, product: Product) -> tuple[ir.Value, ir.Value]:
    assert product.source.const_value is not None
    array = product.source.const_value.numpy()
    whole, scale = quantised(array.T if product.transposed else array, 1)
    name = product.source.name
    return initializer(graph, f"{name}.int8", np.ascontiguousarray(whole)), initializer(graph, f"{name}.scale", scale)


def _dynamic(before: ir.Node, x: ir.Value) -> list[ir.Value]:
    """Return a value as bytes, and the scale and zero point that were found for it."""
    node = ir.node("DynamicQuantizeLinear", [x], num_outputs=3)
    assert before.graph is not None
    before.graph.insert_before(before, node)
    kinds = (ir.DataType.UINT8, ir.DataType.FLOAT, ir.DataType.UINT8)
    for output, kind, shape in zip(node.outputs, kinds, (x.shape, ir.Shape([]), ir.Shape([])), strict=True):
        output.type, output.shape = ir.TensorType(kind), shape
    return list(node.outputs)


def _multiplied(
    node: ir.Node, product: Product, activation: list[ir.Value], weight: ir.Value, scale: ir.Value
) -> ir.Value:
    whole, unit, zero = activation
    total = insert(node, "MatMulInteger", [whole, weight, zero])
    total.type = ir.TensorType(ir.DataType.INT32)
    result = insert(node, "Cast", [total], to=int(ir.DataType.FLOAT))
    result.type = ir.TensorType(ir.DataType.FLOAT)
    result = insert(node, "Mul", [result, insert(node, "Mul", [unit, scale])])
    if product.bias is not None:
        result = insert(node, "Add", [result, product.bias])
    result.shape = node.outputs[0].shape
    return result
