"""Make the table of docs/memories.md that says what the read-out and the tables are worth, from the figures of trials.

    python docs/read_outs.py                      # write the table from the records
    python docs/read_outs.py --measure FOLDER     # try what there is no record of; some minutes on one core
    python docs/read_outs.py --take FOLDER        # keep what was measured there, then write the table

The usual recipe is not measured again: its figures are those of stawm/trial/kept.json.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any

import results
import trials

from stawm.trial import Recipe, kept
from stawm.trial.memory import chosen_tasks
from stawm.trial.running import Measured

PAGE = Path(__file__).with_name("memories.md")
FILE = results.RECORDS / "trials" / "read-outs.json"
START, END = "<!-- what the read-out is worth: docs/read_outs.py -->", "<!-- end of what the read-out is worth -->"
MEMORIES = ("hebb-rosenblatt", "delta", "mean", "recurrent")
TASKS = chosen_tasks(("overload", "recall", "content"))
USUAL = "usual: a norm, one layer"
RECIPES: Mapping[str, Mapping[str, Any]] = {
    USUAL: {},
    "no norm": {"layer_norm": False},
    "two layers": {"hidden": 64},
    "two layers, no norm": {"hidden": 64, "layer_norm": False},
    "larger tables": {"scale": 1.0},
}
"""What is changed of the usual recipe, in the order of the columns."""
SEED = 0


def text(errors: Mapping[tuple[str, str, str], float]) -> str:
    """Return the table, given the error by memory, recipe and task."""
    rows = [["task", "memory", *RECIPES]]
    for task in TASKS:
        for memory in MEMORIES:
            cells = [errors.get((memory, recipe, task.name)) for recipe in RECIPES]
            said = ["not measured" if error is None else f"{100 * error:.1f}" for error in cells]
            rows.append([task.name, f"`{memory}`", *said])
    return (
        f"{results._pipes(rows)}\nWrong answers in %, the mean over all levels of a task; one seed, {SEED}, so a few "
        "points say nothing. *Two layers*: a hidden layer of 64 with ReLU between what was read and the answer. "
        f"*Larger tables*: `recipe.scale=1` in place of {Recipe().scale}.\n"
    )


def known() -> dict[tuple[str, str, str], float]:
    """Return the error by memory, recipe and task, of all that was measured."""
    usual = [{**run, "recipe": kept.records()["recipe"]} for run in kept.records()["runs"] if not run["fields"]]
    found = {}
    for run in [*usual, *json.loads(FILE.read_text())["runs"]]:
        rows = [Measured(*row) for row in run["measured"]]
        if run["seed"] == SEED and run["memory"] in MEMORIES:
            for task in TASKS:
                key = (run["memory"], called(run["recipe"]), task.name)
                found[key] = mean(row.error for row in rows if row.task == task.name)
    return found


def called(recipe: Mapping[str, Any]) -> str:
    """Return the heading of a recipe."""
    return next(name for name, changes in RECIPES.items() if Recipe(**changes).to_dict() == recipe)


def measure_all(folder: Path) -> None:
    """Try every memory with every recipe but the usual one."""
    for number, (name, changes) in enumerate(RECIPES.items()):
        for memory in MEMORIES if name != USUAL else ():
            trials.fill(folder / f"{memory}_{number}.json", memory, {}, SEED, Recipe(**changes), TASKS)


def take(folder: Path) -> dict[str, Any]:
    """Return the records of a folder as one."""
    names = [*RECIPES]
    return trials.together(
        folder, TASKS, lambda run: (names.index(called(run["recipe"])), MEMORIES.index(run["memory"])), ("recipe",)
    )


def write(page: Path = PAGE) -> str:
    """Return the page with its table made anew."""
    return results.between(page, START, END, text(known()))


def keep(folder: Path) -> None:
    """Keep what was measured in a folder."""
    FILE.parent.mkdir(exist_ok=True)
    trials.keep(FILE, take(folder))


if __name__ == "__main__":
    trials.command(__doc__, PAGE, measure_all, keep, write)
