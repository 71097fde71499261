"""How much a graph needs, told from its shapes before it runs: how large its values are, and how much is computed.

Shapes are inferred anew from the inputs alone; what a file claims of the values in between is not looked at. They are
inferred for one image and for many, so that nothing can grow faster than the batch.
"""

from collections.abc import Mapping
from math import prod
from pathlib import Path

import onnx
from onnx import TensorProto

from stawm.errors import ExportError
from stawm.export.file.faces import in_brackets
from stawm.export.file.proto import shape_of
from stawm.export.graphs import names

MAX_VALUE = 2**26
"""The most numbers of one value, for one image: 256 MiB in single precision."""
MAX_TOTAL = 2**30
"""The most numbers of all values together, for one image."""
MAX_WORK = 2**40
"""The most multiplications, for one image."""
MANY = 256
ASKED = 128
"""For how many questions about an image it is told, where there may be any number."""
MAX_LISTS = 2**20
"""The most numbers of all values with a single axis, and so without a batch, that nodes give together."""
SMALL = 1024
"""Up to how many numbers a constant is looked at when shapes are inferred: shapes are given by short ones."""

Shapes = Mapping[str, tuple[int, ...]]
Sides = tuple[int, ...]
"""A height and a width, or nothing."""


def check_sizes(proto: onnx.ModelProto, path: Path, sides: Sides = ()) -> None:
    """Raise an ExportError where a graph needs too much, or does not tell how much it needs.

    Args:
        proto: The graph.
        path: Its file.
        sides: Height and width of the images to tell it for, where images may be of any.
    """
    one, many = (infer(proto, batch, path, sides) for batch in (1, MANY))
    total = work = 0
    names = [(node, name) for node in proto.graph.node for name in node.output if name]
    for node, name in [*((None, value.name) for value in proto.graph.input), *names]:
        where = f"{path}: the size of {name!r}" + (f", which {node.op_type} gives," if node is not None else "")
        if name not in one or name not in many:
            raise ExportError(f"{where} cannot be told before it runs; stawm opens graphs whose sizes are known.")
        size = prod(one[name])
        total += size
        if size > MAX_VALUE or total > MAX_TOTAL:
            raise ExportError(
                f"{where} is {size:,} numbers for one image, after {total:,} in all; at most {MAX_VALUE:,} of one "
                f"value and {MAX_TOTAL:,} of all are computed."
            )
        if prod(many[name]) > MANY * size:
            raise ExportError(f"{where} grows faster than the batch.")
    for value in proto.graph.output:
        claimed, found = shape_of(value), one.get(value.name, ())
        if len(claimed) != len(found) or any(
            isinstance(c, int) and c != f for c, f in zip(claimed[1:], found[1:], strict=True)
        ):
            raise ExportError(f"{path} says that {value.name} is {in_brackets(claimed)}; it is {in_brackets(found)}.")
    for node in proto.graph.node:
        work += _work(node, one)
        if work > MAX_WORK:
            raise ExportError(f"{path} computes more than {MAX_WORK:,} products for one image; it is not run.")


def infer(proto: onnx.ModelProto, batch: int, path: Path, sides: Sides = ()) -> dict[str, tuple[int, ...]]:
    """Return the shapes that are known of a graph's values for a number of images, by name.

    Raises:
        ExportError: ONNX cannot infer shapes of such a graph.
    """
    outline = _outline(proto, batch, sides)
    found, sure = _inferred(outline, path)
    if _all_known(proto, found) or not sure:
        return found
    # Sizes are computed from sizes, as networks of timm do it: ONNX has to carry the values of short lists along.
    return _inferred(outline, path, data_prop=True)[0]


def _inferred(
    outline: onnx.ModelProto, path: Path, *, data_prop: bool = False
) -> tuple[dict[str, tuple[int, ...]], bool]:
    """Return the shapes that are known, and whether there is no list of unknown length, so that values can be told.

    ONNX carries the values of lists along whatever their length is, also values that it does not know: a few nodes
    that join a list with itself would take all memory.
    """
    try:
        graph = onnx.shape_inference.infer_shapes(outline, data_prop=data_prop).graph
    except Exception as error:  # ONNX raises errors of several kinds
        raise ExportError(f"{path} is damaged: {' '.join(str(error).split())[:500]}.") from error
    found = {tensor.name: tuple(tensor.dims) for tensor in outline.graph.initializer}
    lists, unknown = 0, {name for node in outline.graph.node for name in node.output if name}
    made = set(unknown)
    for value in (*graph.input, *graph.value_info, *graph.output):
        tensor = value.type.tensor_type
        dims = [d.dim_value if d.HasField("dim_value") else -1 for d in tensor.shape.dim]
        known = tensor.HasField("shape") and all(size >= 0 for size in dims)
        if known:
            found[value.name] = tuple(dims)
        if tensor.HasField("shape") and (known or len(dims) != 1):
            unknown.discard(value.name)
        lists += dims[0] if known and len(dims) == 1 and value.name in made else 0
    if lists > MAX_LISTS:
        raise ExportError(f"{path} makes lists of {lists:,} numbers together; at most {MAX_LISTS:,} are computed.")
    return found, not unknown


def _all_known(proto: onnx.ModelProto, shapes: Shapes) -> bool:
    return all(name in shapes for node in proto.graph.node for name in node.output if name)


def _outline(proto: onnx.ModelProto, batch: int, sides: Sides) -> onnx.ModelProto:
    """Return the graph for a number of images of a size, without its weights and without what it claims of shapes."""
    bare = onnx.ModelProto(ir_version=proto.ir_version, opset_import=proto.opset_import)
    bare.graph.name = "outline"
    bare.graph.node.extend(proto.graph.node)
    for value in proto.graph.input:
        bare.graph.input.append(value)
        dims = bare.graph.input[-1].type.tensor_type.shape.dim
        if dims and not dims[0].HasField("dim_value"):
            dims[0].dim_value = batch
        if len(dims) > 1 and dims[1].dim_param == names.MANY:
            dims[1].dim_value = ASKED
        for dim, side in zip(dims[2:], sides if value.name == "image" else (), strict=False):
            dim.dim_value = side
    for tensor in proto.graph.initializer:
        if prod(tensor.dims) <= SMALL:
            bare.graph.initializer.append(tensor)
        else:
            bare.graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    bare.graph.output.extend(
        onnx.helper.make_tensor_value_info(value.name, value.type.tensor_type.elem_type or TensorProto.FLOAT, None)
        for value in proto.graph.output
    )
    return bare


def _work(node: onnx.NodeProto, shapes: Shapes) -> int:
    """Return how many products a node computes, or at least how many numbers it takes and gives."""
    given = [shapes.get(name, ()) for name in node.input]
    gives = [shapes.get(name, ()) for name in node.output]
    moved = sum(prod(shape) for shape in (*given, *gives))
    first, second, out = (*given, (), ())[0], (*given, (), ())[1], prod((*gives, ())[0])
    values = {a.name: a for a in node.attribute}
    match node.op_type:
        case "MatMul" | "MatMulInteger" | "Gemm":
            return moved + out * max(first[-2:], default=1)
        case "Conv":
            return moved + out * prod(second[1:])
        case "ConvTranspose":
            return moved + prod(first) * prod(second[1:])
        case "AveragePool" | "MaxPool" | "LpPool":
            return moved + out * prod(values["kernel_shape"].ints if "kernel_shape" in values else ())
        case "Attention":
            return moved + 2 * prod(first) * max(second[-2:], default=1)
        case "GRU" | "LSTM" | "RNN":
            return moved + prod(first[:2]) * sum(prod(shape) for shape in given[1:3])
        case "Einsum":
            return moved + _letters(values["equation"].s.decode("ascii"), given) if "equation" in values else moved
        case _:
            return moved


def _letters(equation: str, given: list[tuple[int, ...]]) -> int:
    """Return the product of all axes that an Einsum runs over."""
    sizes: dict[str, int] = {}
    for term, shape in zip(equation.replace(" ", "").partition("->")[0].split(","), given, strict=False):
        before, dots, after = term.partition("...")
        middle = [f"...{place}" for place in range(len(shape) - len(before + after))] if dots else []
        sizes |= dict(zip([*before, *middle, *after], shape, strict=False))
    return prod(sizes.values())
