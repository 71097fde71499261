"""The proof that files which are there are equal to a model: by what they compute, and by what they are made of."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

import onnx
from torch import Tensor

from stawm.errors import ExportError, InputError
from stawm.export.file.describing import describe
from stawm.export.file.files import GraphFile, read_graphs
from stawm.export.file.metadata import GraphInfo
from stawm.export.file.proto import opset_of
from stawm.export.graphs.prepared import prepare
from stawm.export.proof.behaviour import Bounds, as_trial
from stawm.export.proof.report import Check, Report, VerificationError
from stawm.export.proof.twins import by_part, differences, foreign
from stawm.export.proof.verification import BATCHES, examine
from stawm.export.run.providers import Device, choose_device
from stawm.export.write.exporting import build
from stawm.models.model import Model
from stawm.storage.opening import as_path

WRITERS = ("torch", "onnx", "onnxscript", "onnx-ir", "timm")
"""The libraries that decide of which nodes a graph is made."""


def verify(
    path: str | os.PathLike[str],
    model: Model,
    *,
    batches: Sequence[int] = BATCHES,
    device: Device = "cpu",
    images: Tensor | None = None,
    labels: Tensor | None = None,
    bounds: Bounds | None = None,
) -> Report:
    """Prove that a file, or the folder of a step graph, is equal to a model.

    The graph is run beside the model. Where that and all else holds, the model is exported anew, which takes some
    seconds, and the two are compared node by node and weight by weight: a file may be right for the images that it is
    tried with and wrong for others. A file that another version of stawm or PyTorch wrote can have other nodes for the
    same values. Its weights must be the model's all the same, and it can have no operators beside the model's; the
    report then warns that its nodes are others.

    Args:
        path: The file or folder.
        model: The model that it was made of.
        batches: The sizes of the batches that it is run with.
        device: Where ONNX Runtime runs it: ``"cpu"``, ``"cuda"``, ``"tensorrt"``, or ``"auto"`` for a GPU where
            there is one. What only matters on a GPU, a node without a CUDA kernel, is a warning on the CPU.
        images: Real images, normalised, (b, c, h, w), that the graph is judged by beside the model. In half precision
            the report says what that does to them; else the graph must agree with the model as the ``bounds`` say.
        labels: Their classes: the graph must not err more often than the model, by the ``bounds``.
        bounds: How far a graph may be from its model on ``images``.

    Raises:
        ExportError: A file is damaged or not ours; or, as a `VerificationError` with a report, it is not
            equal to the model.
        DeviceError: The device cannot be used.
        InputError: There is no such device, or it is not a model of stawm.

    Examples:
        >>> import stawm, tempfile
        >>> model = stawm.build("bvae-cifar", seed=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     report = stawm.export.to_onnx(model, f"{folder}/m.onnx")
        ...     stawm.export.verify(f"{folder}/m.onnx", model).ok
        True
    """
    if not isinstance(model, Model):
        raise InputError(f"verify takes a model that stawm.build or stawm.load made; got {type(model).__name__}.")
    trial = as_trial(model, images, labels, bounds)
    place = as_path(path, "A graph")
    files = read_graphs(place)
    report = examine(place, files, model, batches, choose_device(device), trial=trial)
    if report.ok:
        report = replace(report, checks=(*report.checks, compare(files, model)))
    if not report.ok:
        raise VerificationError(report)
    return report


def compare(files: Mapping[str, GraphFile], model: Model) -> Check:
    """Compare graphs with those that their model is exported to here and now."""
    info = next(iter(files.values())).info
    try:
        fresh, here = export_anew(files, model)
    except (ExportError, InputError) as error:
        return Check("fresh export", False, f"the model cannot be exported in the same way here: {error}")
    found = {part: file.proto for part, file in files.items()}
    faults = by_part(found, fresh, differences)
    if not faults:
        return Check("fresh export", True, "each node and each weight is that of an export of the model")
    if strange := by_part(found, fresh, foreign):
        return Check("fresh export", False, "; ".join([*strange, *faults]))
    said = (
        f"its operators and weights are the model's, but its nodes are not one by one those of an export of today: "
        f"{faults[0]} ({_writers(info, here)}); export the model anew to have all of it compared"
    )
    return Check("fresh export", False, said, "warning")


def export_anew(files: Mapping[str, GraphFile], model: Model) -> tuple[dict[str, onnx.ModelProto], GraphInfo]:
    """Export a model as it was exported to files; return the graphs by part, and what they say of themselves."""
    first = next(iter(files.values()))
    prepared = prepare(model, first.info.plan, first.info.precision)
    infos = {part: replace(info, ranges=first.info.ranges) for part, info in describe(model, prepared).items()}
    data = build(prepared, infos, opset_of(first.proto))
    return {part: onnx.load_model_from_string(value) for part, value in data.items()}, next(iter(infos.values()))


def _writers(info: GraphInfo, here: GraphInfo) -> str:
    """Return by what, as a file says, it was written, where that is of another version here."""
    there, now = {"stawm": info.version, **info.versions}, {"stawm": here.version, **here.versions}
    other = [f"{n} {there.get(n)}, here {now.get(n)}" for n in ("stawm", *WRITERS) if there.get(n) != now.get(n)]
    return "; ".join(["it says that it was written with", *other]) if other else f"it says: by stawm {info.version}"
