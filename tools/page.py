"""Finish what ``make page`` builds: pack ONNX Runtime for browsers, and note of which sources the page was made.

``python tools/page.py`` is the last step of ``make page``. It needs ``web/node_modules``.
"""

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "web"
PAGE = ROOT / "stawm" / "web" / "page"
RUNTIME = ROOT / "stawm" / "web" / "runtime"
PACKAGE = "onnxruntime-web"
WASM = "ort-wasm-simd-threaded.wasm"
BUILT = "built.json"
OF = ("index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts", "public/*", "src/*")
"""What a page is built of."""


def sources() -> str:
    """Return a hash over all that the page is built of: names and contents, line ends as in the repository."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in OF for path in SOURCES.glob(pattern)}):
        text = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{path.relative_to(SOURCES).as_posix()} {len(text)}\n".encode() + text)
    return digest.hexdigest()


def files() -> dict[str, str]:
    """Return the hash of each file of the built page."""
    found = sorted(path for path in PAGE.rglob("*") if path.is_file() and path.name != BUILT)
    return {path.relative_to(PAGE).as_posix(): _hash(path.read_bytes()) for path in found}


def pinned() -> str:
    """Return the version of ONNX Runtime that the sources name."""
    return json.loads((SOURCES / "package.json").read_text(encoding="utf-8"))["devDependencies"][PACKAGE]


def runtime_faults() -> list[str]:
    """Return in what the packed runtime is not what its record says, or not of the version that the sources name."""
    said = json.loads((RUNTIME / "runtime.json").read_text(encoding="utf-8"))
    packed = (RUNTIME / said["file"]).read_bytes()
    unpacked = gzip.decompress(packed)
    found = {
        "version": (said["version"], pinned()),
        "packed": ((said["bytes"], said["sha256"]), (len(packed), _hash(packed))),
        "unpacked": ((said["unpacked"]["bytes"], said["unpacked"]["sha256"]), (len(unpacked), _hash(unpacked))),
    }
    return [f"{name}: recorded {a}, found {b}" for name, (a, b) in found.items() if a != b]


def pack() -> None:
    """Pack the runtime, where that of ``node_modules`` is another than the one that is packed."""
    wasm = (SOURCES / "node_modules" / PACKAGE / "dist" / WASM).read_bytes()
    said = json.loads((RUNTIME / "runtime.json").read_text(encoding="utf-8"))
    if said["unpacked"]["sha256"] == _hash(wasm) and not runtime_faults():
        return
    packed = gzip.compress(wasm, 9, mtime=0)
    (RUNTIME / said["file"]).write_bytes(packed)
    unpacked = {"file": WASM, "bytes": len(wasm), "sha256": _hash(wasm)}
    said |= {"version": pinned(), "bytes": len(packed), "sha256": _hash(packed), "unpacked": unpacked}
    _write(RUNTIME / "runtime.json", said)


def _write(path: Path, said: dict[str, Any]) -> None:
    path.write_text(json.dumps(said, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def main() -> None:
    pack()
    _write(PAGE / BUILT, {"sources": sources(), "files": files()})


if __name__ == "__main__":
    main()
