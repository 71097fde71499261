"""From a model to verified ONNX files."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import onnx
import onnx_ir as ir
from torch import Tensor

from stawm.errors import ExportError, InputError
from stawm.export.file import sealing
from stawm.export.file.files import check_place, open_graph, write_graphs
from stawm.export.file.metadata import GraphInfo, describe
from stawm.export.graphs import fields
from stawm.export.graphs.plan import Plan, count_glimpses
from stawm.export.graphs.prepared import Prepared, prepare
from stawm.export.proof.report import Report, VerificationError
from stawm.export.proof.verification import BATCHES, examine
from stawm.export.run.providers import Device, choose_device
from stawm.export.write.passes import Leftover, clean, store_as_halves
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
    precision: Literal["fp32", "fp16"] = "fp32",
    weights: Literal["fp32", "fp16"] = "fp32",
    opset: int = 18,
    outputs: Sequence[str] | Literal["all"] | None = None,
    sample: bool = False,
    steered: bool = False,
    sidecar: bool = False,
    images: Tensor | None = None,
    batches: Sequence[int] = BATCHES,
    device: Device = "cpu",
) -> Report:
    """Write a model as ONNX that is proved to be equal to it.

    Args:
        model: The model; it is left as it is.
        path: Where to: a file for a rollout, a folder for a step graph. It appears there once it is verified.
        graph: ``"rollout"``, all glimpses in one graph, or ``"step"``, one glimpse at a time.
        glimpses: How many glimpses are taken; the configuration's number where left out.
        precision: ``"fp32"``, or ``"fp16"`` with poses, sampling and memory in fp32.
        weights: ``"fp16"`` stores the weights in half, rounded, and computes with them in fp32: half the file, at
            full speed. The graph is proved equal to the model with its weights rounded, and the report says how far
            that is from the model itself.
        opset: The ONNX opset.
        outputs: Which fields of the output there are, or ``"all"``; logits, canvas and poses where left out.
        sample: Whether random numbers are inputs; otherwise the most probable is drawn.
        steered: Whether a step graph takes further inputs, image by image: a pose (``steer.pose``) and whether to look
            there (``steer.placed``), and whether the glimpse is written to the memory (``steer.written``).
        sidecar: Whether to write what the file says of itself as JSON too, beside it as ``PATH.json``.
        images: Real images, normalised, (b, c, h, w): where anything is in half precision, the report says what that
            does to them.
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
        >>> model = stawm.build("stawm-digits", glimpses=2, seed=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     report = stawm.export.to_onnx(model, f"{folder}/digits.onnx")
        >>> report.ok, report.nodes["rollout"] < 130
        (True, True)
    """
    if not isinstance(model, Model):
        raise InputError(f"to_onnx takes a model that stawm.build or stawm.load made; got {type(model).__name__}.")
    if precision not in ("fp32", "fp16"):
        raise InputError(f"precision must be 'fp32' or 'fp16'; got {precision!r}.")
    if weights not in ("fp32", "fp16"):
        raise InputError(f"weights must be 'fp32' or 'fp16'; got {weights!r}.")
    if steered and graph != "step":
        raise InputError("Only a step graph can be steered: take graph='step', or leave out steered.")
    check_stopping(model)
    path, chosen = Path(path), choose_device(device)
    check_place(path, graph)
    if sidecar:
        check_sidecar(path)
    if images is not None:
        model.check_shape(images)
    named = fields.choose(model, outputs, "steered" if steered else graph)
    plan = Plan(graph, count_glimpses(model, glimpses), named, sample, weights, steered)
    prepared = prepare(model, plan, precision)
    data = build(prepared, describe(model, prepared), opset)
    files = {part: open_graph(path, value) for part, value in data.items()}
    report = examine(path, files, model, batches, chosen, prepared, images)
    if not report.ok:
        raise VerificationError(report)
    write_graphs(path, data)
    if sidecar:
        write_sidecar(path)
    return report


def build(prepared: Prepared, infos: Mapping[str, GraphInfo], opset: int) -> dict[str, bytes]:
    """Return the graphs of a model as the bytes of files, by part, not verified yet."""
    plain = not any(isinstance(module, TimmNetwork) for module in prepared.model.modules())
    found = {}
    for part, graph in prepared.graphs.items():
        traced = trace(graph, prepared.inputs[part], opset)
        left = _cleaned(traced, infos[part])
        if left and plain:
            raise ExportError(unplain(left, graph, prepared.inputs[part]))
        found[part] = _write(traced, infos[part])
    return found


def _cleaned(traced: ir.Model, info: GraphInfo) -> list[Leftover]:
    """Take away what was not asked for, and whatever else can be; return what should not be there and is."""
    for output in [value for value in traced.graph.outputs if value.name not in info.outputs]:
        traced.graph.outputs.remove(output)
    left = clean(traced)
    if info.stored == "fp16":
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
