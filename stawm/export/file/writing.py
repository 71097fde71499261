"""Writing the files of graphs, whole or not at all."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from stawm.errors import InputError
from stawm.export.graphs.names import PARTS
from stawm.storage.file import write_atomically


def check_place(path: Path, kind: str) -> None:
    """Raise an InputError where an export would replace something else, or has nowhere to go."""
    ours = path.is_dir() and {p.name for p in path.iterdir()} <= {f"{part}.onnx" for part in PARTS}
    if path.is_dir() and not (ours and kind == "step"):
        raise InputError(f"{path} is a folder that holds other files: choose another name.")
    if not path.parent.is_dir():
        raise InputError(f"{path.parent} is not a folder, so {path.name} cannot be written there.")


def write_graphs(path: Path, graphs: Mapping[str, bytes]) -> None:
    """Write a file, or for a step graph a folder, whole or not at all.

    Raises:
        InputError: It cannot be written.
    """
    if "rollout" in graphs:
        write_atomically(path, graphs["rollout"])
        return
    try:
        folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror} ({path.parent}).") from error
    try:
        for part, data in graphs.items():
            write_atomically(folder / f"{part}.onnx", data)
        folder.chmod(0o755)
        put_in_place(folder, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def put_in_place(folder: Path, path: Path) -> None:
    """Give a folder its name; what had it goes away afterwards."""
    if not path.exists():
        folder.rename(path)
        return
    before = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.")) / "before"
    path.rename(before)
    try:
        folder.rename(path)
    except OSError:
        before.rename(path)
        raise
    finally:
        shutil.rmtree(before.parent, ignore_errors=True)
