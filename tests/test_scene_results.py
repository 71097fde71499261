"""What the page of results says of scenes is what the records give."""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import stawm

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture
def scenes(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(DOCS)
    return importlib.import_module("scenes")


def made_up(preset: str, **changes: Any) -> dict[str, Any]:
    """A record of no run."""
    errors = {"error": 0.02, "interval": [0.01, 0.03]}
    by_glimpse = {"error_by_glimpse": [0.5, 0.02]} if preset.startswith("stawm") else {}
    plain = {
        "group": "scenes",
        "preset": preset,
        "overrides": {},
        "data_fields": {"scenes": 1000},
        "start": None,
        "epochs": 3,
        "seconds": 60,
        "evaluation": {**errors, **by_glimpse},
        "held_out": {"images": 2000, "error": 0.01},
        "cost": {
            "parameters": 1234,
            "mflop": [1.0, 2.0][: len(by_glimpse) + 1],
            "pixels": [720, 864][: len(by_glimpse) + 1],
        },
        "command": f"stawm train {preset}",
    }
    return plain | changes


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_page_is_what_the_records_give(scenes: ModuleType):
    assert scenes.results.PAGE.read_text() == scenes.write(), "run: python docs/scenes.py"


def test_each_run_is_a_row_beside_what_was_published(scenes: ModuleType):
    records = [made_up("cnn-pairs-100"), made_up("stawm-pairs-100"), made_up("stawm-translated-60")]
    shifted = made_up(
        "stawm-translated-60", data_fields={"digit_size": [12, 28]}, by_digit_size={"28": 0.01, "20": 0.02}
    )
    found = rows(scenes.text([*records, shifted]))
    assert [row[0] for row in found[:4]] == [
        "`stawm-translated-60`",
        "`stawm-translated-60`",
        "`stawm-pairs-100`",
        "`cnn-pairs-100`",
    ]
    assert found[0][2:] == [
        "1.84 / 1.2 %",
        "0.94 % (a port of RAM)",
        "2.00 % (1.00 to 3.00)",
        "1.00 %",
        "1,234",
        "2.0",
        "864",
        "3,000",
        "1 min",
    ]
    assert found[1][1:4] == ["`data.digit_size=[12,28]`", "", ""]
    assert found[1][-2] == "174,000", "one for each of the 58,000 digits that are learned from"
    assert found[4][2:] == ["1.00 %", "2.00 %"]
    assert found[5][2:] == ["50.00 %, 1.0 MFLOP", "2.00 %, 2.0 MFLOP"]


@pytest.mark.parametrize(("preset", "glimpses"), [("stawm-cluttered-60", 2), ("cnn-cluttered-60", None)])
def test_cost_grows_by_the_same_with_each_glimpse(scenes: ModuleType, preset: str, glimpses: int | None):
    model = stawm.build(preset, seed=0, **({} if glimpses is None else {"glimpses": glimpses}))
    found = scenes.cost(model)
    assert found["parameters"] == sum(p.numel() for p in model.parameters())
    assert len(found["mflop"]) == len(found["pixels"]) == (glimpses or 1)
    assert found["pixels"] == ([60 * 60] if glimpses is None else [24**2 + n * 3 * 12**2 for n in (1, 2)])
