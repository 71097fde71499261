"""Make the tables of docs/peers.md and docs/peers-draw.md that set what was published beside what records measured.

`python docs/peers.py` writes them; what has no record yet is a dash.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import results

import stawm

START, END = "<!-- published: docs/peers.py -->", "<!-- end of published -->"
PAGE, DRAW_PAGE = (Path(__file__).with_name(name) for name in ("peers.md", "peers-draw.md"))
NONE = "–"


class Row(NamedTuple):
    """A row of published figures.

    Attributes:
        cells: What stands before our own figures.
        preset: Of which records these are; None where no preset is that model.
        glimpses: The numbers of glimpses that it is of; empty for any. A preset's last row takes all others too.
        random: Whether glimpses are anywhere.
    """

    cells: tuple[str, ...]
    preset: str | None
    glimpses: tuple[int, ...] = ()
    random: bool = False


RAM_HEAD = ("task", "glimpses", "proceedings (2014)", "later version", "ours")
RAM = (
    Row(("28x28, `ram-mnist`", "2 / 3 / 4", "6.27 / 2.7 / 1.73", "3.79 / 1.51 / 1.54"), "ram-mnist", (2, 3, 4)),
    Row(("", "5 / 6 / 7", "1.55 / 1.29 / 1.47", "1.34 / 1.12 / 1.07"), "ram-mnist", (5, 6, 7)),
    Row(("28x28, one glimpse anywhere", "1", "42.85", NONE), "ram-mnist", (1,), random=True),
    Row(
        ("60x60 translated, `ram-translated-60`", "4 / 6 / 8", "2.29 / 1.86 / 1.84", "1.54 / 1.22 / 1.2"),
        "ram-translated-60",
    ),
    Row(
        ("60x60 cluttered, `ram-cluttered-60`", "4 / 6 / 8", "7.1 / 5.88 / 5.23", "4.96 / 4.08 / 4.04"),
        "ram-cluttered-60",
    ),
    Row(("the same, glimpses anywhere", "8", NONE, "14.4"), "ram-cluttered-60", random=True),
    Row(
        ("100x100 cluttered, `ram-cluttered-100`", "4 / 6 / 8", "14.95 / 11.58 / 10.83", "9.41 / 8.31 / 8.11"),
        "ram-cluttered-100",
    ),
    Row(("the same, glimpses anywhere", "8", NONE, "28.4"), "ram-cluttered-100", random=True),
    Row(
        (
            "pairs of digits on 100x100, DRAM, `dram-pairs-100`",
            "4",
            "5 (RAM 9, DRAM without its context 7)",
            "",
        ),
        "dram-pairs-100",
    ),
)
"""Errors in per cent: Mnih et al. 2014, in both versions, and Ba et al. 2015."""
ERRORS_HEAD = ("model", "task", "error published, %", "ours, %")
ERRORS = (
    Row(("DRAW's reader, 4 and 8 glimpses", "cluttered, 100x100", "4.18, 3.36"), "draw-cluttered-100"),
    Row(("RAM, 4 and 8 glimpses (later version)", "cluttered, 100x100", "9.41, 8.11"), "ram-cluttered-100"),
    Row(("CNN of RAM's paper (both versions)", "cluttered, 100x100", "16.51, 14.35"), "ram-cnn-cluttered-100"),
    Row(("CNN of RAM's paper (both versions)", "cluttered, 60x60", "7.83, 8.09"), "ram-cnn-cluttered-60"),
    Row(("CNN of RAM's paper (both versions)", "translated, 60x60", "2.31, 1.62"), "ram-cnn-translated-60"),
    Row(("ST-CNN; the CNN without it", "translated and cluttered, 60x60", "1.7; 3.5"), "stn-cluttered-60"),
)
NATS_HEAD = ("model", "binary MNIST, at most", "ours, at most")
NATS = (
    Row(("DRAW", "80.97 nats"), "draw-mnist"),
    Row(("DRAW without attention", "87.40 nats"), "draw-mnist-no-attention"),
)
PAGES: Mapping[Path, tuple[tuple[tuple[str, ...], tuple[Row, ...]], ...]] = {
    PAGE: ((RAM_HEAD, RAM),),
    DRAW_PAGE: ((ERRORS_HEAD, ERRORS), (NATS_HEAD, NATS)),
}
"""The tables of each page."""


def is_random(one: results.Record) -> bool:
    """Whether a record's model looks anywhere."""
    return "random" in (one["overrides"].get("policy"), one["overrides"].get("gaze"))


def glimpses_of(one: results.Record) -> int | None:
    """Return how many glimpses a record's model takes."""
    return one["overrides"].get("glimpses", stawm.config(one["preset"]).glimpses)


def is_as_published(one: results.Record) -> bool:
    """Whether nothing was changed of a record's model and scenes but where and how often it looks."""
    changed = {*one["overrides"]} - {"glimpses", "gaze", "policy"}
    policy = one["overrides"].get("policy", "random")
    return not changed and policy == "random" and "digit_size" not in one.get("data_fields", {})


def belongs(one: results.Record, row: Row, rows: Sequence[Row]) -> bool:
    """Whether a record is of a row, of all those of a table."""
    if one["preset"].partition(".")[0] != row.preset or is_random(one) != row.random:
        return False
    alike = [other for other in rows if (other.preset, other.random) == (row.preset, row.random)]
    named = {count for other in alike for count in other.glimpses}
    count = glimpses_of(one)
    return not row.glimpses or count in row.glimpses or (row is alike[-1] and count not in named)


def figure(one: results.Record) -> str:
    """Return what a record measured: nats, or an error in per cent with its interval and those after fewer glimpses."""
    measured = one["evaluation"]
    if "error" not in measured:
        return f"{measured['bound']:.2f} nats"
    low, high = (f"{100 * end:.2f}" for end in measured["interval"])
    fewer = [f"{100 * error:.2f}" for error in measured.get("error_by_glimpse", ())][:-1]
    after = f"; after 1 to {len(fewer)} of them {', '.join(fewer)}" if len(fewer) > 1 else ""
    count = glimpses_of(one)
    return f"{100 * measured['error']:.2f}{f' with {count}' if count else ''} ({low} to {high}{after})"


def table(head: Sequence[str], rows: Sequence[Row], records: Sequence[results.Record]) -> str:
    """Return published figures with ours beside them."""
    known = [one for one in records if is_as_published(one)]
    ours = ([figure(one) for one in known if belongs(one, row, rows)] for row in rows)
    return results._pipes([head, *([*row.cells, "; ".join(own) or NONE] for row, own in zip(rows, ours, strict=True))])


def write(page: Path, records: Path = results.RECORDS) -> str:
    """Return a page with its tables of published figures made anew."""
    known = [json.loads(file.read_text()) for file in sorted(records.glob("*.json"))]
    parts = [table(head, rows, known) for head, rows in PAGES[page]]
    return results.between(page, START, END, "\n".join(parts))
