"""The proof that graphs are equal to their model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import onnx
import onnxruntime as ort

from stawm import registry
from stawm.errors import StawmError
from stawm.export.file.describing import plain
from stawm.export.file.files import GraphFile
from stawm.export.file.proto import opset_of
from stawm.export.graphs.fields import available, probes
from stawm.export.graphs.names import reads_every_glimpse
from stawm.export.graphs.prepared import Prepared, example_sizes, prepare
from stawm.export.proof import structure
from stawm.export.proof.behaviour import Trial, in_int8, on_images
from stawm.export.proof.halves import half_precision
from stawm.export.proof.reference import refer
from stawm.export.proof.report import Check, Comparison, Report
from stawm.export.proof.verdicts import forms, live_memory, values
from stawm.export.run.host import HostRunner
from stawm.export.run.providers import DeviceError, open_session
from stawm.export.run.walk import Named, roll
from stawm.models.config import from_mapping
from stawm.models.model import Model
from stawm.storage.hashing import weights_hash

BATCHES = (1, 3, 128)


def examine(
    path: Path,
    files: Mapping[str, GraphFile],
    model: Model,
    batches: Sequence[int],
    device: str = "cpu",
    prepared: Prepared | None = None,
    trial: Trial | None = None,
) -> Report:
    """Find out all that holds and all that does not.

    Args:
        path: What the report is of.
        files: The graphs by part.
        model: The model.
        batches: The sizes of the batches that it is run with.
        device: Where it is run: ``"cpu"``, ``"cuda"`` or ``"tensorrt"``.
        prepared: The model made ready for this export, where that is done already.
        trial: Real images to judge it by, and how far it may be from the model.
    """
    first = next(iter(files.values()))
    checks = [_same_model(first, model)]
    comparisons: list[Comparison] = []
    if checks[0].ok:
        prepared = prepared or prepare(model, first.info.plan, first.info.precision)
        checks += _structure(files, prepared, device)
        found, comparisons, sessions = _behaviour(files, prepared, batches, device)
        checks += found
        if found[0].ok:
            run = partial(run_graphs, sessions, files=files)
            checks += _judged(run, model, prepared, batches, trial or Trial())
    return Report(
        path=path,
        graph=first.info.kind,
        precision=first.info.precision,
        opset=opset_of(first.proto),
        nodes={part: len(file.proto.graph.node) for part, file in files.items()},
        size=sum(len(file.data) for file in files.values()),
        checks=tuple(checks),
        comparisons=tuple(comparisons),
    )


def _judged(
    run: Callable[[Named], Named], model: Model, prepared: Prepared, batches: Sequence[int], trial: Trial
) -> list[Check]:
    """Compare with the model as it is, where the graph is rounded or there are real images."""
    if prepared.precision == "int8":
        return in_int8(run, model, prepared.plan, trial)
    if "fp16" in (prepared.precision, prepared.plan.weights):
        return half_precision(run, model, prepared.plan, batches, trial)
    return on_images(run, model, prepared.plan, trial)


def _is_of(file: GraphFile, model: Model) -> bool:
    """Whether a graph's configuration is the model's; a field that came later counts as its default."""
    try:
        with registry.for_stranger():
            return plain(from_mapping(file.info.config)) == plain(model.config)
    except (StawmError, TypeError, ValueError):
        return False


def _same_model(file: GraphFile, model: Model) -> Check:
    if not _is_of(file, model):
        return Check("model", False, f"made of {file.info.preset} with another configuration")
    strange = [field for field in file.info.fields if field not in available(model)]
    if strange:
        return Check("model", False, f"the model has no output {', '.join(strange)}")
    same = file.info.weights == weights_hash(model)
    own = (file.info.precision, file.info.stored) != ("fp32", "fp32")  # such a graph is tuned by itself
    if same and not own and file.info.stopping not in (None, model.stopping):
        return Check("model", False, "made of this model with other thresholds to stop by")
    return Check("model", same, "made of this model" if same else "made of a model with other weights")


def _structure(files: Mapping[str, GraphFile], prepared: Prepared, device: str) -> list[Check]:
    found = [
        structure.checks(file, prepared.model.config, prepared.shapes[part], prepared.graphs[part].inputs, device)
        for part, file in files.items()
    ]
    return [_merge(list(files), same) for same in zip(*found, strict=False)]


def _merge(parts: Sequence[str], checks: Sequence[Check]) -> Check:
    """Make one check of the same check of every part."""
    if len(checks) == 1:
        return checks[0]
    failed = [f"{part}: {check.detail}" for part, check in zip(parts, checks, strict=True) if not check.ok]
    return replace(checks[0], ok=not failed, detail="; ".join(failed) if failed else checks[0].detail)


def _behaviour(
    files: Mapping[str, GraphFile], prepared: Prepared, batches: Sequence[int], device: str
) -> tuple[list[Check], list[Comparison], dict[str, ort.InferenceSession]]:
    names = probes(prepared.model)
    reference = refer(prepared, batches)
    sessions: dict[str, ort.InferenceSession] = {}
    try:
        sessions = _sessions(files, prepared, device)
        found = [run_graphs(sessions, inputs, files) for inputs in reference.inputs]
    except DeviceError:
        raise
    except Exception as error:  # ONNX Runtime raises errors of many kinds
        return [Check("batches", False, f"ONNX Runtime cannot run it: {' '.join(str(error).split())}")], [], sessions
    alive = [live_memory(reference)] if names else []
    sizes = example_sizes(prepared.model.config)
    of = [f" of {'x'.join(map(str, sizes[i % len(sizes)]))}" if len(sizes) > 1 else "" for i in range(len(batches))]
    counts = ", ".join(f"{count}{size}" for count, size in zip(batches, of, strict=True))
    runs = Check("batches", True, f"runs with {counts} images")
    if prepared.precision == "int8":  # which is judged by what it does, as no bound follows from its rounding
        return [runs, *alive, forms(reference, found)], [], sessions
    comparisons = reference.compare(found)
    return [runs, *alive, *values(comparisons, reference, found)], comparisons, sessions


def _sessions(files: Mapping[str, GraphFile], prepared: Prepared, device: str) -> dict[str, ort.InferenceSession]:
    names = probes(prepared.model)
    return {part: probed_session(file.proto, names, device) for part, file in files.items()}


def probed_session(proto: onnx.ModelProto, probes: Sequence[str], device: str = "cpu") -> ort.InferenceSession:
    """Return a session of a graph that gives its probes too."""
    probed = onnx.ModelProto()
    probed.CopyFrom(proto)
    computed = {name for node in proto.graph.node for name in node.output}
    have = {output.name for output in probed.graph.output}
    probed.graph.output.extend(
        onnx.ValueInfoProto(name=name) for name in probes if name in computed and name not in have
    )
    return open_session(probed.SerializeToString(), device, allow_fallback=False, threads=None)


def run_graphs(sessions: Mapping[str, ort.InferenceSession], inputs: Named, files: Mapping[str, GraphFile]) -> Named:
    """Run graphs, those of a step graph as often as there are glimpses, and return the outputs of a rollout."""
    info = next(iter(files.values())).info
    runners = {part: HostRunner(session) for part, session in sessions.items()}
    if info.kind == "rollout":
        return runners["rollout"](inputs)
    takes = {part: file.info.inputs for part, file in files.items()}
    every, labels = reads_every_glimpse(info.fields), info.labels
    return roll(lambda part, given: runners[part](given), takes, inputs, info.glimpses or 1, every=every, labels=labels)
