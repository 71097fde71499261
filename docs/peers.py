"""Make the tables that set STAWM beside its peers, and peers beside their papers, from the records of training runs.

    python docs/peers.py                 # write the tables from the records
    python docs/peers.py RUN_FOLDER ...  # take a record of each run first

In docs/results.md a table for each task: every model that was trained on it, what was published, and what it costs.
In docs/peers.md and docs/peers-draw.md what was published, and ours beside it.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import published
import results
import scenes

START, END = "<!-- peers: docs/peers.py -->", "<!-- end of peers -->"
MODELS: Mapping[str, str] = {
    "stawm": "STAWM",
    "ram": "RAM",
    "dram": "DRAM",
    "dram-soft": "DRAM, no hard choices",
    "edram": "EDRAM",
    "draw": "DRAW's reader",
    "stn": "STN",
    "ram-cnn": "CNN of RAM's paper",
    "cnn": "CNN, ours",
}
"""What models are called by what their presets begin with, in the order of the rows."""
PUBLISHED: Mapping[str, Mapping[str, str]] = {
    "translated-60": {"ram": "1.84 / 1.2 %", "ram-cnn": "2.31 / 1.62 %"},
    "cluttered-60": {"ram": "5.23 / 4.04 %", "ram-cnn": "7.83 / 8.09 %", "stn": "1.7 %"},
    "cluttered-100": {"ram": "10.83 / 8.11 %", "ram-cnn": "16.51 / 14.35 %", "draw": "3.36 %"},
    "pairs-100": {"ram": "9 %", "dram": "5 %"},
    "sum-100": {"dram": "2.5 %"},
}
"""Errors as published: of RAM in both versions of its paper, with 8 glimpses (Mnih et al. 2014); Ba et al. 2015, Gregor
et al. 2015, Jaderberg et al. 2015."""
ANYWHERE: Mapping[str, str] = {"cluttered-60": "14.4 %", "cluttered-100": "28.4 %"}
"""Errors of RAM with glimpses anywhere, in the later version of its paper."""
COLUMNS = ("model", "preset", "with", "published", "error", "validation", "parameters", "MFLOP", "pixels")


def model_of(one: scenes.Record) -> str:
    """Return what the preset of a record begins with, before the task."""
    return one["preset"].partition(".")[0].removesuffix(f"-{scenes.task_of(one)}")


def text(records: Sequence[scenes.Record]) -> str:
    """Return a table for each task that has runs."""
    parts = []
    for task in scenes.TASKS:
        rows = [one for one in records if scenes.task_of(one) == task and is_comparable(one)]
        if rows:
            ordered = sorted(rows, key=_place)
            parts.append(f"### {task}\n\n{results._pipes([COLUMNS, *map(_row, ordered)])}")
    return "\n".join(parts) or "There are no runs yet.\n"


def is_comparable(one: scenes.Record) -> bool:
    """Whether a run was on the usual scenes of its task, and its model is one of these."""
    return "digit_size" not in one.get("data_fields", {}) and model_of(one) in MODELS


def _place(one: scenes.Record) -> tuple[int, float]:
    return list(MODELS).index(model_of(one)), one["evaluation"]["error"]


def _row(one: scenes.Record) -> list[str]:
    costs, model = one["cost"], model_of(one)
    preset, changes = scenes._name(one)
    low, high = one["evaluation"]["interval"]
    return [
        MODELS[model],
        preset,
        changes,
        _published(one, model),
        f"{scenes._percent(one['evaluation']['error'])} ({100 * low:.2f} to {100 * high:.2f})",
        scenes._percent(one["held_out"]["error"]) if one["held_out"] else "",
        f"{costs['parameters']:,}",
        f"{costs['mflop'][-1]:.1f}",
        f"{costs['pixels'][-1]:,}",
    ]


def _published(one: scenes.Record, model: str) -> str:
    task = scenes.task_of(one)
    if published.is_random(one) and model == "ram":
        return ANYWHERE.get(task, "")
    return "" if one["overrides"] else PUBLISHED[task].get(model, "")


def record(run: Path) -> scenes.Record:
    """Return what a run measured: on scenes with what its model costs, on other data as `results.record` has it."""
    found = results.record(run)
    return scenes.record(run) if found["group"] == results.SCENES else found


def write(page: Path = results.PAGE, folder: Path = results.RECORDS) -> str:
    """Return the page with the tables of peers made anew."""
    return results.between(page, START, END, text(scenes.known(folder)))


def main() -> None:
    """Take records of the runs that are given, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN_FOLDER")
    for run in parser.parse_args().runs:
        found = json.dumps(record(run), indent=1, ensure_ascii=False)
        (results.RECORDS / f"{run.name}.json").write_text(found + "\n")
    for make in (results.write, scenes.write, write):
        results.PAGE.write_text(make())
    for page in published.PAGES:
        page.write_text(published.write(page))


if __name__ == "__main__":
    main()
