"""The table "which memory for what" is what the kept figures give."""

import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest

from stawm.trial import TASKS, Recipe, kept
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


def test_only_what_a_record_lacks_is_measured_and_nothing_of_another_recipe(memories: ModuleType, tmp_path: Path):
    trials, path = memories.trials, tmp_path / "new" / "mean_0.json"
    tiny, tasks = Recipe(steps=2, batch=2, measured=4, memory_size=8), TASKS[:2]
    trials.fill(path, "mean", {}, 0, tiny, tasks[:1])
    first = json.loads(path.read_text())
    trials.fill(path, "mean", {}, 0, tiny, tasks)
    both = json.loads(path.read_text())
    assert both["measured"][: len(first["measured"])] == first["measured"]
    assert list(dict.fromkeys(row["task"] for row in both["measured"])) == [task.name for task in tasks]
    stamp = path.stat().st_mtime_ns
    trials.fill(path, "mean", {}, 0, tiny, tasks)
    assert path.stat().st_mtime_ns == stamp
    with pytest.raises(SystemExit, match="another recipe"):
        trials.fill(path, "mean", {}, 0, tiny.replace(steps=3), TASKS)
    with pytest.raises(SystemExit, match="Not measured on all tasks: mean, seed 0"):
        memories.take(path.parent)
    kept_file = tmp_path / "kept.json"
    trials.keep(kept_file, trials.together(path.parent, tasks, lambda run: run["seed"]))
    found = json.loads(kept_file.read_text())
    assert found["recipe"] == tiny.to_dict()
    assert [row[:3] for row in found["runs"][0]["measured"]] == [[*row.values()][:3] for row in both["measured"]]


def test_the_table_of_read_outs_is_what_the_figures_give(memories: ModuleType):
    read_outs = importlib.import_module("read_outs")
    assert read_outs.PAGE.read_text() == read_outs.write(), "run: python docs/read_outs.py"
    assert len(read_outs.known()) == len(read_outs.MEMORIES) * len(read_outs.RECIPES) * len(read_outs.TASKS)


def test_a_read_out_that_was_not_measured_is_told(memories: ModuleType):
    read_outs = importlib.import_module("read_outs")
    said = read_outs.text({("delta", "no norm", "recall"): 0.125})
    assert "| recall | `delta` | not measured | 12.5 | not measured |" in said
