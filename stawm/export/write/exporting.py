"""From a model to verified ONNX files."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import onnx
import onnx_ir as ir
from torch import Tensor

from stawm.errors import ExportError, InputError, shown
from stawm.export.file import sealing
from stawm.export.file.describing import describe
from stawm.export.file.files import GraphFile, open_graph
from stawm.export.file.metadata import GraphInfo
from stawm.export.file.writing import check_place, write_graphs
from stawm.export.graphs import fields
from stawm.export.graphs.asked import PRECISIONS, one_of
from stawm.export.graphs.plan import Plan, count_glimpses
from stawm.export.graphs.precision import parts_of
from stawm.export.graphs.prepared import Prepared, prepare
from stawm.export.proof.behaviour import Bounds, as_trial
from stawm.export.proof.report import Check, Report, VerificationError
from stawm.export.proof.verification import BATCHES, examine
from stawm.export.run.providers import Device, choose_device
from stawm.export.write.passes import Leftover, clean, store_as_halves
from stawm.export.write.quantising import check_calibration, measure, nodes_of, quantise
from stawm.export.write.sidecar import check_sidecar, write_sidecar
from stawm.export.write.tracing import trace, unplain
from stawm.models.model import Model
from stawm.nn.backbones.timm_network import TimmNetwork
from stawm.storage.hashing import check_stopping


def to_onnx(
    model: Model,
    path: str | os.PathLike[str],
    *,
    graph: Literal["rollout", "step"] = "rollout",
    glimpses: int | None = None,
    precision: Literal["fp32", "fp16", "int8"] = "fp32",
    weights: Literal["fp32", "fp16"] = "fp32",
    opset: int = 18,
    outputs: Sequence[str] | Literal["all"] | None = None,
    sample: bool = False,
    steered: bool = False,
    sidecar: bool = False,
    images: Tensor | None = None,
    labels: Tensor | None = None,
    calibration: Tensor | None = None,
    bounds: Bounds | None = None,
    batches: Sequence[int] = BATCHES,
    device: Device = "cpu",
) -> Report:
    """Write a model as ONNX that is proved to be equal to it.

    Args:
        model: The model; it is left as it is.
        path: Where to: a file for a rollout, a folder for a step graph. It appears there once it is verified.
        graph: ``"rollout"``, all glimpses in one graph, or ``"step"``, one glimpse at a time.
        glimpses: How many glimpses are taken; the configuration's number where left out.
        precision: ``"fp32"``, or ``"fp16"`` with poses, sampling and memory in fp32, or ``"int8"`` with these and what
            is written in fp32: products with int8 weights, and convolutions where there is a ``calibration``. It is
            not proved by how it rounds but by what it does on ``images``.
        weights: ``"fp16"`` stores the weights in half, rounded, and computes with them in fp32: half the file, at
            full speed. The graph is proved equal to the model with its weights rounded, and the report says how far
            that is from the model itself.
        opset: The ONNX opset.
        outputs: Which fields of the output there are, or ``"all"``; logits, canvas and poses where left out.
        sample: Whether random numbers are inputs; otherwise the most probable is drawn.
        steered: Whether a step graph takes further inputs, image by image: a pose (``steer.pose``) and whether to look
            there (``steer.placed``), and whether the glimpse is written to the memory (``steer.written``).
        sidecar: Whether to write what the file says of itself as JSON too, beside it as ``PATH.json``.
        images: Real images, normalised, (b, c, h, w), that the graph is judged by beside the model. In half precision
            the report says what that does to them; else the graph must agree with the model as the ``bounds`` say.
        labels: Their classes: the graph must not err more often than the model, by the ``bounds``.
        calibration: In int8, images of the kind that the model was trained on, some hundred, normalised: the ranges of
            what goes into convolutions and comes out are measured on them. Without it convolutions stay in fp32.
        bounds: How far a graph may be from its model on ``images``.
        batches: The sizes of the batches that it is verified with.
        device: Where it is verified. The file is the same for every device, but only one that is verified on a
            GPU must run there: a node without a CUDA kernel is a warning on the CPU.

    Returns:
        What the verification found, warnings included.

    Raises:
        InputError: An argument is not legal.
        ExportError: The model cannot be exported, or the graph is not equal to it.
        DeviceError: The device cannot be used.

    Examples:
        >>> import stawm, tempfile
        >>> model = stawm.build("stawm-digits", glimpses=1, seed=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     report = stawm.export.to_onnx(model, f"{folder}/digits.onnx")
        >>> report.ok, report.nodes["rollout"] < 130
        (True, True)
    """
    if not isinstance(model, Model):
        raise InputError(f"to_onnx takes a model that stawm.build or stawm.load made; got {type(model).__name__}.")
    if precision not in PRECISIONS:
        raise InputError(f"precision must be {one_of(PRECISIONS)}; got {shown(precision)}.")
    if weights not in ("fp32", "fp16"):
        raise InputError(f"weights must be 'fp32' or 'fp16'; got {weights!r}.")
    if steered and graph != "step":
        raise InputError("Only a step graph can be steered: take graph='step', or leave out steered.")
    check_stopping(model)
    path, chosen = Path(path), choose_device(device)
    check_place(path, graph)
    if sidecar:
        check_sidecar(path)
    trial = as_trial(model, images, labels, bounds)
    if calibration is not None:
        check_calibration(model, precision, calibration)
    named = fields.choose(model, outputs, "steered" if steered else graph)
    plan = Plan(graph, count_glimpses(model, glimpses), named, sample, weights, steered)
    prepared = prepare(model, plan, precision)
    data = build(prepared, describe(model, prepared), opset, calibration)
    files = {part: open_graph(path, value) for part, value in data.items()}
    report = examine(path, files, model, batches, chosen, prepared, trial)
    report = replace(report, checks=(*report.checks, *_left_out(model, files)))
    if not report.ok:
        raise VerificationError(report)
    write_graphs(path, data)
    if sidecar:
        write_sidecar(path)
    return report


def _left_out(model: Model, files: Mapping[str, GraphFile]) -> list[Check]:
    """Warn where a model has thresholds to stop by that its graph does not take along."""
    info = next(iter(files.values())).info
    if model.stopping is None or info.stopping is not None:
        return []
    cure = "stawm tune-stop GRAPH --data ..." if info.kind == "step" else "export with graph='step'"
    said = f"the thresholds of tune-stop hold for the model in fp32 and are left out; tune this graph itself: {cure}"
    return [Check("stopping", False, said, "warning")]


def build(
    prepared: Prepared, infos: Mapping[str, GraphInfo], opset: int, calibration: Tensor | None = None
) -> dict[str, bytes]:
    """Return the graphs of a model as the bytes of files, by part, not verified yet.

    Args:
        prepared: The model.
        infos: What the files say of themselves; in int8 they may know ranges already.
        opset: The ONNX opset.
        calibration: In int8, images that ranges are measured on.

    Raises:
        InputError: In int8 there is nothing to be in int8 without images.
        ExportError: The model cannot be exported.
    """
    plain = not any(isinstance(module, TimmNetwork) for module in prepared.model.modules())
    traces, marked = {}, {}
    for part, graph in prepared.graphs.items():
        traced = traces[part] = trace(graph, prepared.inputs[part], opset)
        marked[part] = nodes_of(traced, parts_of(prepared.model))
        left = _cleaned(traced, infos[part])
        if left and plain:
            raise ExportError(unplain(left, graph, prepared.inputs[part]))
    if prepared.precision == "int8":
        infos = _in_int8(traces, marked, prepared, infos, calibration)
    return {part: _write(traced, infos[part]) for part, traced in traces.items()}


def _in_int8(
    traces: Mapping[str, ir.Model],
    marked: Mapping[str, set[ir.Node]],
    prepared: Prepared,
    infos: Mapping[str, GraphInfo],
    calibration: Tensor | None,
) -> dict[str, GraphInfo]:
    """Turn graphs into int8, and return what they then say of themselves."""
    ranges = next(iter(infos.values())).ranges
    if calibration is not None:
        ranges = measure(traces, marked, prepared, calibration)
    if not sum(quantise(traced, marked[part], ranges) for part, traced in traces.items()):
        raise InputError(
            f"{prepared.model.config.name} multiplies by no matrix that may be in int8, only by kernels of "
            "convolutions, whose ranges are measured: give calibration, some hundred images (--data in the shell)."
        )
    return {part: replace(info, ranges=ranges) for part, info in infos.items()}


def _cleaned(traced: ir.Model, info: GraphInfo) -> list[Leftover]:
    """Take away what was not asked for, and whatever else can be; return what should not be there and is."""
    for output in [value for value in traced.graph.outputs if value.name not in info.outputs]:
        traced.graph.outputs.remove(output)
    left = clean(traced)
    if info.stored == "fp16" and info.precision != "int8":  # where it is done when all else is
        store_as_halves(traced.graph)
    return left


def _write(traced: ir.Model, info: GraphInfo) -> bytes:
    opset = onnx.helper.make_opsetid("", traced.graph.opset_imports[""])
    traced.ir_version = onnx.helper.find_min_ir_version_for([opset])  # older readers refuse what says that it is newer
    traced.metadata_props.update(info.entries())
    try:
        return sealing.seal(ir.to_proto(traced).SerializeToString())
    except Exception as error:  # protobuf's own error has no public name
        raise ExportError(f"The graph cannot be written as one file, which holds at most 2 GiB: {error}.") from error
