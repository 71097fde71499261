"""Check what is in the wheel and the sdist: all of the package, and nothing else.

``python tools/contents.py dist`` looks at the files that ``uv build`` or ``python -m build`` left there. It needs
nothing but Python.
"""

import re
import sys
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]
LARGEST = 100_000_000
"""Bytes that PyPI takes of one file."""
JUNK = re.compile(
    r"(^|/)(__pycache__|node_modules|runs|demo|\.git|\.venv|\.hypothesis|\.DS_Store|\.\w+_cache)(/|$)|\.(pyc|pt)$"
)
OF_SDIST = ("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "CITATION.cff", "PKG-INFO", "tests/conftest.py")


def package_files(root: Path = ROOT) -> set[str]:
    """Return the files of the package in a checkout, by their paths in the wheel."""
    found = (path for path in (root / "stawm").rglob("*") if path.is_file())
    names = {path.relative_to(root).as_posix() for path in found}
    return {name for name in names if not JUNK.search(name)}


def faults_of_wheel(wheel: Path, root: Path = ROOT) -> list[str]:
    """Return what is wrong with a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    ours = {name for name in names if not PurePosixPath(name).parts[0].endswith(".dist-info")}
    notes = {PurePosixPath(name).name for name in names - ours}
    return [
        *_lacks(wheel, package_files(root) - ours),
        *(f"{wheel.name} holds {name}, which is not of the package" for name in sorted(ours - package_files(root))),
        *_lacks(wheel, {"METADATA", "entry_points.txt", "LICENSE"} - notes),
        *_too_large(wheel),
    ]


def faults_of_sdist(sdist: Path, root: Path = ROOT) -> list[str]:
    """Return what is wrong with an sdist: it holds the package, the tests, and what they need."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames() if not archive.getmember(name).isdir()}
    return [
        *_lacks(sdist, (package_files(root) | set(OF_SDIST)) - names),
        *(f"{sdist.name} holds {name}" for name in sorted(names) if JUNK.search(name)),
        *_too_large(sdist),
    ]


def faults_in(folder: Path, root: Path = ROOT) -> list[str]:
    """Return what is wrong with the one wheel and the one sdist of a folder."""
    wheels, sdists = sorted(folder.glob("*.whl")), sorted(folder.glob("*.tar.gz"))
    if len(wheels) != 1 or len(sdists) != 1:
        return [f"{folder} holds {len(wheels)} wheels and {len(sdists)} sdists; there must be one of each"]
    return faults_of_wheel(wheels[0], root) + faults_of_sdist(sdists[0], root)


def _lacks(file: Path, lacking: Iterable[str]) -> list[str]:
    return [f"{file.name} lacks {name}" for name in sorted(lacking)]


def _too_large(file: Path) -> list[str]:
    size = file.stat().st_size
    return [f"{file.name} has {size:,} bytes; PyPI takes {LARGEST:,}"] if size > LARGEST else []


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit("\n".join(faults_in(Path(sys.argv[1]))) or 0)
