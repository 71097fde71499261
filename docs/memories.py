"""Make the table of docs/memories.md that says which memory is good for what, from the figures that are kept.

    python docs/memories.py                      # write the table from stawm/trial/kept.json
    python docs/memories.py --measure FOLDER     # try every memory, each seed a file, on all tasks that it lacks
    python docs/memories.py --take FOLDER        # keep what was measured there, then write the table

All seeds of all memories take about an hour and a half on one core, most of it `backpropamine`.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import results
import trials

from stawm.nn.memories.sizing import CONTROLS
from stawm.trial import TASKS, kept
from stawm.trial.kept import Figures, Spread

PAGE = Path(__file__).with_suffix(".md")
START, END = "<!-- which memory for what: docs/memories.py -->", "<!-- end of which memory for what -->"
ENTRIES: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("hebb-rosenblatt", {}),
    ("hebb-rosenblatt", {"constrained": True, "normalise": 0.9}),
    ("fast-weights", {}),
    ("plasticity", {}),
    ("backpropamine", {}),
    ("delta", {}),
    ("delta", {"bind": "what-where"}),
    ("gated-delta", {}),
    ("gated-delta", {"bind": "what-where"}),
    ("oja", {}),
    ("hopfield", {}),
    ("mean", {}),
    ("recurrent", {}),
)
"""What is tried, in the order of the rows."""
SEEDS = range(3)


def text(found: Sequence[Figures], known: Mapping[str, Any]) -> str:
    """Return the table, what each memory wins, and how it was measured."""
    names = [task.name for task in TASKS]
    rows = [["memory", *names, "wins", "parameters", "state", "seeds", "CPU s"]]
    for one in found:
        cells = [_error(one.errors.get(name)) for name in names]
        better = str(len(kept.wins(one, found))) if one.label not in CONTROLS else "a control"
        costs = [f"{one.parameters:,}", f"{one.kept:,}", ", ".join(map(str, one.seeds)), f"{one.seconds:.0f}"]
        rows.append([f"`{one.label}`", *cells, better, *costs])
    levels = ", ".join(f"{task.name}: {_levels(task)}" for task in TASKS)
    recipe, versions = known["recipe"], f"{known['hardware']}, torch {known['torch']}"
    return (
        f"{results._pipes(rows)}\n"
        "Wrong answers in %, the mean over seeds and all levels of a task; in brackets the best and the worst seed. "
        "*wins* counts the tasks in which a memory is better than both controls by 10 points or more, with every seed. "
        f"*state* is how many numbers are kept of an episode at most. Levels: {levels}. Each memory was trained for "
        f"{recipe['steps']} steps of {recipe['batch']} episodes a task ({versions}).\n\n"
        f"{_lacking(found)}{_said(found, names)}"
    )


def _lacking(found: Sequence[Figures]) -> str:
    """Return what was not measured, or with few seeds; nothing where all was."""
    known = {one.label: one.seeds for one in found}
    never = [f"`{name}`" for name in (kept.label(*entry) for entry in ENTRIES) if name not in known]
    few = [f"`{name}`" for name, seeds in known.items() if len(seeds) < len(SEEDS)]
    said = [f"Not measured so far: {', '.join(never)}."] if never else []
    said += [f"Of fewer than {len(SEEDS)} seeds, and so a first look only: {', '.join(few)}."] if few else []
    return " ".join(said) + "\n\n" if said else ""


def _said(found: Sequence[Figures], names: Sequence[str]) -> str:
    """Return for each task who wins it, and for each memory that wins none that it does."""
    won = {one.label: kept.wins(one, found) for one in found if one.label not in CONTROLS}
    lines = []
    for name in names:
        winners = [f"`{memory}`" for memory, tasks in won.items() if name in tasks]
        lines.append(f"- *{name}*: {', '.join(winners) or 'no memory is better than both controls'}.")
    lines += [f"- `{memory}` wins no task." for memory, tasks in won.items() if not tasks]
    return "Better than both controls by 10 points or more:\n\n" + "\n".join(lines) + "\n"


def _error(error: Spread | None) -> str:
    if error is None:
        return "not measured"
    mean, low, high = (f"{100 * value:.1f}" for value in error)
    return mean if low == high else f"{mean} ({low} to {high})"


def _levels(task: Any) -> str:
    counted = f"{', '.join(map(str, task.levels))} {task.unit}"
    return f"{counted} at m = {', '.join(map(str, task.sizes))}" if task.sizes else counted


def entries() -> Iterator[tuple[str, Mapping[str, Any], int]]:
    """Yield what is tried, seed by seed, the slow one last."""
    for seed in SEEDS:
        yield from ((name, fields, seed) for name, fields in ENTRIES if name != "backpropamine")
    yield from (("backpropamine", {}, seed) for seed in SEEDS)


def measure_all(folder: Path) -> None:
    """Try every memory with every seed, on what there is no record of."""
    for name, fields, seed in entries():
        trials.fill(folder / f"{kept.label(name, fields).replace(' ', '_')}_{seed}.json", name, fields, seed)


def take(folder: Path) -> dict[str, Any]:
    """Return the records of a folder as one, in the order of `ENTRIES`."""
    order = [kept.label(*entry) for entry in ENTRIES]
    return trials.together(
        folder, TASKS, lambda run: (order.index(kept.label(run["memory"], run["fields"])), run["seed"])
    )


def write(page: Path = PAGE) -> str:
    """Return the page with its table made anew."""
    return results.between(page, START, END, text(kept.kept(), kept.records()))


def keep(folder: Path) -> None:
    """Keep what was measured in a folder."""
    trials.keep(kept.FILE, take(folder))
    kept.records.cache_clear()


if __name__ == "__main__":
    trials.command(__doc__, PAGE, measure_all, keep, write)
