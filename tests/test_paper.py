"""`docs/paper.md` and the errata of the code hold: every statement has a verdict, and every name is there."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

import stawm
from stawm.catalog.components import COMPONENTS
from stawm.core.hebb_rosenblatt import Rates
from stawm.errors import StawmError
from stawm.models.cite import references
from stawm.training.recipes import Recipe, presets_with
from tests.strategies import write
from tests.test_docs import _anchors

ROOT = Path(__file__).parents[1]
PAPER = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")
CODE = (ROOT / "docs" / "errata.md").read_text(encoding="utf-8").partition("\n## The text and the code\n")[2]
RESULTS = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
STATEMENTS = 92
VERDICTS = {"holds", "partly", "differs", "corrected", "not reproduced", "not built"}
FIGURE = re.compile(r"(?:MSE |IoU )?0\.\d{3,4}|\d+\.\d+ %")
RECIPES = {"paper", "authors", "fast"}


class Row(NamedTuple):
    number: str
    statement: str
    verdict: str
    where: str
    test: str
    note: str


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


ROWS = [Row(*cells(line)) for line in re.findall(r"^\| \d.*$", PAPER, flags=re.MULTILINE)]
SPANS = sorted({*re.findall(r"`([^`]+)`", PAPER + CODE)})


def test_every_statement_stands_once_and_has_one_verdict():
    assert [int(row.number) for row in ROWS] == [*range(1, STATEMENTS + 1)]
    assert {row.verdict.strip("*") for row in ROWS} <= VERDICTS
    assert all(re.fullmatch(r"\*\*[a-z ]+\*\*", row.verdict) for row in ROWS)
    assert len({row.statement for row in ROWS}) == STATEMENTS


def test_the_verdicts_are_those_that_the_page_explains():
    explained = re.findall(r"^\| \*\*([a-z ]+)\*\* \|", PAPER, flags=re.MULTILINE)
    assert sorted(explained) == sorted(VERDICTS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.number)
def test_a_verdict_has_its_grounds(row: Row):
    """What is built names where; what holds, or is corrected, names the test; what falls short says in what."""
    verdict = row.verdict.strip("*")
    if verdict in ("holds", "corrected"):
        assert "`tests/" in row.test
    if verdict == "not built":
        assert not row.test
    elif verdict != "not reproduced":
        assert row.where
    if verdict in ("partly", "differs", "not reproduced"):
        assert row.note


@pytest.mark.parametrize("row", [row for row in ROWS if FIGURE.search(row.note)], ids=lambda row: row.number)
def test_figures_are_those_of_the_results(row: Row):
    for figure in FIGURE.findall(row.note):
        assert re.search(rf"(?<![\d.]){re.escape(figure)}", RESULTS), figure


def test_the_figures_are_found():
    assert sum(len(FIGURE.findall(row.note)) for row in ROWS) >= 20


@pytest.mark.parametrize("span", SPANS)
def test_every_name_is_there(span: str):
    """A name in backticks is a test, file, object, field, preset, component, recipe, source or command."""
    assert is_test(span) or is_there(span), span


@pytest.mark.parametrize(
    "span",
    [
        *("tests/test_paper.py::test_nothing", "tests/no.py::test_nothing", "docs/no.md", "stawm.core.no"),
        *("stawm.no.write", "memory.no", "recipe.no", "recipe.augmentation.no", "heads.drawing.no", "where=moon"),
        *("stawm-mnist-9", "stawm-mnist-8.authors", "nobody1900", "stawm draw --no", "--no", "slow", "timm-x:a"),
    ],
)
def test_a_name_that_is_not_there_is_seen(span: str):
    assert not is_test(span)
    assert not is_there(span)


def test_equation_1_never_leaves_zero():
    """With θ = 0 the increment is η e φ(W e)ᵀ, which is zero while W is."""
    W = torch.zeros(1, 3, 3)
    for e in torch.tensor([[[1.0, 2.0, 3.0]], [[4.0, 0.0, 6.0]]]):
        W = write(W, e, Rates(0.2, 0.4, 0.0))
    assert torch.equal(W, torch.zeros(1, 3, 3))


def test_the_anchors_of_the_page_are_those_of_sections():
    for page in ("memories.md", "errata.md", "seeing.md"):
        wanted = set(re.findall(rf"\({page}#([\w-]+)\)", PAPER))
        assert wanted <= _anchors((ROOT / "docs" / page).read_text(encoding="utf-8"))
        assert wanted


def is_test(span: str) -> bool:
    file, found, test = span.partition("::")
    path = ROOT / file
    return bool(found) and path.is_file() and bool(re.search(rf"^def {test}\(", path.read_text("utf-8"), re.MULTILINE))


def is_there(span: str) -> bool:
    names = {*stawm.list_names("preset", "*"), *stawm.list_names("preset", "*.*"), *(c.name for c in COMPONENTS)}
    if span in names | RECIPES | references().keys():
        return span not in RECIPES or bool(presets_with(span))
    if span.startswith(("--", "stawm ")):
        return is_command(span)
    if "/" in span:
        return (ROOT / span).is_file()
    if ":" in span:
        return span.partition(":")[0] in {c.name for c in COMPONENTS if c.takes_argument}
    return is_object(span) if span.startswith("stawm.") else is_field(*span.partition("=")[::2])


def is_object(path: str) -> bool:
    module, *names = path.split(".")
    found: Any = import_module(module)
    for name in names:
        module = f"{module}.{name}"
        try:
            found = getattr(found, name) if hasattr(found, name) else import_module(module)
        except ImportError:
            return False
    return True


def is_command(span: str) -> bool:
    told = "".join(path.read_text("utf-8") for path in sorted((ROOT / "stawm" / "cli").glob("*.py")))
    return all(f'"{word}"' in told for word in span.removeprefix("stawm ").split())


def is_field(name: str, value: str) -> bool:
    """Whether the recipe or a preset has a field, and takes the value where there is one."""
    if name.startswith("recipe."):
        return has_field(Recipe(name="any", epochs=1), name.removeprefix("recipe."))
    presets = [preset for preset in stawm.list_names("preset") if has_field(stawm.config(preset), name)]
    return bool(presets) and (not value or any(takes(preset, name, value.strip('"')) for preset in presets))


def has_field(config: Any, name: str) -> bool:
    field, _, inner = name.partition(".")
    if field == "heads" and inner:
        head, _, inner = inner.partition(".")
        return config.head(head) is not None and has_field(config.head(head), inner)
    return hasattr(config, field) and (not inner or has_field(getattr(config, field), inner))


def takes(preset: str, name: str, value: str) -> bool:
    try:
        return bool(stawm.config(preset, **{name: {"true": True}.get(value, value)}))
    except StawmError:
        return False
