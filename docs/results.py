"""Make the tables of docs/results.md from what training runs measured.

``python docs/results.py RUN_FOLDER ...`` takes a record of each run (docs/results/NAME.json, NAME being the folder's)
from its checkpoint and its log, then writes the tables. Without folders it writes the tables from the records.
"""

import argparse
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import stawm
from stawm.training import recipes

PAGE = Path(__file__).with_suffix(".md")
RECORDS = Path(__file__).with_suffix("")
START, END = "<!-- tables: docs/results.py -->", "<!-- end of tables -->"
GROUPS = ("classification", "drawing", "memory against memory", "ablation", "figure-ground")
SCENES = "scenes"
"""A group whose tables docs/scenes.py makes."""
PAPER = {
    "stawm-mnist-8": "0.41 % ± 0.03",
    "stawm-mnist-28": "0.35 % ± 0.02",
    "stawm-mnist-selfsup": "0.77 %",
    "stawm-mnist-sketchpad": "1.0 %",
    "stawm-cifar-mnv2": "6.95 %",
    "stawm-cifar-draw-16": "MSE 0.0083",
    "stawm-cifar-selfsup": "55.40 %",
    "bvae-cifar": "MSE 0.0113",
    "draw-mnist": "at most 80.97 nats",
    "draw-mnist-no-attention": "at most 87.40 nats",
}
"""The paper's figures, as errors; of DRAW those of Gregor et al. 2015."""
DATA = {
    "clutter:ROOT": "[scenes](scenes.md)",
    "mnist:ROOT": "MNIST",
    "fashion-mnist:ROOT": "Fashion-MNIST",
    "cifar10:ROOT": "CIFAR-10",
    "folder:cifar10-jpeg": "CIFAR-10 (JPEG copy)",
    "figure-ground:ROOT,cifar10-jpeg": "MNIST on CIFAR-10 (JPEG copy)",
}
SAME = (
    "group",
    "preset",
    "overrides",
    "recipe",
    "recipe_changes",
    "data",
    "data_fields",
    "train_images",
    "epochs",
    "hardware",
    "precision",
    "start",
    "options",
)
"""What runs have in common that only differ by their seed."""

Record = Mapping[str, Any]


def record(run: Path, *, group: str | None = None, hardware: str | None = None) -> dict[str, Any]:
    """Return what a finished run measured, and what made it.

    Args:
        run: The folder that `stawm.training.train` wrote.
        group: The experiment that it belongs to; told from what was changed where left out.
        hardware: What it ran on, where the run does not say it.
    """
    info = stawm.inspect(run / "model.safetensors")
    note, preset = info.provenance, info.config.name
    history = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    draws = info.config.head("drawing") is not None
    own = recipes.find(note["recipe"]["name"], preset, draws=draws).to_dict()
    found = {
        "preset": asked_for(preset, note["recipe"]["name"]),
        "overrides": overrides(info.config.to_dict(), preset),
        "recipe": note["recipe"]["name"],
        "recipe_changes": changes(own, {key: value for key, value in note["recipe"].items() if key in own}),
        "data": note["data"],
        **({"data_fields": note["data_fields"]} if note.get("data_fields") else {}),
        "train_images": note.get("train_images"),
        "seed": note["seed"],
        "precision": note["precision"],
        "start": note.get("start"),
        "options": options(note, frozen=getattr(info.config, "trainable", None) == "readout"),
        "epochs": len(history),
        "seconds": round(sum(entry["seconds"] for entry in history)),
        "hardware": hardware or note.get("hardware") or "not noted",
        "torch": info.versions.get("torch"),
        "stawm": info.version,
        "sha256": info.sha256,
        "evaluation": note["test"],
        "held_out": {"images": note["validation"], **measured(history[-1])} if note.get("validation") else None,
    }
    return {"group": group or guess_group(found), **found, "command": command(found, run.name)}


def asked_for(trained: str, recipe: str) -> str:
    """Return the preset to ask for, with a recipe, to train one: of a variant that the recipe trains its preset."""
    asked = trained.partition(".")[0]
    return asked if recipes.trained_preset(recipe, asked) == trained else trained


def overrides(config: Mapping[str, Any], preset: str) -> dict[str, Any]:
    """Return in what a model differs from what its preset is."""
    plain = stawm.config(preset).to_dict()
    parts = [key for key, value in config.items() if isinstance(value, dict) and "name" in value]
    swapped = {key: config[key]["name"] for key in parts if (plain[key] or {}).get("name") != config[key]["name"]}
    return swapped | changes(stawm.config(preset, **swapped).to_dict(), config)


def changes(plain: Mapping[str, Any], changed: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the fields that differ, by dotted keys."""
    found = {}
    for key, value in changed.items():
        before = plain.get(key)
        if key == "heads" and list(_by_label(value)) == list(_by_label(before or ())):
            value, before = _by_label(value), _by_label(before or ())
        if isinstance(value, dict) and isinstance(before, dict):
            found |= changes(before, value, f"{prefix}{key}.")
        elif value != before:
            found[prefix + key] = value
    return found


def _by_label(heads: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {head.get("label") or head["name"]: head for head in heads}


def guess_group(found: Record) -> str:
    """Return the experiment that a run is of, told from what was changed."""
    if found["data"].startswith("figure-ground"):
        return "figure-ground"
    if found["data"].startswith("clutter"):
        return SCENES
    if set(found["overrides"]) == {"memory"}:
        return "memory against memory"
    if found["overrides"] or set(found["recipe_changes"]) - {"epochs"}:
        return "ablation"
    return "classification" if "error" in found["evaluation"] else "drawing"


def measured(entry: Record) -> dict[str, Any]:
    """Return what an entry of the log says of how good the model is."""
    return {key: entry[key] for key in ("error", "mse", "bound") if key in entry}


def options(note: Record, *, frozen: bool) -> list[str]:
    """Return the options of `stawm train` that only some runs need."""
    passes, usual = note.get("transfer_passes"), int(frozen and note["recipe"]["name"] != "paper")
    more = ["--train-images", str(note["train_images"])] if note.get("train_images") else []
    more += [] if passes in (None, usual) else ["--transfer-passes", str(passes)]
    share, rule = note.get("held_out", 0.2), note.get("resize")
    more += [] if share == 0.2 else ["--held-out", str(share)]
    more += [f"--{switch}" for switch in ("partial", "compile") if note.get(switch)]
    return more + (["--resize", rule] if isinstance(rule, str) else ["--resize"] if rule else [])


def command(found: Record, name: str) -> str:
    """Return the command that makes a run anew."""
    words = ["stawm", "train", found["preset"], "--data", found["data"], "--out", f"runs/{name}"]
    words += ["--recipe", found["recipe"]] if found["recipe"] != "fast" else []
    words += ["--seed", str(found["seed"])]
    words += ["--precision", found["precision"]] if found["precision"] != "fp32" else []
    words += ["--start", found["start"]] if found["start"] else []
    words += ["--validation", str(found["held_out"]["images"])] if found["held_out"] else []
    words += found["options"]
    kept = {key: value for key, value in found["overrides"].items() if key != "resize"}  # an option says it
    fields = {f"data.{key}": value for key, value in found.get("data_fields", {}).items()} | kept
    fields |= {f"recipe.{key}": value for key, value in found["recipe_changes"].items()}
    return shlex.join(words + [f"{key}={_value(value)}" for key, value in fields.items()])


def tables(records: Sequence[Record]) -> str:
    """Return the tables of all experiments as Markdown."""
    if not records:
        return "There are no runs yet.\n"
    parts = []
    for group in [*GROUPS, *sorted({r["group"] for r in records} - set(GROUPS))]:
        runs = [seeds for seeds in over_seeds(records) if seeds[0]["group"] == group]
        if runs:
            parts.append(f"### {group.capitalize()}\n\n{_table(runs)}")
    classifying = [seeds for seeds in over_seeds(records) if seeds[0]["group"] == "classification"]
    by_glimpse = [seeds for seeds in classifying if "error_by_glimpse" in seeds[0]["evaluation"]]
    if by_glimpse:
        parts.append(f"### Error by number of glimpses\n\n{_glimpses(by_glimpse)}")
    parts.append("### Commands\n\n```sh\n" + "\n".join(r["command"] for r in records) + "\n```\n")
    return "\n".join(parts)


def over_seeds(records: Iterable[Record]) -> list[list[Record]]:
    """Put runs together that only differ by their seed."""
    found: dict[str, list[Record]] = {}
    for one in records:
        found.setdefault(json.dumps([one.get(key) for key in SAME]), []).append(one)
    return [sorted(seeds, key=lambda one: one["seed"]) for seeds in found.values()]


def write(page: Path = PAGE, records: Path = RECORDS) -> str:
    """Return the page with its tables made anew."""
    known = [json.loads(file.read_text()) for file in sorted(records.glob("*.json"))]
    known = [one for one in known if one["group"] != SCENES]
    return between(page, START, END, tables(known))


def between(page: Path, start: str, end: str, text: str) -> str:
    """Return a page with a text in place of what stands between two lines."""
    whole = page.read_text()
    if whole.count(start) != 1 or whole.count(end) != 1 or whole.index(start) > whole.index(end):
        raise SystemExit(f"{page} lacks the lines {start!r} and {end!r}, between which the tables are written.")
    return f"{whole.partition(start)[0]}{start}\n\n{text}\n{end}{whole.partition(end)[2]}"


def _table(runs: Sequence[Sequence[Record]]) -> str:
    held_out = any(seeds[0]["held_out"] for seeds in runs)
    heading = ["preset", "with", "data", "paper", "ours", *(["held-out training images"] if held_out else [])]
    heading += ["seeds", "epochs", "hardware", "time"]
    rows = []
    for seeds in runs:
        one = seeds[0]
        row = [f"`{one['preset']}`", _changed(one), _data(one), _paper(one)]
        row.append(_figures([r["evaluation"] for r in seeds]))
        if held_out:
            row.append(_figures([r["held_out"] or {} for r in seeds]))
        hardware = one["hardware"] + ("" if one["precision"] == "fp32" else f", {one['precision']}")
        row += [", ".join(str(r["seed"]) for r in seeds), str(one["epochs"]), hardware]
        rows.append([*row, _time(mean(r["seconds"] for r in seeds))])
    return _pipes([heading, *rows])


def _glimpses(runs: Sequence[Sequence[Record]]) -> str:
    most = max(len(seeds[0]["evaluation"]["error_by_glimpse"]) for seeds in runs)
    rows = [["preset", "with", *[str(glimpse) for glimpse in range(1, most + 1)]]]
    for seeds in runs:
        errors = zip(*(r["evaluation"]["error_by_glimpse"] for r in seeds), strict=True)
        cells = [f"{mean(each):.2%}".replace("%", " %") for each in errors]
        rows.append([f"`{seeds[0]['preset']}`", _changed(seeds[0]), *cells, *[""] * (most - len(cells))])
    return _pipes(rows)


def _figures(evaluations: Sequence[Record]) -> str:
    """What was measured: the mean over seeds, and its range where there are several."""
    masks = [e["masks"] for e in evaluations if e.get("masks")]
    parts = [
        _spread([e["error"] for e in evaluations if "error" in e], "{:.2%}"),
        _spread([e["mse"] for e in evaluations if "mse" in e], "MSE {:.4f}"),
        _spread([e["bound"] for e in evaluations if "bound" in e], "at most {:.2f} nats"),
        *(
            _spread([m[way] for m in masks], f"{way} IoU {{:.3f}}")
            for way in ("learned", "constant", "brightness", "clusters")
            if all(way in m for m in masks)
        ),
    ]
    return ", ".join(part for part in parts if part).replace("%", " %")


def _spread(values: Sequence[float], form: str) -> str:
    if not values:
        return ""
    number = form[form.index("{") :]
    between = f" ({number.format(min(values))} to {number.format(max(values))})" if len(values) > 1 else ""
    return form.format(mean(values)) + between


def _changed(one: Record) -> str:
    fields = {f"data.{key}": value for key, value in one.get("data_fields", {}).items()} | one["overrides"]
    fields |= {f"recipe.{key}": value for key, value in one["recipe_changes"].items()}
    words = [] if one["recipe"] == "fast" else [f"recipe {one['recipe']}"]
    words += [f"from `{one['start'].removesuffix('/model.safetensors')}`"] if one["start"] else []
    return ", ".join(words + [f"`{key}={_value(value)}`" for key, value in fields.items() if key != "recipe.epochs"])


def _data(one: Record) -> str:
    some = f", its first {one['train_images']:,} images" if one["train_images"] else ""
    return DATA.get(one["data"], one["data"]) + some


def _paper(one: Record) -> str:
    as_printed = not one["overrides"] and one["group"] in ("classification", "drawing")
    return PAPER.get(one["preset"], "–") if as_printed else "–"


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _time(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else f"{seconds:.0f} s"


def _pipes(rows: Sequence[Sequence[str]]) -> str:
    heading, *body = ["| " + " | ".join(cell or " " for cell in row) + " |" for row in rows]
    return "\n".join([heading, "|" + " --- |" * len(rows[0]), *body]) + "\n"


def main() -> None:
    """Take records of the runs that are given, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN_FOLDER")
    parser.add_argument("--group", help=f"the experiment: {', '.join(GROUPS)}, or another (default: told by changes)")
    parser.add_argument("--hardware", help="what the runs were made on, where they do not say it")
    args = parser.parse_args()
    RECORDS.mkdir(exist_ok=True)
    for run in args.runs:
        found = record(run, group=args.group, hardware=args.hardware)
        (RECORDS / f"{run.name}.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    PAGE.write_text(write())


if __name__ == "__main__":
    main()
