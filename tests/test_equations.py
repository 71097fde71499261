"""`docs/equations.md` holds: functions and tests exist, twins have the same signature, none is missing."""

import inspect
import pkgutil
import re
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

import stawm.core.naive

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "equations.md"
NO_RULE = {"tables"}  # what the twins share


class Row(NamedTuple):
    equation: str
    source: str
    function: str
    twin: str
    test: str


def rows() -> list[Row]:
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if "`tests/" in line]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))] for line in lines]
    return [Row(*(cell.strip("`") for cell in line)) for line in cells]


ROWS = rows()


def found(path: str) -> object:
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def test_the_page_is_read_whole() -> None:
    assert len(ROWS) == PAGE.read_text(encoding="utf-8").count("::") >= 35
    assert all(row.equation and row.source for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.function)
def test_function_twin_and_test_are_there(row: Row) -> None:
    function = found(row.function)
    assert inspect.isfunction(function)
    if row.twin:
        assert row.twin == row.function.replace("stawm.core.", "stawm.core.naive.")
        assert str(inspect.signature(found(row.twin))) == str(inspect.signature(function))
    file, _, test = row.test.partition("::")
    assert re.search(rf"^def {test}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), row.test


def test_every_rule_with_a_twin_is_on_the_page() -> None:
    listed = {row.twin for row in ROWS}
    modules = {name for _, name, _ in pkgutil.iter_modules(stawm.core.naive.__path__)} - NO_RULE
    assert len(modules) >= 13
    for module in modules:
        assert any(twin.startswith(f"stawm.core.naive.{module}.") for twin in listed), module


def test_every_equation_of_the_paper_is_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    numbers: set[int] = set()
    for match in re.finditer(
        r"Eqs?\. ([\d,to and]+)", " ".join(row.source for row in ROWS if "et al" not in row.source)
    ):
        span = re.findall(r"(\d+)(?: to (\d+))?", match[1])
        for first, last in span:
            numbers |= set(range(int(first), int(last or first) + 1))
    derivations = {11, 12, 13, 14, 15, 17, 18}  # steps of the appendices' proofs, held in the errata's tests
    assert numbers | derivations == set(range(1, 26)), sorted(set(range(1, 26)) - numbers - derivations)
    assert "errata.md" in text
