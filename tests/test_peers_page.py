"""The tables that set STAWM beside its peers are what the records give."""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import stawm
from stawm.training import train
from tests.training.tiny import BRIEF

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


def test_published_figures_stand_beside_what_the_records_give(peers: ModuleType):
    for page in peers.published.PAGES:
        assert page.read_text() == peers.published.write(page), "run: python docs/peers.py"


def rows_of(peers: ModuleType, page: str, records: list[dict[str, Any]]) -> dict[str, str]:
    """Our own cell of each row of a page's tables, by the preset, with a star where glimpses are anywhere."""
    found = {}
    for head, rows in peers.published.PAGES[getattr(peers.published, page)]:
        lines = peers.published.table(head, rows, records).splitlines()[2:]
        for row, line in zip(rows, lines, strict=True):
            found[f"{row.preset}{'*' * row.random}{row.glimpses or ''}"] = line.split("|")[-2].strip()
    return found


def test_every_record_fills_its_own_row(peers: ModuleType):
    errors = {"error": 0.05, "interval": [0.04, 0.06], "error_by_glimpse": [0.5, 0.25, 0.05]}
    nats = {"preset": "draw-mnist", "evaluation": {"mse": 1.0, "bound": 88.123}, "group": "drawing", "overrides": {}}
    records = [
        made_up("ram-mnist"),
        made_up("ram-mnist", 0.03, overrides={"glimpses": 3}),
        made_up("ram-mnist", 0.4, overrides={"glimpses": 1, "policy": "random"}),
        made_up("ram-cluttered-60", evaluation=errors),
        made_up("ram-cluttered-60", 0.14, overrides={"policy": "random"}),
        made_up("ram-cluttered-60", 0.15, overrides={"gaze": "random"}),
        made_up("ram-cluttered-60", 0.9, overrides={"policy": "fixed"}),
        made_up("ram-cluttered-60", 0.9, overrides={"hidden_size": 12}),
        made_up("ram-cluttered-60", 0.9, data_fields={"digit_size": [12, 28]}),
        made_up("ram-cluttered-100"),
        made_up("ram-translated-60"),
        made_up("dram-pairs-100"),
        made_up("draw-cluttered-100"),
        made_up("stn-cluttered-60"),
        nats,
        nats | {"preset": "draw-mnist-no-attention", "evaluation": {"mse": 1.0, "bound": 90.0}},
    ]
    assert rows_of(peers, "PAGE", records) == {
        "ram-mnist(2, 3, 4)": "3.00 with 3 (1.00 to 3.00)",
        "ram-mnist(5, 6, 7)": "2.00 with 6 (1.00 to 3.00)",
        "ram-mnist*(1,)": "40.00 with 1 (1.00 to 3.00)",
        "ram-translated-60": "2.00 with 8 (1.00 to 3.00)",
        "ram-cluttered-60": "5.00 with 8 (4.00 to 6.00; after 1 to 2 of them 50.00, 25.00)",
        "ram-cluttered-60*": "14.00 with 8 (1.00 to 3.00); 15.00 with 8 (1.00 to 3.00)",
        "ram-cluttered-100": "2.00 with 8 (1.00 to 3.00)",
        "ram-cluttered-100*": "–",
        "dram-pairs-100": "2.00 with 4 (1.00 to 3.00)",
    }
    drawn = rows_of(peers, "DRAW_PAGE", records)
    assert (drawn["draw-mnist"], drawn["draw-mnist-no-attention"]) == ("88.12 nats", "90.00 nats")
    assert drawn["stn-cluttered-60"] == "2.00 (1.00 to 3.00)"
    assert drawn["ram-cnn-cluttered-60"] == "–"
    assert peers.results._figures([nats["evaluation"]]) == "MSE 1.0000, at most 88.12 nats"


def test_rams_random_gaze_stands_beside_its_own_published_figure(peers: ModuleType):
    records = [made_up("ram-cluttered-60"), made_up("ram-cluttered-60", 0.14, overrides={"policy": "random"})]
    lines = [line.split("|") for line in peers.text(records).splitlines() if "`ram-" in line]
    assert [line[4].strip() for line in lines] == ["5.23 / 4.04 %", "14.4 %"]


def test_every_preset_that_is_published_is_in_the_catalogue(peers: ModuleType):
    presets = {row.preset for tables in peers.published.PAGES.values() for _, rows in tables for row in rows}
    assert presets <= {*stawm.list_names("preset", origin="stawm")}


def test_a_run_of_ram_becomes_a_record_and_a_row(peers: ModuleType, tmp_path: Path):
    how: dict[str, Any] = {**BRIEF, "data.things": "digits", "data.digit_size": (6, 8), "data.pieces": 1}
    how |= {"data.piece_size": 3, "data.scenes": 16, "recipe.epochs": 1, "hidden_size": 8, "feature_size": 6}
    how |= {"image": (1, 24, 24), "glimpses": 2, "policy": "random"}
    train("ram-cluttered-60", data="clutter", out=tmp_path / "run", **how)
    found = peers.record(tmp_path / "run")
    assert found["group"] == "scenes"
    assert peers.published.is_random(found)
    assert found["cost"]["pixels"] == [3 * 144, 6 * 144]
    assert len(found["evaluation"]["error_by_glimpse"]) == len(found["cost"]["mflop"]) == 2
    found["data_fields"].pop("digit_size")
    assert "| RAM | `ram-cluttered-60` |" in peers.text([found])
    assert "`policy=random`" in peers.scenes.text([found])


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
