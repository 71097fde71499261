"""Make what docs/results.md says of scenes, tables, curves and commands, from what training runs measured.

    python docs/scenes.py RUN_FOLDER ...               # take a record of each run, and write the page anew
    python docs/scenes.py --sizes ROOT RUN_FOLDER ...  # also measure digits of 28, 20 and 14 pixels

Without folders the page and the picture docs/images/scene-costs.png are written from the records in docs/results.
"""

import argparse
import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import results
import torch
from torch.utils.flop_counter import FlopCounterMode

import stawm
from stawm.models.base import Model, evaluating
from stawm.training import data, evaluate

GROUP = "scenes"
START, END = "<!-- scenes: docs/scenes.py -->", "<!-- end of scenes -->"
PICTURE = Path(__file__).parent / "images" / "scene-costs.png"
SIZES = (28, 20, 14)
"""How large digits are measured, in pixels."""
TASKS = ("translated-60", "cluttered-60", "cluttered-100", "pairs-100", "sum-100")
PUBLISHED: Mapping[str, tuple[str, str]] = {
    "translated-60": ("1.84 / 1.2 %", "0.94 % (a port of RAM)"),
    "cluttered-60": ("5.23 / 4.04 %", "1.7 % (ST-CNN)"),
    "cluttered-100": ("10.83 / 8.11 %", "3.36 % (DRAW), 1.39 % (DCN)"),
    "pairs-100": ("9 %", "5 % (DRAM)"),
    "sum-100": ("–", "2.5 % (DRAM), 3.2 % (ConvNet)"),
}
"""RAM's errors, of both versions of its paper, and the best others: Mnih et al. 2014, Ba et al. 2015, Gregor et al.
2015, Jaderberg et al. 2015, Almahairi et al. 2016."""
COLUMNS = (
    "preset",
    "with",
    "RAM",
    "best other",
    "ours",
    "validation",
    "parameters",
    "MFLOP",
    "pixels",
    "scenes",
    "time",
)

TICKS = (0.5, 1, 2, 5, 10, 20, 50)
"""Of the picture, in per cent."""
Record = dict[str, Any]


def record(run: Path, root: str | None = None) -> Record:
    """Return what a run measured and what its model costs; with MNIST's folder also on digits of other sizes."""
    found = results.record(run, group=GROUP)
    measured = ("mean", "std")  # of the scenes, by every run alike
    found["overrides"] = {key: value for key, value in found["overrides"].items() if key not in measured}
    if found["start"] and "/" not in found["start"]:  # a run's folder beside this one
        found["start"] = f"runs/{found['start']}"
    found["command"] = results.command(found, run.name)
    model = stawm.load(run / "model.safetensors")
    found["cost"] = cost(model)
    if root is not None:
        found["by_digit_size"] = by_digit_size(model, root, found.get("data_fields", {}))
    return found


def cost(model: Model) -> Record:
    """Return parameters, MFLOP and pixels that networks are given, the last two after each number of glimpses."""
    config: Any = model.config
    counts = [None] if config.glimpses is None else range(1, config.glimpses + 1)
    image, still = torch.zeros(1, *config.image), copy.deepcopy(model).requires_grad_(False)
    flops, pixels = [], []
    for count in counts:
        with evaluating(still), FlopCounterMode(display=False) as counter:
            still(image) if count is None else still(image, glimpses=count)
        flops.append(round(counter.get_total_flops() / 1e6, 2))
        pixels.append(seen(config, count))
    return {"parameters": sum(p.numel() for p in model.parameters()), "mflop": flops, "pixels": pixels}


def seen(config: Any, glimpses: int | None) -> int:
    """Return how many pixels networks are given: those of the image, or of thumbnail and views."""
    whole = config.image[1] * config.image[2]
    if glimpses is None:  # a spatial transformer sees its view beside the image
        return whole + (getattr(config.backbone, "view", None) or 0) ** 2
    context = 0
    if getattr(config, "context", None) is not None:
        context = config.context_size**2 if config.context_size else whole
    if getattr(config, "locator", None) is None:
        return glimpses * whole
    return context + glimpses * config.locator.scales * config.glimpse_size**2


def by_digit_size(model: Model, root: str, fields: Mapping[str, Any]) -> dict[str, float]:
    """Return the error on test scenes whose digits all have one size."""
    found = {}
    for size in SIZES:
        how = {**fields, "digit_size": (size, size), "scenes": None}
        test = data.load(f"clutter:{root}", image=model.config.image, **how).test
        found[str(size)] = evaluate(model, test).error
    return found


def task_of(one: Record) -> str:
    """Return the task of a record's preset, which its name ends with."""
    return next(task for task in TASKS if one["preset"].partition(".")[0].endswith(f"-{task}"))


def text(records: Sequence[Record]) -> str:
    """Return tables and commands as Markdown."""
    if not records:
        return "There are no runs yet.\n"
    ordered = sorted(records, key=_place)
    sized = [one for one in ordered if "by_digit_size" in one]
    looking = [one for one in ordered if one["cost"]["mflop"][1:]]
    parts = [results._pipes([COLUMNS, *map(_row, ordered)])]
    if sized:
        parts.append(f"Error where all digits have one size:\n\n{_sizes(sized)}")
    if looking:
        parts.append(f"Error and cost by number of glimpses:\n\n{_glimpses(looking)}")
    return "\n".join([*parts, "```sh\n" + "\n".join(one["command"] for one in ordered) + "\n```\n"])


def _place(one: Record) -> tuple[int, bool, bool, str]:
    return TASKS.index(task_of(one)), not one["preset"].startswith("stawm-"), not is_plain(one), one["command"]


def _row(one: Record) -> list[str]:
    costs, (low, high) = one["cost"], one["evaluation"]["interval"]
    return [
        *_name(one),
        *(PUBLISHED[task_of(one)] if is_plain(one) else ("", "")),
        f"{_percent(one['evaluation']['error'])} ({100 * low:.2f} to {100 * high:.2f})",
        _percent(one["held_out"]["error"]) if one["held_out"] else "",
        f"{costs['parameters']:,}",
        f"{costs['mflop'][-1]:.1f}",
        f"{costs['pixels'][-1]:,}",
        f"{learned_from(one):,}",
        results._time(one["seconds"]),
    ]


def _sizes(records: Sequence[Record]) -> str:
    rows = [[*_name(one), *map(_percent, one["by_digit_size"].values())] for one in records]
    return results._pipes([["preset", "with", *(f"{size} pixels" for size in SIZES)], *rows])


def _glimpses(records: Sequence[Record]) -> str:
    most = max(len(one["cost"]["mflop"]) for one in records)
    rows = [["preset", "with", *map(str, range(1, most + 1))]]
    for one in records:
        pairs = zip(one["evaluation"]["error_by_glimpse"], one["cost"]["mflop"], strict=True)
        cells = [f"{_percent(error)}, {mflop:.1f} MFLOP" for error, mflop in pairs]
        rows.append([*_name(one), *cells, *[""] * (most - len(cells))])
    return results._pipes(rows)


def is_plain(one: Record) -> bool:
    """Whether a record is of a preset that looks, as it is."""
    return (
        one["preset"].startswith("stawm-") and not one["overrides"] and "digit_size" not in one.get("data_fields", {})
    )


def learned_from(one: Record) -> int:
    """Return how many scenes a run saw."""
    held = one["held_out"]["images"] if one["held_out"] else 0
    return one["epochs"] * one.get("data_fields", {}).get("scenes", 60_000 - held)


def draw(records: Sequence[Record], path: Path = PICTURE) -> None:
    """Draw error against MFLOP and against pixels: a line over the glimpses, a point for each CNN."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot, ticker

    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
    colours: dict[str, str] = dict(zip(TASKS, ("#4477aa", "#66ccee", "#228833", "#ccbb44", "#ee6677"), strict=True))
    for axis, key, words in zip(axes, ("mflop", "pixels"), ("MFLOP", "pixels that networks are given"), strict=True):
        for one in records:
            errors = one["evaluation"].get("error_by_glimpse") or [one["evaluation"]["error"]]
            percent = [100 * error for error in errors]
            plain, colour = one["preset"].startswith("cnn"), colours[task_of(one)]
            if plain:
                axis.plot(one["cost"][key], percent, "s", color=colour, markersize=7, fillstyle="none")
            elif is_plain(one):
                axis.plot(one["cost"][key], percent, "o-", color=colour, markersize=4, label=task_of(one))
        axis.set(xlabel=words, yscale="log", xlim=(0, None))
        axis.set_yticks(TICKS, map(str, TICKS))
        axis.yaxis.set_minor_locator(ticker.NullLocator())
        axis.grid(alpha=0.3, which="both", linewidth=0.5)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("error, %")
    axes[1].legend(frameon=False, fontsize=8, title="lines: by glimpse; squares: CNN", title_fontsize=8)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=110)


def known(folder: Path = results.RECORDS) -> list[Record]:
    """Return the records of runs on scenes."""
    read = (json.loads(file.read_text()) for file in sorted(folder.glob("*.json")))
    return [one for one in read if one["group"] == GROUP]


def write(page: Path = results.PAGE, folder: Path = results.RECORDS) -> str:
    """Return the page with what it says of scenes made anew."""
    return results.between(page, START, END, text(known(folder)))


def _percent(share: float) -> str:
    return f"{share:.2%}".replace("%", " %")


def _name(one: Record) -> list[str]:
    """Return the preset, and what was changed of it."""
    start, fields = one["start"], one.get("data_fields", {})
    said = [f"from `{start.removesuffix('/model.safetensors')}`"] if start else []
    said += [
        f"`data.{key}={results._value(value)}`" for key, value in fields.items() if key in ("digit_size", "overlap")
    ]
    said += [f"`{key}={results._value(value)}`" for key, value in one["overrides"].items()]
    said += ["with augmentation"] * any(key.startswith("augmentation") for key in one.get("recipe_changes", {}))
    return [f"`{one['preset']}`", ", ".join(said)]


def main() -> None:
    """Take records of the runs that are given, and write page and picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN_FOLDER")
    parser.add_argument("--command", help="what made the run, where it was not stawm train")
    parser.add_argument("--sizes", metavar="ROOT", help="MNIST's folder: also measure digits of other sizes")
    args = parser.parse_args()
    for run in args.runs:
        found = record(run, args.sizes)
        if args.command:
            found |= {"command": args.command, "overrides": {**found["overrides"], "gaze": "random"}}
        (results.RECORDS / f"{run.name}.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    results.PAGE.write_text(write())
    draw(known())


if __name__ == "__main__":
    main()
