"""Carry a wheel in parts onto a machine without a network, which takes files of a limited size only.

Here, ``python -m benchmarks.carry split onnxruntime_gpu-1.31.1-....whl parts`` writes parts of at most 60 MiB and
``parts/parts.json`` with the SHA-256 of each and of the whole. There, when all parts lie in one folder again, ``python
carry.py join parts`` (this file needs nothing but Python) checks them and writes the wheel beside them, for
``pip install --no-index --no-deps``.

``split --without PATTERN --imports MODULE`` leaves out files of the wheel that the machine has no use for, such as
libraries for other cards, and only if the module can still be imported from what is left.
"""

import argparse
import csv
import hashlib
import io
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

MIB = 2**20
LIST = "parts.json"


def split(wheel: Path, folder: Path, size: int = 60 * MIB) -> list[Path]:
    """Cut a wheel into parts of at most ``size`` bytes, and write their list.

    Args:
        wheel: The file.
        folder: Where the parts go; it must be new or empty.
        size: Bytes.

    Returns:
        The parts in their order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise SystemExit(f"{folder} is not empty: parts of different wheels must not lie together.")
    whole, parts = hashlib.sha256(), []
    with wheel.open("rb") as file:
        while block := file.read(size):
            part = folder / f"{wheel.name}.{len(parts):03}"
            part.write_bytes(block)
            whole.update(block)
            parts.append({"name": part.name, "bytes": len(block), "sha256": hashlib.sha256(block).hexdigest()})
    listed = {"wheel": wheel.name, "sha256": whole.hexdigest(), "parts": parts}
    (folder / LIST).write_text(json.dumps(listed, indent=1) + "\n")
    return [folder / part["name"] for part in parts]


def join(folder: Path) -> Path:
    """Put the parts of a wheel together, and return the wheel, which lies beside them.

    Raises:
        SystemExit: Parts are missing or are not what was sent; all of them are named, and nothing is written.
    """
    listed: dict[str, Any] = json.loads((folder / LIST).read_text())
    names = [listed["wheel"], *(part["name"] for part in listed["parts"])]
    if any(PurePosixPath(name).name != name or "\\" in name for name in names):
        raise SystemExit(f"{folder / LIST} names files outside the folder.")
    wrong = [fault for part in listed["parts"] if (fault := _fault(folder / part["name"], part["sha256"]))]
    if wrong:
        raise SystemExit("\n".join(wrong))
    wheel, growing = folder / listed["wheel"], folder / f"{listed['wheel']}.joining"
    whole = hashlib.sha256()
    with growing.open("wb") as file:
        for part in listed["parts"]:
            block = (folder / part["name"]).read_bytes()
            whole.update(block)
            file.write(block)
    if whole.hexdigest() != listed["sha256"]:
        growing.unlink()
        raise SystemExit(f"The parts are right, but {wheel.name} is not what was split: is {LIST} of another wheel?")
    growing.replace(wheel)
    return wheel


def _fault(part: Path, wanted: str) -> str:
    if not part.exists():
        return f"{part.name} is missing."
    return "" if hashlib.sha256(part.read_bytes()).hexdigest() == wanted else f"{part.name} is not what was sent."


def slim(wheel: Path, without: Sequence[str], module: str, folder: Path) -> Path:
    """Write a wheel without some of its files, and return it, if a module can still be imported from it.

    Args:
        wheel: The file.
        without: Patterns of paths in the wheel, such as ``"*/libonnxruntime_providers_tensorrt.so"``.
        module: What is imported.
        folder: Where the new wheel goes, under the old one's name.

    Raises:
        SystemExit: A pattern fits no file, or the module cannot be imported any more.
    """
    folder.mkdir(parents=True, exist_ok=True)
    smaller = folder / wheel.name
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(smaller, "w", zipfile.ZIP_DEFLATED) as new:
        idle = [pattern for pattern in without if not any(fnmatch(name, pattern) for name in old.namelist())]
        if idle:
            raise SystemExit(f"{wheel.name} has no file that is called {' or '.join(idle)}.")
        for entry in old.infolist():
            if any(fnmatch(entry.filename, pattern) for pattern in without):
                continue
            content = old.read(entry)
            new.writestr(entry, _unlisted(content, without) if _is_record(entry.filename) else content)
    try_import(smaller, module)
    return smaller


def _is_record(name: str) -> bool:
    return fnmatch(name, "*.dist-info/RECORD")


def _unlisted(record: bytes, without: Sequence[str]) -> bytes:
    """Take files from a wheel's list of its files."""
    rows = csv.reader(io.StringIO(record.decode()))
    kept = io.StringIO()
    csv.writer(kept, lineterminator="\n").writerows(
        row for row in rows if row and not any(fnmatch(row[0], pattern) for pattern in without)
    )
    return kept.getvalue().encode()


def try_import(wheel: Path, module: str) -> None:
    """Install a wheel into a folder of its own, without a network, and import a module from there.

    Raises:
        SystemExit: That fails.
    """
    with tempfile.TemporaryDirectory() as target:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", target]
        subprocess.run([*pip, str(wheel)], check=True)
        script = f"import sys; sys.path.insert(0, sys.argv[1]); import {module} as found; print(found.__file__)"
        tried = subprocess.run([sys.executable, "-c", script, target], check=False, capture_output=True, text=True)
        if tried.returncode or not Path(tried.stdout.strip()).is_relative_to(Path(target)):
            said = (tried.stderr.strip().splitlines() or [f"it came from {tried.stdout.strip()}"])[-1]
            raise SystemExit(f"{module} cannot be imported from {wheel.name}: {said}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Split or join, as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.carry", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    cut = commands.add_parser("split", help="cut a wheel into parts")
    cut.add_argument("wheel", type=Path)
    cut.add_argument("folder", type=Path)
    cut.add_argument("--mib", type=int, default=60, help="the most MiB of a part, %(default)s")
    cut.add_argument("--without", nargs="+", default=(), help="patterns of files in the wheel that are left out")
    cut.add_argument("--imports", help="the module that must still be imported without them")
    put = commands.add_parser("join", help="put parts together")
    put.add_argument("folder", type=Path)
    given = parser.parse_args(arguments)
    if given.command == "join":
        print(join(given.folder))
        return
    if given.without and not given.imports:
        parser.error("--without needs --imports: what must still be imported.")
    with tempfile.TemporaryDirectory() as folder:
        wheel = slim(given.wheel, given.without, given.imports, Path(folder)) if given.without else given.wheel
        print(*split(wheel, given.folder, given.mib * MIB), sep="\n")


if __name__ == "__main__":
    main()
