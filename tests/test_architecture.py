"""Imports run one way: each module may import from its own layer and from the layers above it in the list."""

import ast
import graphlib
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "stawm"
LAYERS = (
    ("_version", "arrays", "errors", "lazy", "network", "text"),
    ("catalog",),
    ("registry",),
    ("installation",),
    ("configuration",),
    ("core",),
    ("nn",),
    ("heads",),
    ("models",),
    ("storage",),
    ("pictures",),
    ("large",),
    ("viz",),
    ("training",),
    ("export",),
    ("runtime",),
    ("web",),
    ("nn.testing",),
    ("trial",),
    ("cli", "__main__", "__init__"),
)
EXPORT_ARROWS = {
    "table": set(),
    "graphs": set(),
    "file": {"graphs", "table"},
    "run": {"graphs"},
    "proof": {"file", "graphs", "run", "table"},
    "write": {"file", "graphs", "proof", "run"},
    "serve": {"file", "graphs", "run", "table"},
    "formats": {"graphs", "proof", "run", "table", "write"},
    "bulk": {"serve"},
    "triton": {"file"},
}
"""What each folder of `stawm.export` imports of the others; the package itself imports on first use."""
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
    """What a layer lists: the first name below `stawm`; `__init__` for the public face itself.

    The conformance checks are among the modules that they check, and come after all that they check them with.
    """
    if module.startswith("stawm.nn.testing"):
        return "nn.testing"
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


def _circle(sources: Mapping[str, str]) -> list[str]:
    """The modules of a circle of imports, wherever in a module they stand; empty where there is none."""
    arrows = {module: {name for name in _imports(source) if name in sources} for module, source in sources.items()}
    try:
        graphlib.TopologicalSorter({m: to - {m} for m, to in arrows.items()}).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def test_no_imports_go_round_in_a_circle():
    """Imports inside functions included: a circle that waits for a call is one all the same."""
    assert _circle({module: path.read_text() for module, path in MODULES.items()}) == []


def test_a_circle_is_seen():
    late = "def build():\n    from stawm.storage import hub\n"
    there = {"stawm.storage.pretrained": late, "stawm.storage.hub": "import torch\n", "stawm.errors": ""}
    assert _circle(there) == []
    back = {"stawm.storage.hub": "def download():\n    from stawm.storage.pretrained import build\n"}
    assert set(_circle(there | back)) == {"stawm.storage.pretrained", "stawm.storage.hub"}


@pytest.mark.parametrize("folder", EXPORT_ARROWS)
def test_inside_export_imports_run_one_way(folder: str):
    def of(module: str) -> str:
        return module.split(".")[2]

    inside = [module for module in MODULES if module.startswith("stawm.export.")]
    assert {of(module) for module in inside} == set(EXPORT_ARROWS)
    found = {
        of(name)
        for module in inside
        if of(module) == folder
        for name in _imports(MODULES[module].read_text())
        if name.startswith("stawm.export.")
    }
    assert found - {folder} == EXPORT_ARROWS[folder]
    assert all(folder not in EXPORT_ARROWS[other] for other in EXPORT_ARROWS[folder])
