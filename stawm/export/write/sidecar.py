"""All that a graph says of itself as a JSON file beside it, for clients that cannot read ONNX's metadata."""

import json
from pathlib import Path
from typing import Any

from stawm.errors import InputError
from stawm.export.file.inspection import inspect
from stawm.export.graphs.names import AXES
from stawm.storage.file import write_atomically

MARK = "stawm.sidecar"
FORMAT = "1"


def place_of(graph: Path) -> Path:
    """Return where the sidecar of a graph is: beside the file, or beside the folder of a step graph."""
    return graph.with_name(f"{graph.name}.json")


def check_sidecar(graph: Path) -> None:
    """Raise an InputError where a sidecar would replace something else."""
    path = place_of(graph)
    if path.is_dir() or (path.exists() and not _is_ours(path)):
        raise InputError(
            f"{path} is there and is no sidecar of a graph: choose another name for the graph, or move it."
        )


def _is_ours(path: Path) -> bool:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and MARK in found


def write_sidecar(graph: Path) -> Path:
    """Write the sidecar of a graph, and return where.

    Raises:
        ExportError: The graph is damaged or not ours.
        InputError: It cannot be written.
    """
    path = place_of(graph)
    write_atomically(path, (json.dumps(contents(graph), indent=2, sort_keys=True) + "\n").encode())
    return path


def contents(graph: Path) -> dict[str, Any]:
    """Return what a sidecar holds: what `inspect` finds, and what is needed to read the numbers."""
    facts = inspect(graph)
    names = {name for shapes in facts.outputs.values() for name in shapes}
    found: dict[str, Any] = {
        MARK: FORMAT,
        **facts.as_dict(),
        "path": graph.name,
        "preprocessing": facts.info.for_others()["preprocessing"],
        "axes": {name: AXES[name] for name in AXES if name in names},
        "locator": facts.info.config.get("locator"),
    }
    return found
