"""The notebooks: whole, current and small at every change; run from the first cell to the last by `make notebooks`."""

import ast
import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import stawm
from stawm.registry import Kind
from tools import notebooks

ROOT = Path(__file__).parents[1]
NAMES = [source.stem for source in notebooks.SOURCES]
each = pytest.mark.parametrize("source", notebooks.SOURCES, ids=lambda source: source.stem)
LARGEST = 600_000
"""Bytes of a notebook with what it shows."""


def written(source: Path) -> Any:
    return json.loads((notebooks.FOLDER / f"{source.stem}.ipynb").read_text(encoding="utf-8"))


def test_there_are_seven_and_no_other_files():
    assert [name[:2] for name in NAMES] == [f"{n}-" for n in range(1, 8)]
    assert {path.stem for path in notebooks.FOLDER.glob("*.ipynb")} == {*NAMES}
    assert {path.name for path in (notebooks.FOLDER / "images").iterdir()} == {f"{name}.png" for name in NAMES}


@each
def test_a_notebook_is_what_its_source_says(source: Path):
    """`make notebooks` makes it anew."""
    wanted = [(cell.cell_type, cell.source) for cell in notebooks.cells(source)]
    assert [(cell["cell_type"], "".join(cell["source"])) for cell in written(source)["cells"]] == wanted


@each
def test_a_notebook_opens_with_its_result_and_was_run_whole(source: Path):
    cells = written(source)["cells"]
    opening = "".join(cells[0]["source"])
    assert re.match(r"# \S", opening)
    assert f"](images/{source.stem}.png)" in opening
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"]
    assert any("image/png" in output.get("data", {}) for output in outputs)


@each
def test_a_notebook_is_small_and_tells_nothing_of_a_machine(source: Path):
    path = notebooks.FOLDER / f"{source.stem}.ipynb"
    assert path.stat().st_size < LARGEST
    assert not re.search(r"/tmp/|/home/|/root/|\\Users\\", path.read_text(encoding="utf-8"))


@each
def test_what_a_notebook_uses_is_there(source: Path):
    """Its code is Python, its imports can be made, and the presets and functions of stawm that it names exist."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                import_module(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert all(hasattr(import_module(node.module), a.name) or import_module(f"{node.module}.{a.name}")
                       for a in node.names)  # fmt: skip
        elif isinstance(node, ast.Attribute) and re.fullmatch(r"stawm(\.\w+)+", ast.unparse(node)):
            found: Any = stawm
            for name in ast.unparse(node).split(".")[1:]:
                found = getattr(found, name)
    said = {str(node.value) for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    presets = {text for text in said if re.fullmatch(r"stawm-[\w-]+", text)}
    assert presets
    assert presets <= {*stawm.list_names(Kind.PRESET)}


def test_the_button_leads_to_where_the_project_is_kept_or_is_not_there():
    urls = {"urls": {"Repository": "https://github.com/somebody/stawm"}}
    address = "https://colab.research.google.com/github/somebody/stawm/blob/main/notebooks/5-draw.ipynb"
    assert notebooks.button("5-draw", urls).endswith(f"]({address})")
    assert notebooks.button("5-draw", {}) == ""
    assert notebooks.button("5-draw", {"urls": {"Repository": "https://example.org/stawm"}}) == ""


@pytest.mark.long
@each
def test_a_notebook_runs(source: Path):
    notebook = notebooks.run(source)
    assert notebooks.picture(notebook).startswith(b"\x89PNG")
