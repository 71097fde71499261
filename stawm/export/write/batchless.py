"""A graph that asks for the batch's size, made one that does not.

A component may ask for the size of its batch: for an empty state, for a grid, for a thumbnail. A plain graph has no
shape arithmetic, so where such a size is used the same is said without it: a Reshape infers the batch, a Resize
leaves it alone, and what is the same for each image is spread over the batch by what an input has for each image.
"""

from collections.abc import Callable, Mapping

import numpy as np
import onnx_ir as ir

from stawm.export.write.editing import bypass, initializer, insert
from stawm.export.write.sizes import BATCH, Known, Side, Size, is_multiple, known_sizes, numbers, sides_of


def work_out_sizes(graph: ir.Graph) -> None:
    """Replace what is computed from shapes by what is known of it, with the same values; the rest stays."""
    known = known_sizes(graph)
    for node in list(graph) if known else ():
        if node.outputs[0] in known and numbers(known[node.outputs[0]]) is None:
            continue  # shape arithmetic itself, which nothing needs in the end
        if node.op_type in _REWRITES:
            _REWRITES[node.op_type](graph, node, known)
        for i, value in enumerate(node.inputs):
            array = numbers(known.get(value)) if value is not None else None
            if array is not None and value is not None:
                dtype = np.int64 if value.dtype is None else value.dtype.numpy()
                node.replace_input_with(i, initializer(graph, "sizes", array.astype(dtype)))


def _wanted(node: ir.Node, i: int, known: Known) -> list[Side] | None:
    """Return the sides that an input stands for, if the batch is among them."""
    value = node.inputs[i] if len(node.inputs) > i else None
    array = None if value is None else known.get(value)
    return None if array is None or numbers(array) is not None else array.reshape(-1).tolist()


def _vector(graph: ir.Graph, values: list[int]) -> ir.Value:
    return initializer(graph, "sizes", np.array(values, dtype=np.int64))


def _reshape(graph: ir.Graph, node: ir.Node, known: Known) -> None:
    """Let the one side that has the batch be inferred."""
    wanted = _wanted(node, 1, known)
    if wanted is not None and 0 not in wanted and sum(isinstance(side, Size) for side in wanted) == 1:
        sides = [-1 if isinstance(side, Size) else side for side in wanted]
        node.replace_input_with(1, _vector(graph, sides))


def _expand(graph: ir.Graph, node: ir.Node, known: Known) -> None:
    """Expand what has the batch already, or is given it, along the other axes."""
    wanted, source = _wanted(node, 1, known), node.inputs[0]
    given = sides_of(source)
    if wanted is None or given is None or source is None:
        return
    given = [1] * (len(wanted) - len(given)) + given
    missing = [i for i, side in enumerate(wanted) if isinstance(side, Size) and given[i] != side]
    if len(missing) > 1 or any(not is_multiple(wanted[i]) or given[i] != 1 for i in missing):
        return
    for axis in missing:
        node.replace_input_with(0, _spread(graph, node, source, given, axis, wanted[axis]))
    node.replace_input_with(1, _vector(graph, [1 if isinstance(side, Size) else side for side in wanted]))


def _fill(graph: ir.Graph, node: ir.Node, known: Known) -> None:
    """Expand the one number that a tensor is filled with."""
    wanted = _wanted(node, 0, known)
    if wanted is None or node.inputs[0] is None:
        return
    value = node.attributes.get_tensor("value")
    number = np.zeros(1, dtype=np.float32) if value is None else value.numpy()
    one = initializer(graph, "fill", number.reshape([1] * len(wanted)))
    full = insert(node, "Expand", [one, node.inputs[0]])
    full.shape = node.outputs[0].shape
    bypass(graph, node, full)
    expand = full.producer()
    if expand is not None:
        _expand(graph, expand, known)


def _tile(graph: ir.Graph, node: ir.Node, known: Known) -> None:
    """Repeat what was given the batch along the other axes."""
    wanted, source = _wanted(node, 1, known), node.inputs[0]
    given = sides_of(source)
    if wanted is None or source is None or given is None:
        return
    repeats = [1 if isinstance(side, Size) else side for side in wanted]
    missing = [i for i, side in enumerate(wanted) if isinstance(side, Size)]
    if len(missing) > 1 or any(not is_multiple(wanted[i]) or given[i] != 1 for i in missing):
        return
    spread = _spread(graph, node, source, given, missing[0], wanted[missing[0]])
    if set(repeats) == {1}:
        bypass(graph, node, spread)
    else:
        node.replace_input_with(0, spread)
        node.replace_input_with(1, _vector(graph, repeats))


def _count(graph: ir.Graph, node: ir.Node, known: Known) -> None:
    """Number the images: count ones from image to image."""
    limit = _wanted(node, 1, known)
    bounds = [value.const_value for value in node.inputs if value is not None and value.const_value is not None]
    if limit != [BATCH] or [int(bound.numpy().item()) for bound in bounds] != [0, 1]:
        return
    one = initializer(graph, "one", np.ones(1, dtype=np.int64))
    ones = _spread(graph, node, one, [1], 0, BATCH)
    counted = insert(node, "CumSum", [ones, _vector(graph, [0])])
    bypass(graph, node, insert(node, "Sub", [counted, one]))


def _resize(graph: ir.Graph, node: ir.Node, known: Known) -> None:
    """Name the axes whose sides change; the batch is none of them."""
    wanted, given = _wanted(node, 3, known), sides_of(node.inputs[0])
    if wanted is None or given is None or "axes" in node.attributes:
        return
    changed = {i: side for i, side in enumerate(wanted) if side != given[i]}
    sides = [side for side in changed.values() if not isinstance(side, Size)]
    if len(sides) == len(changed):
        node.attributes["axes"] = ir.AttrInt64s("axes", list(changed))
        node.replace_input_with(3, _vector(graph, sides))


_REWRITES: Mapping[str, Callable[[ir.Graph, ir.Node, Known], None]] = {
    "Reshape": _reshape,
    "Expand": _expand,
    "ConstantOfShape": _fill,
    "Tile": _tile,
    "Range": _count,
    "Resize": _resize,
}


def _spread(graph: ir.Graph, before: ir.Node, value: ir.Value, sides: list[Side], axis: int, side: Side) -> ir.Value:
    """Return a value with a multiple of the batch along an axis that was 1: bit by bit the same for each image.

    What is never true of any image chooses between the value and itself.

    Args:
        graph: The graph.
        before: The node that uses it.
        value: What is the same for all images.
        sides: Its shape, with as many ones before it as the result has more axes.
        axis: The axis of the batch.
        side: The multiple.
    """
    if len(sides) > len(value.shape or ()):
        value = insert(before, "Reshape", [value, _vector(graph, [-1 if isinstance(s, Size) else s for s in sides])])
    one_each = [-1 if i == axis else 1 for i in range(len(sides))]
    never = _never(graph, before)
    times = side.times if isinstance(side, Size) else 1
    if times > 1:
        rank = len(graph.inputs[0].shape or ())
        never = insert(before, "Expand", [never, _vector(graph, [1] * (rank - 1) + [times])])
    never = insert(before, "Reshape", [never, _vector(graph, one_each)])
    flags = value.dtype == ir.DataType.BOOL
    spread = insert(before, "Or", [value, never]) if flags else insert(before, "Where", [never, value, value])
    spread.type = value.type
    spread.shape = ir.Shape(
        [str(side) if i == axis else str(s) if isinstance(s, Size) else s for i, s in enumerate(sides)]
    )
    return spread


def _never(graph: ir.Graph, before: ir.Node) -> ir.Value:
    """Return false for each image, since no number is below itself. Nodes that are equal become one afterwards."""
    source = graph.inputs[0]
    axes = list(range(1, len(source.shape or ())))
    first = [_vector(graph, [number] * len(axes)) for number in (0, 1)]
    one = insert(before, "Slice", [source, *first, _vector(graph, axes)])
    never = insert(before, "Less", [one, one])
    never.type = ir.TensorType(ir.DataType.BOOL)
    return never
