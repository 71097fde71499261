"""What the page of benchmarks says is what was measured."""

import importlib
import json
from pathlib import Path

import pytest

from benchmarks import __main__ as every
from benchmarks import graphs, results
from benchmarks.results import Benchmark, command, goal, publish, table

NAMES = (*every.NAMES, "gpu", "early_exit", "evidence", "asking", "int8")


def block(name: str, page: Path) -> str:
    """What stands between a benchmark's marks."""
    text = page.read_text()
    return text.split(f"<!-- {name} -->")[1].split(f"<!-- end {name} -->")[0].strip()


def test_every_result_belongs_to_a_benchmark() -> None:
    assert {path.stem for path in results.RESULTS.glob("*.json")} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES, ids=lambda name: f"{name} page")
def test_the_page_says_what_the_results_say(name: str) -> None:
    benchmark = importlib.import_module(f"benchmarks.{name}").BENCHMARK
    assert benchmark.name == name
    if benchmark.path.exists():
        assert block(name, benchmark.page) == benchmark.text(), f"python -m benchmarks.{name} --table"
    else:
        assert block(name, benchmark.page).startswith("Not measured yet")


def test_measured_rows_reach_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- toy -->\nold\n<!-- end toy -->\nafter\n")
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    monkeypatch.setattr(results, "publish", lambda name, text, _: publish(name, text, page))
    toy = Benchmark("toy", lambda rows: table("a | b", [row.values() for row in rows]))
    command(toy, lambda quick: [{"a": 1, "b": 2}], [])
    assert json.loads(toy.path.read_text())["rows"] == [{"a": 1, "b": 2}]
    assert "| 1 | 2 |" in page.read_text()
    assert "old" not in page.read_text()
    assert page.read_text().startswith("before\n")
    assert page.read_text().endswith("after\n")


def test_a_quick_run_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    command(Benchmark("toy", lambda rows: str(rows)), lambda quick: [{"quick": quick}], ["--quick"])
    assert list(tmp_path.iterdir()) == []


def test_a_page_without_a_place_is_named(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing")
    with pytest.raises(SystemExit, match="has no place for 'toy'"):
        publish("toy", "text", page)


@pytest.mark.parametrize(
    ("reached", "at_most", "verdict"),
    [(6.0, False, "reached"), (5.9, False, "**missed**"), (6.0, True, "reached"), (6.1, True, "**missed**")],
)
def test_a_goal_is_reached_or_missed(reached: float, at_most: bool, verdict: str) -> None:
    assert goal("x", reached, 6.0, at_most=at_most).endswith(f": {verdict}.")


def test_a_row_of_a_graph_takes_its_place_and_the_others_stay(tmp_path: Path) -> None:
    page = tmp_path / "export.md"
    rows = {name: graphs.line(graphs.Row(name, 9, 8, 9, 2_000_000, 10**6, (1, 2, 3))) for name in ("ram-mnist", "gone")}
    page.write_text(f"before\n\n<!-- graphs -->\n\n{graphs.table(rows)}\n\n<!-- end graphs -->\n\n| `other` |\n")
    assert graphs.known(page) == {"ram-mnist": "| `ram-mnist` | 9 | 8 | 12.5% | 2.0 | 9 | 1.0 | 1 + 2 + 3 |"}
    fresh = graphs.line(graphs.Row("draw-mnist", 9, 9, 9, 10**6, 10**6, ()))
    lines = graphs.table(graphs.known(page) | {"draw-mnist": fresh}).splitlines()
    assert lines[2:] == [fresh, rows["ram-mnist"]]
    assert fresh.endswith("| – |")


def test_the_page_of_graphs_is_as_it_is_laid_out() -> None:
    page = graphs.PAGE.read_text()
    assert f"<!-- graphs -->\n\n{graphs.table(graphs.known())}\n\n<!-- end graphs -->" in page
