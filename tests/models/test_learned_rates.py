"""The table of docs/memories.md on what learned rates became is of the weights that ship."""

import re
from pathlib import Path

import pytest

import stawm
from stawm.models.diagnosis import rates_of

PAGE = (Path(__file__).parents[2] / "docs" / "memories.md").read_text(encoding="utf-8")
ROWS = re.findall(
    r"^\| `([\w-]+)` \| (\d+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", PAGE, flags=re.MULTILINE
)


def test_the_table_has_all_weights_that_ship() -> None:
    assert [row[0] for row in ROWS] == ["stawm-mnist-8", "stawm-mnist-draw-6", "stawm-mnist-sketchpad"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_rates_are_those_of_the_weights(row: tuple[str, ...]) -> None:
    model = stawm.build(row[0], pretrained=True)
    rates, glimpses = rates_of(model.memory), model.config.glimpses
    assert glimpses is not None
    found = [*(rates[name] for name in ("delta", "eta", "theta")), (1 - rates["delta"]) ** (glimpses - 1)]
    assert (str(glimpses), *(f"{value:.3f}" for value in found)) == row[1:]
    start = 0.8 ** (glimpses - 1)
    assert f"{start:.3f}" in PAGE
