"""Make the notebooks of their sources: run each, and keep what it shows.

``python -m tools.notebooks`` runs all of them (or those that are named) and writes ``notebooks/NAME.ipynb``, which
opens with its result as a picture, ``notebooks/images/NAME.png``: the first one that it draws. ``--check`` runs them
and writes nothing. A notebook is changed in its source, ``notebooks/sources/NAME.py``, in the percent format of
Jupytext.
"""

import argparse
import base64
import re
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "notebooks"
SOURCES = sorted((FOLDER / "sources").glob("*.py"))
LONGEST = 240
"""Seconds that a cell may take, on a busy machine."""
KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
COLAB = "https://colab.research.google.com/github/{}/blob/main/notebooks/{}.ipynb"
BADGE = "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({})"


def cells(source: Path) -> list[Any]:
    """Return the cells of a notebook as its source has them, the first with the picture and the button."""
    found = jupytext.read(source).cells
    heading, _, rest = found[0].source.partition("\n")
    opening = [heading, button(source.stem), f"![What this notebook comes to](images/{source.stem}.png)", rest.strip()]
    found[0].source = "\n\n".join(part for part in opening if part)
    for number, cell in enumerate(found):
        cell.id, cell.metadata = f"{source.stem[0]}-{number}", {}
    return found


def button(name: str, project: dict[str, Any] | None = None) -> str:
    """Return the button that opens a notebook in Colab, where [project.urls] names a repository on GitHub."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"] if project is None else project
    kept = project.get("urls", {}).get("Repository", "")
    address = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+?)(\.git)?/?", kept)
    return "" if address is None else BADGE.format(COLAB.format(address[1], name))


def run(source: Path) -> Any:
    """Return a notebook that was run, in a folder that goes away."""
    notebook = nbformat.v4.new_notebook(cells=cells(source), metadata=KERNEL)
    with tempfile.TemporaryDirectory() as folder:
        where = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=LONGEST, kernel_name="python3", resources=where).execute()
    return tidied(notebook)


def tidied(notebook: Any) -> Any:
    """Keep of a notebook what it prints and its pictures, and nothing of when and where it was run."""
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    output.data = {"image/png": output.data["image/png"]}
    return notebook


def picture(notebook: Any) -> bytes:
    """Return the first picture that a notebook shows."""
    outputs = (output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs)
    return base64.b64decode(next(o.data["image/png"] for o in outputs if "image/png" in o.get("data", {})))


def main(given: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="those to run, by the beginning of their names; all where left out")
    parser.add_argument("--check", action="store_true", help="write nothing")
    asked = parser.parse_args(given)
    for source in SOURCES:
        if asked.names and not source.stem.startswith(tuple(asked.names)):
            continue
        start = time.perf_counter()
        notebook = run(source)
        print(f"{source.stem}: {time.perf_counter() - start:.0f} s", flush=True)
        if not asked.check:
            (FOLDER / "images").mkdir(exist_ok=True)
            (FOLDER / "images" / f"{source.stem}.png").write_bytes(picture(notebook))
            nbformat.write(notebook, FOLDER / f"{source.stem}.ipynb")


if __name__ == "__main__":
    main()
