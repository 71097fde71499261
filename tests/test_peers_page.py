"""The tables that set STAWM beside its peers are what the records give."""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import stawm

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(DOCS)
    return importlib.import_module("peers")


def made_up(preset: str, error: float = 0.02, **changes: Any) -> dict[str, Any]:
    """A record of no run."""
    plain = {
        "group": "scenes",
        "preset": preset,
        "overrides": {},
        "data_fields": {"pieces": 8},
        "start": None,
        "evaluation": {"error": error, "interval": [0.01, 0.03]},
        "held_out": {"images": 2000, "error": 0.01},
        "cost": {"parameters": 1234, "mflop": [1.0, 2.0], "pixels": [144, 288]},
        "command": f"stawm train {preset}",
    }
    return plain | changes


def test_the_page_is_what_the_records_give(peers: ModuleType):
    assert peers.results.PAGE.read_text() == peers.write(), "run: python docs/peers.py"


def test_models_stand_in_one_order_each_beside_what_was_published(peers: ModuleType):
    names = ("cnn", "ram-cnn", "draw", "ram", "stawm")
    records = [made_up(f"{name}-cluttered-100") for name in names] + [
        made_up("stawm-cluttered-100", 0.5, overrides={"gaze": "random"}),
        made_up("stawm-cluttered-100", data_fields={"digit_size": [12, 28]}),
        made_up("stn-cluttered-60"),
    ]
    written = peers.text(records)
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in written.splitlines() if "`" in line]
    assert [(row[0], row[3]) for row in lines] == [
        ("STN", "1.7 %"),
        ("STAWM", ""),
        ("STAWM", ""),
        ("RAM", "10.83 / 8.11 %"),
        ("DRAW's reader", "3.36 %"),
        ("CNN of RAM's paper", "16.51 / 14.35 %"),
        ("CNN, ours", ""),
    ]
    assert lines[2][2] == "`gaze=random`"
    assert lines[4][4:] == ["2.00 % (1.00 to 3.00)", "1.00 %", "1,234", "2.0", "288"]
    assert written.index("### cluttered-60") < written.index("### cluttered-100")


@pytest.mark.parametrize(
    ("preset", "pixels"),
    [
        ("draw-cluttered-100", [144 * n for n in range(1, 9)]),
        ("stn-cluttered-60", [60 * 60 + 28 * 28]),
        ("ram-cnn-cluttered-60", [60 * 60]),
    ],
)
def test_pixels_are_those_that_networks_are_given(peers: ModuleType, preset: str, pixels: list[int]):
    config: Any = stawm.config(preset)
    counts = [None] if config.glimpses is None else range(1, config.glimpses + 1)
    assert [peers.scenes.seen(config, count) for count in counts] == pixels


def test_every_preset_of_scenes_has_a_place_in_a_table(peers: ModuleType):
    tasks = peers.scenes.TASKS
    presets = [name for name in stawm.list_names("preset", origin="stawm") if name.endswith(tasks)]
    assert len(presets) >= 15
    assert all(peers.is_comparable(made_up(name)) for name in presets)
