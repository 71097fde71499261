"""From a graph in float32 to one in int8: its products, and its convolutions where their ranges were measured."""

import json
from collections.abc import Collection, Mapping, Sequence
from functools import partial

import numpy as np
import onnx
import onnx_ir as ir
import torch
from onnx_ir.passes import common
from torch import Tensor

from stawm.errors import InputError
from stawm.export.graphs.prepared import Prepared, example_inputs
from stawm.export.run.host import HostRunner
from stawm.export.run.providers import open_session
from stawm.export.run.walk import Named, roll
from stawm.export.write.convolutions import Range, layers, measured, quantise_convolutions
from stawm.export.write.editing import initializer
from stawm.export.write.passes import CONVOLUTIONS, SHARED_UP_TO, WORTH, store_as_halves
from stawm.export.write.products import quantise_products
from stawm.models.model import Model

SCOPES = "pkg.torch.onnx.name_scopes"
"""Where the exporter writes down which modules a node is of."""
BATCH = 128
"""How many images are run at once while ranges are measured."""
LEAST, MOST = "least.", "most."

Nodes = Collection[ir.Node]


def nodes_of(traced: ir.Model, parts: Sequence[str]) -> set[ir.Node]:
    """Return the nodes of a trace that came from some modules of its model, and from what these hold.

    Args:
        traced: The trace as the exporter gives it: later passes forget what nodes came from.
        parts: The names of the modules.
    """
    return {node for node in traced.graph if any(_is_in(scope, parts) for scope in _scopes(node))}


def _is_in(scope: str, parts: Sequence[str]) -> bool:
    path = scope.removeprefix("model.") + "."
    return any(path.startswith(f"{part}.") for part in parts)


def _scopes(node: ir.Node) -> list[str]:
    """Return the modules that a node is of; where they are not on record, that of its weight."""
    noted = node.metadata_props.get(SCOPES, "[]").replace("'", '"')
    return [*json.loads(noted), *(str(value.name) for value in node.inputs if value is not None and value.const_value)]


def quantise(model: ir.Model, nodes: Nodes, ranges: Mapping[str, Range] | None) -> int:
    """Compute in int8 what may be; kernels of convolutions that stay in float32 are stored in half.

    Args:
        model: A clean graph in float32; it is changed.
        nodes: Which of its nodes may be in int8, and may have been taken out since.
        ranges: The ranges of activations; None leaves convolutions as they are.

    Returns:
        How many products and convolutions are in int8.

    Raises:
        ExportError: The ranges are those of another model.
    """
    graph = model.graph
    count = 0 if ranges is None else quantise_convolutions(graph, nodes, ranges)
    count += quantise_products(graph, nodes)
    _round_kernels(graph, nodes)
    common.RemoveUnusedNodesPass()(model)
    store_as_halves(graph)
    common.DeduplicateInitializersPass(size_limit=SHARED_UP_TO)(model)
    return count


def _round_kernels(graph: ir.Graph, nodes: Nodes) -> None:
    """Round the kernels that are in float32 still to halves, where halves hold them."""
    rounded: dict[str, ir.Value] = {}
    for node in graph:
        kernel = node.inputs[1] if node in nodes and node.op_type in CONVOLUTIONS else None
        if kernel is None or kernel.const_value is None or kernel.name is None or kernel.const_value.size < WORTH:
            continue
        if kernel.name not in rounded:
            with np.errstate(over="ignore"):
                half = kernel.const_value.numpy().astype(np.float16)
            stored = half.astype(np.float32)
            rounded[kernel.name] = initializer(graph, kernel.name, stored) if np.isfinite(stored).all() else kernel
        node.replace_input_with(1, rounded[kernel.name])


def measure(
    models: Mapping[str, ir.Model], nodes: Mapping[str, Nodes], prepared: Prepared, images: Tensor
) -> dict[str, Range]:
    """Return the ranges of the activations of every convolution over some images.

    Args:
        models: The clean graphs in float32 by part; they are left as they are.
        nodes: Which of their nodes may be in int8.
        prepared: The model that they are of.
        images: The images, normalised, (b, c, h, w).

    Raises:
        InputError: What the model gives for them is not finite.
    """
    ranges: dict[str, Range] = {}
    runners = {part: _observing(model, nodes[part]) for part, model in models.items()}

    def run(part: str, given: Named) -> Named:
        found = runners[part](given)
        for name in [name.removeprefix(LEAST) for name in found if name.startswith(LEAST)]:
            low, high = found.pop(LEAST + name).item(), found.pop(MOST + name).item()
            before = ranges.get(name, (low, high))
            ranges[name] = (min(low, before[0]), max(high, before[1]))
        return found

    plan = prepared.plan
    if plan.kind == "step":
        takes = {part: [value.name or "" for value in model.graph.inputs] for part, model in models.items()}
        whole = partial(roll, run, takes, glimpses=plan.glimpses or 1, every=False)
    else:
        whole = partial(run, "rollout")
    for batch in images.float().cpu().split(BATCH):
        whole(example_inputs(prepared.model, plan, len(batch), 0) | {"image": batch})
    if not np.isfinite(list(ranges.values())).all():
        raise InputError("What the model gives for the images of the calibration is not finite, so it has no ranges.")
    return ranges


def _observing(model: ir.Model, nodes: Nodes) -> HostRunner:
    """Return a runner of a graph that gives the least and the most number of every activation too."""
    proto = ir.to_proto(model)
    proto.ir_version = onnx.helper.find_min_ir_version_for(list(proto.opset_import))
    for name, values in measured(layers(nodes, model.graph)).items():
        for prefix, each, all_of in ((LEAST, "ReduceMin", "Min"), (MOST, "ReduceMax", "Max")):
            parts = [f"{prefix}{value.name}" for value in values]
            proto.graph.node.extend(
                onnx.helper.make_node(each, [str(value.name)], [part], keepdims=0)
                for value, part in zip(values, parts, strict=True)
            )
            proto.graph.node.append(onnx.helper.make_node(all_of, parts, [prefix + name]))
            output = onnx.helper.make_tensor_value_info(prefix + name, onnx.TensorProto.FLOAT, [])
            proto.graph.output.append(output)
    return HostRunner(open_session(proto.SerializeToString(), "cpu", allow_fallback=False, threads=None))


def check_calibration(model: Model, precision: str, images: Tensor) -> None:
    """Raise an InputError where images cannot tell the ranges of a model's convolutions."""
    if precision != "int8":
        raise InputError(f"calibration tells the ranges of convolutions in int8; precision is {precision!r}.")
    model.check_shape(images)
    if not len(images) or not bool(torch.isfinite(images).all()):
        raise InputError("calibration must hold at least one image, and finite numbers only.")
