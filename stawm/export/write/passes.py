"""What is taken out of a traced graph: batch normalisation, nodes that change nothing, and traces of its making."""

import re
from typing import Any, NamedTuple

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import common

from stawm.export.proof.structure import UNWANTED
from stawm.export.write.batchless import work_out_sizes
from stawm.export.write.editing import bypass, initializer

CONVOLUTIONS = {"Conv": 0, "ConvTranspose": 1}
"""The axis of the weight that its outputs are on."""
NORMALISED = ".normalised"
"""What the name of a kernel ends with that normalises too."""
SHARED_UP_TO = 2**20
"""The most numbers of a weight that is looked for twice: of sums of biases, of constants; no trace repeats a matrix."""
WORTH = 64
"""The fewest numbers that are worth a Cast."""
STRANGE = {op: why for why, ops in UNWANTED.items() for op in ops}
"""Operators that a plain graph has not, and what they are."""
FX_NODE = "pkg.torch.onnx.fx_node"
"""Where the exporter writes down what a node came from."""


class Leftover(NamedTuple):
    """A node that a plain graph has not.

    Attributes:
        op: Its operator in ONNX.
        origin: The operation of PyTorch that needs it.
    """

    op: str
    origin: str


def clean(model: ir.Model) -> list[Leftover]:
    """Bring a traced graph to its leanest form, with the same values.

    Returns:
        What is left that a plain graph has not.
    """
    fold_batch_norms(model.graph)
    work_out_sizes(model.graph)
    remove_idle_nodes(model.graph)
    forgo_zeros(model.graph)
    for step in (
        common.DeduplicateInitializersPass(size_limit=SHARED_UP_TO),
        common.CommonSubexpressionEliminationPass(),
        common.RemoveUnusedNodesPass(),
    ):
        step(model)
    left = [Leftover(node.op_type, _origin(node)) for node in model.graph if node.op_type in STRANGE]
    common.ClearMetadataAndDocStringPass()(model)
    for value in (*model.graph.inputs, *model.graph.outputs):
        value.metadata_props.clear()
    model.graph.name = "stawm"
    return left


def _origin(node: ir.Node) -> str:
    """Return the operation of ATen that a node came from; of shape arithmetic that which uses the shape."""
    later = node
    while node.op_type == "Shape" and later.outputs[0].dtype == ir.DataType.INT64 and later.outputs[0].uses():
        later = next(iter(later.outputs[0].uses())).node
    found = [re.search(r"target=torch\.ops\.([\w.]+)", n.metadata_props.get(FX_NODE, "")) for n in (later, node)]
    return next((match[1] for match in found if match), node.op_type)


def fold_batch_norms(graph: ir.Graph) -> None:
    """Put every batch normalisation into the convolution before it.

    ONNX Runtime does so too, but for each glimpse by itself, with a copy of the weights for each.
    """
    folded: dict[tuple[str | None, ...], list[ir.Value]] = {}
    for norm in [node for node in graph if node.op_type == "BatchNormalization"]:
        conv = norm.inputs[0].producer() if norm.inputs[0] is not None else None
        if conv is None or not _foldable(norm, conv):
            continue
        parameters = [*conv.inputs[1:], *norm.inputs[1:]]
        key = (str(_epsilon(norm)), *(None if value is None else value.name for value in parameters))
        if key not in folded:
            folded[key] = _folded(graph, norm, conv)
        weight, bias = folded[key]
        conv.resize_inputs(3)
        conv.replace_input_with(1, weight)
        conv.replace_input_with(2, bias)
        bypass(graph, norm, conv.outputs[0])


def _foldable(norm: ir.Node, conv: ir.Node) -> bool:
    if conv.op_type not in CONVOLUTIONS or len(conv.outputs[0].uses()) != 1 or conv.outputs[0].is_graph_output():
        return False
    grouped = conv.op_type == "ConvTranspose" and conv.attributes.get_int("group", 1) != 1
    constants = [value for value in (*conv.inputs[1:], *norm.inputs[1:]) if value is not None]
    return not grouped and all(value.const_value is not None for value in constants)


def _folded(graph: ir.Graph, norm: ir.Node, conv: ir.Node) -> list[ir.Value]:
    """Return weight and bias of a convolution that normalises too, computed in float64."""
    scale, shift, mean, variance = (_array(value) for value in norm.inputs[1:5])
    weight = _array(conv.inputs[1])
    bias = _array(conv.inputs[2]) if len(conv.inputs) > 2 and conv.inputs[2] is not None else np.zeros_like(mean)
    factor = scale / np.sqrt(variance + _epsilon(norm))
    shape = [1] * weight.ndim
    shape[CONVOLUTIONS[conv.op_type]] = -1
    source: Any = conv.inputs[1]
    dtype = source.const_value.numpy().dtype
    name = f"{source.name}{NORMALISED}"
    arrays = {name: weight * factor.reshape(shape), f"{name}.bias": (bias - mean) * factor + shift}
    return [initializer(graph, name, array.astype(dtype)) for name, array in arrays.items()]


def _epsilon(norm: ir.Node) -> float:
    return norm.attributes.get_float("epsilon", 1e-5)


def _array(value: Any) -> np.ndarray:
    return value.const_value.numpy().astype(np.float64)


def store_as_halves(graph: ir.Graph) -> None:
    """Store what is a number of half precision as one, and widen it once; the values are the same bit by bit.

    What is computed when a graph is written, as the weights of folded normalisations, is none mostly, and stays.
    """
    first = graph[0]
    for value in list(graph.initializers.values()):
        array = value.const_value.numpy() if value.const_value is not None else np.zeros(0)
        if array.dtype != np.float32 or array.size < WORTH or value.name is None:
            continue
        with np.errstate(over="ignore"):
            half = array.astype(np.float16)
        if np.array_equal(half.astype(np.float32), array):
            stored = initializer(graph, f"{value.name}.half", half)
            cast = ir.node("Cast", [stored], {"to": int(ir.DataType.FLOAT)})
            graph.insert_before(first, cast)
            cast.outputs[0].type, cast.outputs[0].shape = value.type, value.shape
            ir.convenience.replace_all_uses_with(value, cast.outputs[0])
            del graph.initializers[value.name]
            cast.outputs[0].name = value.name


def forgo_zeros(graph: ir.Graph) -> None:
    """Take ``allowzero`` from every Reshape to a shape without zeros, where some readers refuse it."""
    for node in graph:
        shape = node.inputs[1].const_value if node.op_type == "Reshape" and node.inputs[1] is not None else None
        if shape is not None and 0 not in shape.numpy():
            node.attributes.pop("allowzero", None)


def remove_idle_nodes(graph: ir.Graph) -> None:
    """Remove nodes that give what they are given."""
    for node in list(graph):
        source = _same_value(node)
        if source is not None:
            bypass(graph, node, source)


def _same_value(node: ir.Node) -> ir.Value | None:
    """Return the value that a node only repeats, if it does."""
    source = node.inputs[0] if node.inputs else None
    if source is None or node.outputs[0].is_graph_output():
        return None
    before = source.producer()
    if node.op_type == "Cast" and before is not None and before.op_type == "Cast" and _is_exact(before):
        source = before.inputs[0] or source
    same_shape = source.shape is not None and source.shape == node.outputs[0].shape
    same_type = source.dtype is not None and source.dtype == node.outputs[0].dtype
    repeats = {"Identity": True, "Expand": same_shape, "Reshape": same_shape, "Cast": same_type}
    return source if repeats.get(node.op_type, False) else None


def _is_exact(cast: ir.Node) -> bool:
    """Whether a cast loses nothing: from half precision to single."""
    source = cast.inputs[0]
    exact = source is not None and source.dtype == ir.DataType.FLOAT16
    return exact and cast.outputs[0].dtype == ir.DataType.FLOAT
