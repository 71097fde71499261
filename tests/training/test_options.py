"""The options of a run: what is legal, what is said of them, and which decide its numbers."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from stawm.cli.parser import option
from stawm.configuration import describe_hint, field_hints, field_meanings
from stawm.errors import ConfigError
from stawm.training.options import NAMES, RunOptions
from stawm.training.recipes import Recipe
from stawm.training.trainer import MODEL_FIELDS

PAGE = Path(__file__).parents[2] / "docs" / "training.md"
OTHERS: dict[str, Any] = {
    "seed": 1,
    "precision": "bf16",
    "validation": 2,
    "train_images": 3,
    "start": Path("m.safetensors"),
    "partial": True,
    "transfer_passes": 4,
    "save_every": 0.5,
    "pictures": 6,
    "compile": True,
    "capture": True,
    "resize": True,
    "held_out": 0.3,
    "download": True,
    "cpu": True,
    "inexact": True,
    "quiet": True,
}
"""A value of each option that is not the usual one."""


def table() -> str:
    """The options as the page on training shows them."""
    hints, meanings, usual = field_hints(RunOptions), field_meanings(RunOptions), RunOptions()
    rows = [
        f"| `{option(name)}` | `{getattr(usual, name)}` | {describe_hint(hints[name])} | {meanings[name]} |"
        for name in NAMES
    ]
    return "\n".join(["| option | usual | legal | what it means |", "| --- | --- | --- | --- |", *rows, ""])


def test_the_page_on_training_shows_the_options():
    assert table() in PAGE.read_text(), f"put this table into {PAGE.name}:\n{table()}"


def test_every_option_has_another_value_here_and_says_what_it_means():
    assert set(OTHERS) == set(NAMES) == {key for key in field_hints(RunOptions) if key != "name"}
    assert all(field_meanings(RunOptions)[name] for name in NAMES)
    assert all(getattr(RunOptions(), name) != value for name, value in OTHERS.items())


@pytest.mark.parametrize("name", OTHERS)
def test_whatever_decides_the_numbers_is_noted(name: str):
    """What leaves the numbers alone is listed by hand: an option that is added is noted until it is listed too."""
    noted = RunOptions(**{name: OTHERS[name]}).note() != RunOptions().note()
    assert noted == (name not in {"save_every", "pictures", "download", "cpu", "capture", "inexact", "quiet"})


def test_a_note_is_json():
    note = RunOptions(**OTHERS).note()
    assert json.loads(json.dumps(note)) == note
    assert note["start"] == "m.safetensors"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("seed", [-1, 2**32, 1.5, True, None, "1"]),
        ("precision", ["fp16", None, 32]),
        ("validation", [-5, 1.0, None]),
        ("train_images", [0, -1, 2.5, True]),
        ("start", [3, True, b"m"]),
        ("transfer_passes", [-1, 1.5, False]),
        ("save_every", [-1, True, math.inf, math.nan, None]),
        ("pictures", [True, -1, 0.5]),
        *(
            (name, [1, "yes", None])
            for name in ("partial", "compile", "capture", "resize", "download", "cpu", "inexact", "quiet")
        ),
        ("resize", ["stretch", 0, "CROP"]),
        ("held_out", [0, 1, 1.5, -0.1, math.nan, True]),
    ],
)
def test_what_is_not_legal(name: str, values: list[Any], unchecked: None):
    for value in values:
        with pytest.raises(ConfigError, match=rf"options: {name} must be .*; got {value!r}\.".replace("(", r"\(")):
            RunOptions(**{name: value})


def test_bounds_are_legal():
    RunOptions(seed=0, validation=0, train_images=1, transfer_passes=0, save_every=0, pictures=0)
    RunOptions(seed=2**32 - 1, save_every=1e9)


def test_no_option_is_called_like_a_field_of_the_model():
    """Both are keywords of `train`."""
    shared = {"resize"}  # the option says whether images are resized, and how; the model keeps how
    assert set(NAMES) & {*MODEL_FIELDS, "recipe", "data", "out", "options", "model"} == shared
    assert "recipe" not in MODEL_FIELDS
    assert not set(field_hints(Recipe)) & {*NAMES, *MODEL_FIELDS} - {"name"}
