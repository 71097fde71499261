"""The docs hold: links resolve, examples run, tables list what is registered."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "CODE_OF_CONDUCT.md", "SECURITY.md")
DOCS = [ROOT / name for name in PAGES] + sorted((ROOT / "docs").glob("**/*.md"))
FENCE = re.compile(r"^(?P<fence>`{3,})(?P<info>[^\n]*)\n(?P<body>.*?)^(?P=fence)\s*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)(?:\s+\"[^\"]*\")?\)|<img[^>]*\ssrc=\"(?P<image>[^\"]+)\"")
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*$", re.MULTILINE)


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _blocks(text: str) -> list[tuple[int, str, str]]:
    """Line number, info string and body of each fenced block."""
    return [(text[: m.start()].count("\n") + 1, m["info"].strip(), m["body"]) for m in FENCE.finditer(text)]


def _anchors(text: str) -> set[str]:
    """The anchors that headings get: lower case, punctuation dropped, spaces to hyphens."""
    headings = HEADING.findall(FENCE.sub("", text))
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def _links(text: str) -> list[str]:
    found = [m["target"] or m["image"] for m in LINK.finditer(FENCE.sub("", text))]
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def _broken(path: Path) -> list[str]:
    broken = []
    for link in _links(path.read_text()):
        target, _, anchor = link.partition("#")
        file = (path.parent / target).resolve() if target else path
        if not file.exists() or (anchor and anchor not in _anchors(file.read_text())):
            broken.append(link)
    return broken


def _tables(text: str) -> list[list[list[str]]]:
    """The pipe tables of a text: rows of cells, the heading first, the rule under it left out."""
    blocks = re.findall(r"(?:^\|.*\|[ ]*\n)+", FENCE.sub("", text) + "\n", re.MULTILINE)
    rows = [
        [[c.strip() for c in line.strip().strip("|").split("|")] for line in b.strip().splitlines()] for b in blocks
    ]
    return [[row for row in table if not set("".join(row)) <= set(":- ")] for table in rows]


def _names(cells: list[str]) -> list[str]:
    """The names in backticks, each without the argument it takes."""
    return [name.partition(":")[0] for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def test_the_docs_are_there():
    assert all(path.is_file() for path in DOCS)
    assert len(DOCS) > 3


@pytest.mark.parametrize("path", DOCS, ids=_name)
def test_links_resolve(path: Path):
    assert not _broken(path)


@pytest.mark.parametrize("path", DOCS, ids=_name)
def test_examples_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "__main__"}
    for line, info, body in _blocks(path.read_text()):
        assert info == "python" or not info.startswith(("python", "py ")), f"{_name(path)}:{line}: every example runs"
        if info == "python":
            exec(compile("\n" * line + body, str(path), "exec"), namespace)


@pytest.mark.parametrize("script", sorted((ROOT / "docs").glob("*.py")), ids=_name)
def test_the_scripts_of_the_docs_find_what_they_import(script: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(script.parent)  # as where it is run by its name
    assert runpy.run_path(str(script))["__doc__"]


def test_readme_lists_every_preset():
    import stawm

    listed = [
        n for table in _tables(_readme()) if table[0][0] == "preset" for row in table[1:] for n in _names(row[:1])
    ]
    assert sorted(listed) == sorted(stawm.list_names("preset", origin="stawm"))


def test_readme_lists_every_component():
    import stawm

    kinds = {"memory", "backbone", "canvas", "locator", "policy", "head"}
    listed = {row[0]: _names(row[1:2]) for t in _tables(_readme()) if t[0][0] == "kind" for row in t[1:]}
    assert set(listed) == kinds
    for kind, names in listed.items():
        assert sorted(names) == sorted(stawm.list_names(kind, origin="stawm"))


def test_readme_is_short():
    assert len(_readme().splitlines()) <= 120


def test_every_promise_names_tests_that_are_there():
    rows = [
        row
        for t in _tables((ROOT / "docs" / "security.md").read_text())
        if t[0] == ["promise", "test"]
        for row in t[1:]
    ]
    assert len(rows) > 30
    for promise, tests in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", tests)
        assert named, promise
        for file, test in named:
            assert re.search(rf"^def {test}\(", (ROOT / file).read_text(), re.MULTILINE), f"{file}::{test}"


def test_the_bounds_that_are_told_are_those_that_hold():
    from stawm.configuration import limits
    from stawm.models.config import NORMALISATION
    from stawm.nn.backbones.layers import MOST_LAYERS
    from stawm.storage import file

    text = (ROOT / "docs" / "security.md").read_text()
    (table,) = (dict(t[1:]) for t in _tables(text) if t[0] == ["what", "at most"])
    assert table["the header"] == f"{file.MAX_HEADER:,} bytes"
    assert table["tensors, and axes of each"] == f"{file.MAX_TENSORS:,} and {file.MAX_AXES}"
    assert table["nesting, also by dotted keys"] == f"{limits.MAX_DEPTH} levels"
    assert table["values in one text of JSON"] == f"{limits.MAX_VALUES:,}"
    assert table["fields of one mapping of a configuration"] == f"{limits.MAX_KEYS}"
    assert table["components in one list, such as heads"] == f"{limits.MAX_PARTS}"
    assert table["names in one list, such as classes"] == f"{limits.MAX_NAMES:,}"
    assert table["a string of a configuration"] == f"{limits.MAX_STRING:,} characters"
    assert table["layers of a stack"] == f"{MOST_LAYERS}"
    assert table["`glimpses`"] == f"{limits.SIZES['glimpses']:,}"
    assert table["`glimpse_size`, `context_size`, each side of `image`"] == f"{limits.SIZES['image']:,}"
    assert table["`memory_size`, `hidden_size`"] == f"{limits.SIZES['memory_size']:,}"
    assert table["`mean`"] == "{:,.0f} to {:,.0f}".format(*NORMALISATION["mean"])
    assert table["`std`"] == "{:f} to {:,.0f}".format(*NORMALISATION["std"])


def test_what_is_said_of_compatibility_holds():
    from stawm.export.file import metadata
    from stawm.storage import file
    from stawm.training import folder

    (table,) = (t[1:] for t in _tables((ROOT / "docs" / "compatibility.md").read_text()) if t[0][0] == "what")
    said = {row[0]: row[1:] for row in table}
    forms = f"now `{file.FORMAT}`; `{file.INT8_FORMAT}` where weights are stored as int8, `{file.INT4_FORMAT}` as int4"
    assert said["checkpoints"][0] == f"`stawm.format` in the header, {forms}"
    assert said["ONNX metadata"][0] == f"`stawm.format` in the graph's metadata, now `{metadata.FORMAT}`"
    assert said["folder of a run"][0] == f"`format` in its note, now `{folder.FORMAT}`"
    for row in said.values():
        tests = re.findall(r"`(tests/[\w/]+\.py)`", row[-1])
        assert tests
        assert all((ROOT / test).is_file() for test in tests)


def test_a_broken_link_and_a_missing_anchor_are_seen(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text(
        "# A title, here\n[a](#a-title-here) [b](#no) [c](missing.md) ![d](page.md)\n```\n[e](never.md)\n```\n"
    )
    assert _broken(page) == ["#no", "missing.md"]


def _readme() -> str:
    return (ROOT / "README.md").read_text()
