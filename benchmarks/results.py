"""From a benchmark's rows to JSON, and from the JSON to its place in `docs/benchmarks.md` or on another page.

Tables are made of the kept JSON alone, so page and JSON cannot say different things.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Row, machine

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"


@dataclass(frozen=True)
class Benchmark:
    """A benchmark's results: where they are kept, and how they are shown.

    Attributes:
        name: Of its module, its JSON and its place on the page.
        show: Lays rows out as Markdown.
        page: The page that they are shown on.
    """

    name: str
    show: Callable[[list[Row]], str]
    page: Path = PAGE

    @property
    def path(self) -> Path:
        """The JSON of its results."""
        return RESULTS / f"{self.name}.json"

    def keep(self, rows: list[Row], where: dict[str, str] | None = None) -> None:
        """Write rows, and what they were measured on: this machine where left out."""
        RESULTS.mkdir(exist_ok=True)
        self.path.write_text(json.dumps({"machine": where or machine(), "rows": rows}, indent=1) + "\n")

    def text(self) -> str:
        """Return what the page says, from the kept results."""
        kept = json.loads(self.path.read_text())
        where = ", ".join(f"{key} {value}" for key, value in kept["machine"].items())
        return f"{self.show(kept['rows'])}\n\nMeasured with `python -m benchmarks.{self.name}` on: {where}."

    def publish(self) -> None:
        """Put the kept results into their place on the page."""
        publish(self.name, self.text(), self.page)


def command(benchmark: Benchmark, measure: Callable[[bool], list[Row]], arguments: Sequence[str] | None = None) -> None:
    """Measure, keep and publish, as the command line asks.

    Args:
        benchmark: The benchmark.
        measure: Returns its rows; told to be quick, it runs everything once on something small.
        arguments: The command line; the process's own where left out.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{benchmark.name}")
    parser.add_argument("--quick", action="store_true", help="run everything once, small, and write nothing")
    parser.add_argument("--table", action="store_true", help="measure nothing: lay out the kept results again")
    given = parser.parse_args(arguments)
    if given.quick:
        print(benchmark.show(measure(True)))
        return
    if not given.table:
        benchmark.keep(measure(False))
    benchmark.publish()
    print(benchmark.text())


def publish(name: str, text: str, page: Path = PAGE) -> None:
    """Put a text into its place on a page."""
    begin, end = f"<!-- {name} -->", f"<!-- end {name} -->"
    whole = page.read_text()
    if begin not in whole:
        raise SystemExit(f"{page} has no place for {name!r}: add the lines {begin!r} and {end!r}.")
    before, _, rest = whole.partition(begin)
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{rest.partition(end)[2]}")


def table(heads: str, rows: Iterable[Sequence[object]]) -> str:
    """Lay cells out as a Markdown table.

    Args:
        heads: The columns' names, with bars between them.
        rows: The cells of each row.
    """
    names = [name.strip() for name in heads.split("|")]
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(map(str, cells))} |" for cells in lines)


def goal(what: str, reached: float, wanted: float, *, at_most: bool = False, unit: str = "") -> str:
    """Write a goal beside what was reached, as an item of a list."""
    met = reached <= wanted if at_most else reached >= wanted
    bound, verdict = "at most" if at_most else "at least", "reached" if met else "**missed**"
    return f"- {what}: {bound} {wanted:g}{unit} wanted, {reached:.3g}{unit} measured: {verdict}."
