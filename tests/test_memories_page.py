"""The table "which memory for what" is what the kept figures give."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest

from stawm.trial import kept
from stawm.trial.kept import figures
from stawm.trial.running import Measured

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture
def memories(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(DOCS)
    return importlib.import_module("memories")


def test_the_page_is_what_the_figures_give(memories: ModuleType):
    assert memories.PAGE.read_text() == memories.write(), "run: python docs/memories.py"


def test_what_was_not_measured_is_not_told_and_who_wins_nothing_is(memories: ModuleType):
    def one(label: str, error: float) -> kept.Figures:
        return figures(label, {0: [Measured("places", 64, 4, error, 12, 34, 1.0)]})

    said = memories.text([one("x", 0.1), one("y", 0.45), one("mean", 0.5), one("recurrent", 0.6)], kept.records())
    assert "| `x` | 10.0 | not measured |" in said
    assert "- *places*: `x`." in said
    assert "- *overload*: no memory is better than both controls." in said
    assert "- `y` wins no task." in said
    assert "`x` wins no task" not in said


def test_every_built_in_memory_is_tried(memories: ModuleType):
    import stawm

    assert {name for name, _ in memories.ENTRIES} == {*stawm.list_names("memory", origin="stawm")}
