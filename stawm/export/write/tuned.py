"""Thresholds that were tuned on a step graph itself, kept in its files."""

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import onnx

from stawm.errors import InputError
from stawm.export.file import sealing
from stawm.export.file.files import GraphFile, open_graph, read_graphs
from stawm.export.file.metadata import GraphInfo
from stawm.export.file.writing import check_place, write_graphs
from stawm.export.write.sidecar import check_sidecar, place_of, write_sidecar
from stawm.models.stopping import Stopping
from stawm.storage.info import STOPPING
from stawm.storage.opening import as_path


def check_tunable(info: GraphInfo) -> None:
    """Raise an InputError unless a graph can have thresholds of its own.

    In float32 it has those of its model, since it answers as the model does, and a rollout does not stop.
    """
    if info.kind != "step" or info.classes is None:
        raise InputError("Only a step graph of a model that classifies stops: export with graph='step'.")
    if (info.precision, info.stored) == ("fp32", "fp32"):
        raise InputError("A graph in fp32 answers as its model: tune the checkpoint, and export it again.")


def keep_stopping(
    path: str | os.PathLike[str], stopping: Stopping, out: str | os.PathLike[str] | None = None
) -> Stopping:
    """Write a step graph again with thresholds that were tuned on it; all else in its files stays as it is.

    Args:
        path: The folder of the graph.
        stopping: What `stawm.training.tune_stop` found for the graph.
        out: The folder to write; in place of the one that is given where left out.

    Returns:
        The thresholds as the files have them: with the hash over the weights that the graph was made of.

    Raises:
        ExportError: A file is damaged or not ours.
        InputError: The graph cannot have thresholds of its own, or it cannot be written.
    """
    source = as_path(path, "A graph")
    target = source if out is None else Path(out)
    files = read_graphs(source)
    info = next(iter(files.values())).info
    check_tunable(info)
    check_place(target, "step")
    beside = place_of(source).exists()
    if beside:
        check_sidecar(target)
    kept = replace(stopping, weights=info.weights)
    data = {part: _with(file, {STOPPING: json.dumps(kept.as_dict(), sort_keys=True)}) for part, file in files.items()}
    for part, value in data.items():
        open_graph(target / f"{part}.onnx", value)  # which refuses what is not legal before anything is written
    write_graphs(target, data)
    if beside:
        write_sidecar(target)
    return kept


def _with(file: GraphFile, entries: Mapping[str, str]) -> bytes:
    """Return the bytes of a file with other entries in its metadata."""
    proto = onnx.load_model_from_string(file.data)
    kept = [entry for entry in proto.metadata_props if entry.key not in (sealing.KEY, *entries)]
    del proto.metadata_props[:]
    proto.metadata_props.extend(kept)
    for key, value in entries.items():
        proto.metadata_props.add(key=key, value=value)
    return sealing.seal(proto.SerializeToString())
