"""The page of results: it is what the records give, and a record says what made a run."""

import importlib.util
import json
import shlex
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import stawm
from stawm.cli.parser import parse_overrides
from stawm.training import recipes
from stawm.training.options import NAMES, RunOptions
from stawm.training.trainer import make_plan

ROOT = Path(__file__).parents[1]
SMALL = {"memory_size": 8, "hidden_size": 16}


@pytest.fixture(scope="module")
def results() -> ModuleType:
    spec = importlib.util.spec_from_file_location("results", ROOT / "docs" / "results.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_run(folder: Path, preset: str = "stawm-digits", *, changes: dict[str, Any] | None = None, **note: Any) -> Path:
    """Write what a run leaves behind: a checkpoint with a note, and a log."""
    folder.mkdir(parents=True)
    recipe = recipes.find("fast", preset, **note.pop("recipe_changes", {}))
    model = stawm.build(recipes.trained_preset("fast", preset), seed=0, **(changes or {}))
    test = note.pop("test", {"images": 360, "error": 0.05, "error_by_glimpse": [0.2, 0.05]})
    whole = {"data": "digits", "recipe": recipe.to_dict(), "seed": 0, "precision": "fp32", "test": test, **note}
    stawm.save(model, folder / "model.safetensors", provenance=whole)
    log = [{"epoch": 1, "seconds": 40.4, "error": 0.5}, {"epoch": 2, "seconds": 50.2, "error": 0.06}]
    (folder / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in log))
    return folder


def made_up(**changes: Any) -> dict[str, Any]:
    """A record of no run."""
    plain = {
        "group": "classification",
        "preset": "stawm-mnist-8",
        "overrides": {},
        "recipe": "fast",
        "recipe_changes": {},
        "data": "mnist:ROOT",
        "seed": 0,
        "precision": "fp32",
        "train_images": None,
        "start": None,
        "options": [],
        "epochs": 30,
        "seconds": 5000,
        "hardware": "a machine",
        "evaluation": {"images": 10000, "error": 0.0040, "error_by_glimpse": [0.5, 0.0040]},
        "held_out": None,
        "command": f"stawm train number {changes.get('seed', 0)}",
    }
    return plain | changes


def cells(text: str, first: str) -> list[str]:
    """The cells of the row that begins with a name."""
    (line,) = (line for line in text.splitlines() if line.startswith(f"| `{first}`"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_page_is_what_the_records_give(results: ModuleType):
    assert results.PAGE.read_text() == results.write(), "run: python docs/results.py"


def test_records_name_no_folder_of_a_machine(results: ModuleType):
    for file in results.RECORDS.glob("*.json"):
        assert not any(folder in file.read_text() for folder in ("/tmp", "/home", "/work", "/root"))


def test_a_record_says_what_made_a_run(results: ModuleType, tmp_path: Path):
    found = results.record(make_run(tmp_path / "digits-s3", seed=3, hardware="2 cores"))
    assert (found["preset"], found["seed"], found["epochs"], found["seconds"]) == ("stawm-digits", 3, 2, 91)
    assert (found["overrides"], found["recipe_changes"], found["held_out"]) == ({}, {}, None)
    assert (found["group"], found["hardware"]) == ("classification", "2 cores")
    assert found["evaluation"]["error"] == 0.05
    assert found["command"] == "stawm train stawm-digits --data digits --out runs/digits-s3 --seed 3"
    assert json.loads(json.dumps(found)) == found


def test_a_command_has_all_that_was_changed(results: ModuleType, tmp_path: Path):
    run = make_run(
        tmp_path / "tried",
        changes={"memory": {"name": "fast-weights", "decay": 0.5}, "glimpses": 2, "locator": "crop"},
        recipe_changes={"epochs": 2, "augmentation": {"shear": 3.5}},
        data="folder:pictures",
        precision="bf16",
        validation=100,
        train_images=500,
        start="runs/before/model.safetensors",
    )
    found = results.record(run)
    assert found["overrides"] == {"memory": "fast-weights", "locator": "crop", "glimpses": 2, "memory.decay": 0.5}
    assert found["recipe_changes"] == {"epochs": 2, "augmentation.shear": 3.5}
    assert found["held_out"] == {"images": 100, "error": 0.06}
    assert found["group"] == "ablation"
    words = found["command"].split()
    assert words[:7] == ["stawm", "train", "stawm-digits", "--data", "folder:pictures", "--out", "runs/tried"]
    assert " --start runs/before/model.safetensors --validation 100 --train-images 500 " in found["command"]
    assert {"memory=fast-weights", "memory.decay=0.5", "recipe.epochs=2", "recipe.augmentation.shear=3.5"} <= set(words)
    assert "somewhere" not in json.dumps(found)


def test_the_command_of_a_record_gives_the_model_of_the_run(results: ModuleType, tmp_path: Path):
    """What it changes, with what the recipe changes, leads from the preset to the run's configuration."""
    changes = {"heads": {"classification": {"dropout": 0.25}}, "where": "rnn", "memory_size": 8, "hidden_size": 16}
    for preset in ("stawm-digits", "stawm-mnist-8"):
        run = make_run(tmp_path / preset, preset, changes=changes)
        _, _, asked, *_, heads, where, memory, hidden = shlex.split(results.record(run)["command"])
        given = parse_overrides([heads, where, memory, hidden])
        assert (asked, heads) == (preset, "heads.classification.dropout=0.25")
        assert make_plan(asked, "fast", None, given).config == stawm.inspect(run / "model.safetensors").config


def test_a_record_says_where_a_run_undid_what_the_recipe_trains(results: ModuleType, tmp_path: Path):
    run = make_run(tmp_path / "run", "stawm-mnist-8", changes={**SMALL, "memory.constrained": False})
    found = results.record(run)
    assert found["preset"] == "stawm-mnist-8"
    assert found["overrides"] == {**SMALL, "memory.constrained": False}
    assert "memory.constrained=false" in found["command"].split()


def test_a_variant_that_no_recipe_asks_for_keeps_its_name(results: ModuleType):
    assert results.asked_for("stawm-mnist-8.fast", "fast") == "stawm-mnist-8"
    assert results.asked_for("stawm-mnist-8.fast", "paper") == "stawm-mnist-8.fast"
    assert results.asked_for("stawm-digits", "fast") == "stawm-digits"


def test_fields_that_recipes_had_before_are_passed_over(results: ModuleType, tmp_path: Path):
    recipe = recipes.find("fast", "stawm-digits").to_dict() | {
        "memory": {"x": 1},
        "model": {"dropout": 0.4},
        "rate": 0.5,
    }
    assert results.record(make_run(tmp_path / "run", recipe=recipe))["recipe_changes"] == {"rate": 0.5}


UNUSUAL: dict[str, Any] = {
    "seed": 3,
    "precision": "bf16",
    "validation": 100,
    "train_images": 500,
    "start": "runs/before/model.safetensors",
    "partial": True,
    "transfer_passes": 4,
    "compile": True,
    "resize": "squeeze",
    "held_out": 0.5,
}


@pytest.mark.parametrize("option", sorted(set(NAMES) - RunOptions.without_effect))
def test_whatever_decides_a_runs_numbers_is_in_its_command(results: ModuleType, tmp_path: Path, option: str):
    words = shlex.split(results.record(make_run(tmp_path / "run", **{option: UNUSUAL[option]}))["command"])
    assert f"--{option.replace('_', '-')}" in words
    assert UNUSUAL[option] is True or str(UNUSUAL[option]) in words


@pytest.mark.parametrize(
    ("frozen", "recipe", "passes", "said"),
    [
        (True, "fast", 1, []),
        (True, "fast", 4, ["--transfer-passes", "4"]),
        (True, "fast", 0, ["--transfer-passes", "0"]),
        (True, "paper", 0, []),
        (True, "paper", 1, ["--transfer-passes", "1"]),
        (False, "fast", 0, []),
        (False, "fast", None, []),
    ],
)
def test_options_are_said_where_they_are_not_the_usual(
    results: ModuleType, frozen: bool, recipe: str, passes: int | None, said: list[str]
):
    note = {"recipe": {"name": recipe}, "transfer_passes": passes}
    assert results.options(note, frozen=frozen) == said
    assert results.options({**note, "resize": True}, frozen=frozen) == [*said, "--resize"]
    more = {**note, "resize": "squeeze", "held_out": 0.5}
    assert results.options(more, frozen=frozen) == [*said, "--held-out", "0.5", "--resize", "squeeze"]


@pytest.mark.parametrize(
    ("changes", "group"),
    [
        ({}, "classification"),
        ({"evaluation": {"images": 1, "mse": 0.01}}, "drawing"),
        ({"recipe_changes": {"epochs": 3}}, "classification"),
        ({"overrides": {"memory": "oja"}}, "memory against memory"),
        ({"overrides": {"memory.constrained": False}}, "ablation"),
        ({"recipe_changes": {"average": 0.0}}, "ablation"),
        ({"data": "figure-ground:ROOT,pictures", "overrides": {"canvas": "bernoulli"}}, "figure-ground"),
    ],
)
def test_an_experiment_is_told_from_what_was_changed(results: ModuleType, changes: dict[str, Any], group: str):
    assert results.guess_group(made_up(**changes)) == group


def test_runs_that_differ_by_their_seed_are_one_row(results: ModuleType):
    errors = [0.0041, 0.0038, 0.0044]
    records = [made_up(seed=s, evaluation={"images": 1, "error": e}) for s, e in zip((2, 0, 1), errors, strict=True)]
    text = results.tables([*records, made_up(seed=0, epochs=5, preset="stawm-mnist-28")])
    row = cells(text, "stawm-mnist-8")
    assert row[2:] == [
        "MNIST",
        "0.41 % ± 0.03",
        "0.41 % (0.38 % to 0.44 %)",
        "0, 1, 2",
        "30",
        "a machine",
        "1 h 23 min",
    ]
    assert "stawm train number 2" in text


def test_figures_of_every_kind_have_their_place(results: ModuleType):
    masks = {"learned": 0.5, "by_glimpse": [0.4, 0.5], "constant": 0.2, "brightness": 0.1}
    records = [
        made_up(preset="w"),
        made_up(preset="stawm-mnist-sketchpad", evaluation={"images": 1, "error": 0.01, "mse": 0.02}),
        made_up(preset="stawm-cifar-draw-16", group="drawing", evaluation={"images": 1, "mse": 0.0081}),
        made_up(preset="x", group="figure-ground", evaluation={"images": 1, "mse": 0.1, "masks": masks}),
        made_up(preset="y", group="ablation", overrides={"dropout": 0.1}, held_out={"images": 9, "error": 0.007}),
        made_up(preset="z", group="something else"),
    ]
    text = results.tables(records)
    assert cells(text, "stawm-mnist-sketchpad")[3:5] == ["1.0 %", "1.00 %, MSE 0.0200"]
    assert cells(text, "stawm-cifar-draw-16")[3:5] == ["MSE 0.0083", "MSE 0.0081"]
    assert "MSE 0.1000, learned IoU 0.500, constant IoU 0.200, brightness IoU 0.100" in text
    assert "| `y` | `dropout=0.1` | MNIST | – | 0.40 % | 0.70 % | 0 |" in text
    headings = [line.removeprefix("### ") for line in text.splitlines() if line.startswith("### ")]
    assert headings == [
        *("Classification", "Drawing", "Ablation", "Figure-ground", "Something else"),
        *("Error by number of glimpses", "Commands"),
    ]
    by_glimpse = text.partition("### Error by number of glimpses")[2]
    assert "| `w` |" in by_glimpse
    assert "| `y` |" not in by_glimpse


def test_errors_by_glimpse_are_averaged_over_seeds(results: ModuleType):
    records = [
        made_up(seed=0, evaluation={"error": 0.1, "error_by_glimpse": [0.4, 0.1]}),
        made_up(seed=1, evaluation={"error": 0.3, "error_by_glimpse": [0.6, 0.3]}),
        made_up(preset="longer", evaluation={"error": 0.1, "error_by_glimpse": [0.3, 0.2, 0.1]}),
    ]
    table = results.tables(records).partition("### Error by number of glimpses")[2]
    assert cells(table, "stawm-mnist-8")[2:] == ["50.00 %", "20.00 %", ""]
    assert cells(table, "longer")[2:] == ["30.00 %", "20.00 %", "10.00 %"]


def test_without_records_the_page_says_so(results: ModuleType, tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{results.START}\nold\n{results.END}\nafter\n")
    written = results.write(page, tmp_path / "none")
    assert "There are no runs yet." in written
    assert "old" not in written
    assert written.startswith("before\n")
    assert written.endswith("\nafter\n")
    page.write_text(written)
    assert results.write(page, tmp_path / "none") == written
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "one.json").write_text(json.dumps(made_up()))
    assert "| `stawm-mnist-8` |" in results.write(page, tmp_path / "records")


def test_a_page_without_its_marks_is_refused(results: ModuleType, tmp_path: Path):
    (tmp_path / "page.md").write_text("nothing\n")
    with pytest.raises(SystemExit, match=r"page\.md lacks the lines"):
        results.write(tmp_path / "page.md", tmp_path)
