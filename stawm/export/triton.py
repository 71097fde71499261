"""A model repository for NVIDIA Triton's ONNX Runtime backend.

The graph goes in as it is, so clients send normalised images; the parameters ``stawm.mean`` and ``stawm.std`` say how.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stawm.configuration.fields import fits
from stawm.configuration.names import as_file_name
from stawm.errors import InputError, shown
from stawm.export.file.files import GraphFile, check_consistent, read_graphs
from stawm.export.file.proto import shapes_of
from stawm.storage.file import write_atomically
from stawm.storage.opening import as_path
from stawm.text import Readable


@dataclass(frozen=True)
class TritonModel(Readable):
    """A model in a repository.

    Attributes:
        name: What it is asked for by.
        folder: Its folder in the repository.
        version: Its version: a number, the highest of which Triton serves.
    """

    name: str
    folder: Path
    version: int

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {"name": self.name, "folder": str(self.folder), "version": self.version}

    def __str__(self) -> str:
        return f"{self.folder}: version {self.version}\ntritonserver --model-repository={self.folder.parent}"


def write_repository(
    path: str | os.PathLike[str],
    repository: str | os.PathLike[str],
    *,
    name: str | None = None,
    max_batch: int = 256,
    delay: int = 1000,
    tf32: bool = False,
) -> TritonModel:
    """Put a rollout graph into a model repository.

    A model that is there already gets a new version, and its configuration is replaced.

    Args:
        path: What `to_onnx` wrote.
        repository: The folder of all models.
        name: What the model is asked for by; its preset's name where left out. It names a folder of the repository.
        max_batch: The most images that Triton puts together.
        delay: How many microseconds it waits for more of them.
        tf32: Whether products on a GPU may be rounded to TF32, which is faster, and less exact than what was verified.

    Raises:
        InputError: It is a step graph, an argument is not legal, or the folder cannot be written.
        ExportError: The file is damaged, contradicts itself, or was not written by stawm.
    """
    files = read_graphs(as_path(path, "A graph"))
    check_consistent(files)
    if "rollout" not in files:
        raise InputError(f"{path} is a step graph; Triton serves a rollout: to_onnx(model, path, graph='rollout').")
    if not _is_whole(max_batch, 1) or not _is_whole(delay, 0):
        raise InputError(
            f"max_batch must be at least 1 and delay at least 0; got {shown(max_batch)} and {shown(delay)}."
        )
    file = files["rollout"]
    name = as_file_name(file.info.preset if name is None else name)
    folder = as_path(repository, "A model repository") / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"Cannot write {folder}: {error.strerror}.") from error
    versions = [int(p.name) for p in folder.iterdir() if p.name.isascii() and p.name.isdigit()]
    version = max(versions, default=0) + 1
    labels = "".join(f"{label}\n" for label in file.info.class_names)  # each is one line: see `is_class_name`
    if labels:
        write_atomically(folder / "labels.txt", labels.encode())
    write_atomically(folder / "config.pbtxt", config(file, name, max_batch, delay, tf32=tf32).encode())
    _write_version(folder / str(version), file.data)
    return TritonModel(name, folder, version)


def _write_version(folder: Path, data: bytes) -> None:
    """Make a version whole before Triton can see it."""
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".version."))
    try:
        write_atomically(temporary / "model.onnx", data)
        temporary.chmod(0o755)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def config(file: GraphFile, name: str, max_batch: int, delay: int, *, tf32: bool = False) -> str:
    """Return the text of config.pbtxt."""
    info, shapes = file.info, shapes_of(file.proto)
    preferred = [size for size in (8, 32, 128) if size <= max_batch] or [max_batch]
    labelled = "logits" if info.class_names else ""
    notes = {
        "stawm.preset": info.preset,
        "stawm.mean": json.dumps(info.mean),
        "stawm.std": json.dumps(info.std),
        "stawm.weights": info.weights,
    }
    return "\n".join(
        [
            f"name: {_text(name)}",
            'backend: "onnxruntime"',
            'default_model_filename: "model.onnx"',
            f"max_batch_size: {max_batch}",
            *_tensors("input", info.inputs, shapes, ""),
            *_tensors("output", info.outputs, shapes, labelled),
            "dynamic_batching {",
            f"  preferred_batch_size: {preferred}",
            f"  max_queue_delay_microseconds: {delay}",
            "}",
            "optimization { execution_accelerators { gpu_execution_accelerator : [ {",
            '  name: "cuda"',
            f'  parameters {{ key: "use_tf32" value: "{int(tf32)}" }}',
            '  parameters { key: "cudnn_conv_algo_search" value: "HEURISTIC" }',
            "} ] } }",
            *(f"parameters {{ key: {_text(k)} value {{ string_value: {_text(v)} }} }}" for k, v in notes.items()),
            "",
        ]
    )


def _is_whole(value: Any, least: int) -> bool:
    return fits(value, int) and value >= least


def _tensors(kind: str, names: Sequence[str], shapes: Mapping[str, tuple[int | str, ...]], labelled: str) -> list[str]:
    lines = []
    for name in names:
        labels = ' label_filename: "labels.txt"' if name == labelled else ""
        sides = [side if isinstance(side, int) else -1 for side in shapes[name][1:]]
        lines.append(f"{kind} {{ name: {_text(name)} data_type: TYPE_FP32 dims: {sides}{labels} }}")
    return lines


def _text(value: str) -> str:
    """Quote a string; JSON's escapes are protobuf's."""
    return json.dumps(value)
