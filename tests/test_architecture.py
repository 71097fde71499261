"""Imports run one way: each module may import from its own layer and from the layers above it in the list."""

import ast
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "stawm"
LAYERS = (
    ("_version", "errors"),
    ("catalog",),
    ("registry",),
    ("configuration",),
    ("core",),
    ("nn",),
    ("heads",),
    ("models",),
    ("storage",),
    ("viz",),
    ("training",),
    ("export",),
    ("cli", "__main__", "__init__"),
)
CORE_MAY_IMPORT = {"torch", "einops", "jaxtyping"}


def _modules() -> dict[str, Path]:
    """Every module of the package by its dotted name; a package by the name of its folder."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = _modules()


def _part(module: str) -> str:
    """What a layer lists: the first name below `stawm`; `__init__` for the public face itself."""
    return [*module.split("."), "__init__"][1]


def _layer(module: str) -> int:
    return next(i for i, layer in enumerate(LAYERS) if _part(module) in layer)


def _imports(source: str) -> Iterator[str]:
    """Every module that a source imports, also inside functions and under TYPE_CHECKING."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else node.module


def _arrows_back(module: str, source: str) -> list[str]:
    """The imports of a module that point to a later layer."""
    ours = [name for name in _imports(source) if name.partition(".")[0] == "stawm"]
    return [name for name in ours if _layer(name) > _layer(module)]


def test_the_listing_is_complete():
    walked = {m.name for m in pkgutil.walk_packages([str(PACKAGE)], prefix="stawm.")} | {"stawm"}
    assert walked == set(MODULES)
    assert {"stawm.registry", "stawm.core.naive", "stawm.nn.memories.base", "stawm.training.loop"} <= walked


def test_every_module_has_one_place():
    placed = [part for layer in LAYERS for part in layer]
    assert len(placed) == len(set(placed))
    without = {_part(m) for m in MODULES} - set(placed)
    assert not without, f"give {without} a place in LAYERS"


@pytest.mark.parametrize("module", MODULES)
def test_no_import_runs_back(module: str):
    back = _arrows_back(module, MODULES[module].read_text())
    assert not back, f"{module} imports {back}, which stand above it"


@pytest.mark.parametrize("module", [m for m in MODULES if _part(m) == "core"])
def test_core_knows_only_tensors(module: str):
    foreign = {name.partition(".")[0] for name in _imports(MODULES[module].read_text())} - set(sys.stdlib_module_names)
    assert foreign <= CORE_MAY_IMPORT | {"stawm"}
    ours = {_part(n) for n in _imports(MODULES[module].read_text()) if n.startswith("stawm.")}
    assert ours <= {"core", "errors"}


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("stawm.core.rule", "import stawm.nn.memories.base"),
        ("stawm.registry", "def late():\n    from stawm import nn"),
        ("stawm.nn.x", "from stawm.heads import anything"),
        ("stawm.viz.x", "from stawm.training.loop import train"),
        ("stawm.heads.x", "import stawm"),
        ("stawm.export.x", "from stawm import cli"),
    ],
)
def test_an_arrow_back_is_seen(module: str, source: str):
    assert _arrows_back(module, source)
