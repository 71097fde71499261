"""Records of trials of memories: measured into a file each, on what it lacks, and put together in one."""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

import stawm
from stawm.configuration import resolve
from stawm.configuration.components import instantiate
from stawm.storage.file import write_atomically
from stawm.training.provenance import hardware
from stawm.trial import TASKS, Recipe, Task
from stawm.trial.running import measure


def fill(
    path: Path,
    name: str,
    fields: Mapping[str, Any],
    seed: int,
    recipe: Recipe | None = None,
    tasks: Sequence[Task] = TASKS,
) -> None:
    """Try a memory on those tasks that its record lacks, all of them where there is no record, and write it."""
    torch.set_num_threads(1)
    chosen = recipe or Recipe()
    found = {"memory": name, "fields": fields, "seed": seed, "recipe": chosen.to_dict()}
    found |= {"hardware": hardware(torch.device("cpu")), "torch": torch.__version__, "stawm": stawm.__version__}
    known = json.loads(path.read_text()) if path.exists() else found | {"measured": []}
    other = [key for key, value in found.items() if known[key] != value]
    if other:
        raise SystemExit(f"{path} was measured with another {other[0]}: {known[other[0]]}, now {found[other[0]]}.")
    lacking = [task for task in tasks if task.name not in {row["task"] for row in known["measured"]}]
    if not lacking:
        return
    config = resolve("memory", {"name": name, **fields})
    rows = measure(lambda m: instantiate("memory", config, memory_size=m), tasks=lacking, recipe=chosen, seed=seed)
    known["measured"] += [row._asdict() for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(known).encode())
    print(path.name, *(task.name for task in lacking), flush=True)


def together(
    folder: Path, tasks: Sequence[Task], order: Callable[[Mapping[str, Any]], Any], apart: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the records of a folder as one: what they have in common once, and of each what sets it apart."""
    runs = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    common = {key: runs[0][key] for key in ("recipe", "hardware", "torch", "stawm") if key not in apart}
    strange = [run["memory"] for run in runs if {key: run[key] for key in common} != common]
    if strange:
        raise SystemExit(f"Not all were measured alike: {', '.join(strange)}.")
    names = {task.name for task in tasks}
    partly = [run for run in runs if {row["task"] for row in run["measured"]} != names]
    if partly:
        raise SystemExit(f"Not measured on all tasks: {partly[0]['memory']}, seed {partly[0]['seed']}. Use --measure.")
    rounded = [
        {
            **{key: run[key] for key in ("memory", "fields", "seed", *apart)},
            "measured": [[round(v, 5) if isinstance(v, float) else v for v in row.values()] for row in run["measured"]],
        }
        for run in sorted(runs, key=order)
    ]
    return {**common, "runs": rounded}


def keep(file: Path, found: Mapping[str, Any]) -> None:
    """Write records as one file, a run a line."""
    runs = ",\n".join("  " + json.dumps(run) for run in found["runs"])
    common = json.dumps({key: value for key, value in found.items() if key != "runs"}, indent=1)
    file.write_text(f'{common[:-2]},\n "runs": [\n{runs}\n ]\n}}\n')


def command(
    words: str | None,
    page: Path,
    measure_all: Callable[[Path], None],
    keep: Callable[[Path], None],
    write: Callable[[], str],
) -> None:
    """Measure into a folder, or keep what was measured there, and write the page."""
    parser = argparse.ArgumentParser(description=words, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", type=Path, metavar="FOLDER")
    parser.add_argument("--take", type=Path, metavar="FOLDER")
    args = parser.parse_args()
    if args.measure:
        measure_all(args.measure)
        return
    if args.take:
        keep(args.take)
    page.write_text(write())
