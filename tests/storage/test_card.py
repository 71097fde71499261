"""The cards of models: made of what stands in the file, current, and of any provenance."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stawm
from stawm.storage.card import card
from stawm.storage.shipped import shipped_names, shipped_weights
from tools import cards

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
KEYS = ("data", "seed", "recipe", "test", "start", "start_sha256", "validation", "what\never")
LOAD = 'stawm.build("x")'


def test_the_cards_of_what_ships_are_current() -> None:
    """If not: python tools/cards.py."""
    assert cards.stale() == []


@pytest.mark.parametrize("name", shipped_names())
def test_a_card_says_what_the_file_says(name: str) -> None:
    text = (cards.FOLDER / f"{name}.md").read_text()
    noted = stawm.inspect(shipped_weights(name)).provenance
    test = noted["test"]
    assert text.startswith(f"# {name}\n")
    assert f"- seed: {noted['seed']}\n" in text
    assert f"It learned from {noted['data']} alone." in text
    assert f"| test images | {test['images']:,} |" in text
    if "error" in test:
        assert f"| error | {100 * test['error']:.2f} % |" in text
        assert "also for one that shows none of them" in text
    for head, own in test.get("by_head", {}).items():
        assert f"| {head}: error | {100 * own['error']:.2f} % |" in text
        assert all(f"{cue} {100 * error:.2f} %" in text for cue, error in own.get("error_by_cue", {}).items())
    if "mse" in test:
        assert f"| mean squared error of the picture | {test['mse']:.4g} |" in text
    for way, score in test.get("masks", {}).get("ari", {}).items():
        assert re.search(rf"\| IoU of masks \|.* {way} {test['masks'][way]:.4g}[, ]", text)
        assert re.search(rf"\| adjusted Rand index of masks \|.* {way} {score:.4g}[, ]", text)
    assert f"- learned numbers: {stawm.describe(name).parameters:,}\n" in text
    assert stawm.cite(name) in text
    stored = str(stawm.inspect(shipped_weights(name)).storage).removeprefix("torch.")
    assert f"measured at the end of its training. Then the weights were rounded, to be stored as {stored}.\n" in text


def test_a_card_tells_of_no_rounding_where_there_was_none() -> None:
    text = card(stawm.config("stawm-digits"), {"test": {"error": 0.5, "images": 2}}, LOAD)
    assert "\n\nAs measured at the end of its training.\n\n" in text
    assert "rounded" not in text


def test_a_card_that_is_changed_missing_or_too_many_is_written_anew(tmp_path: Path) -> None:
    assert len(cards.write(tmp_path)) == len(shipped_names())
    assert cards.stale(tmp_path) == []
    first, second = sorted(tmp_path.iterdir())[:2]
    first.write_text("altered")
    second.unlink()
    (tmp_path / "of-old.md").write_text("")
    assert cards.write(tmp_path) == sorted([first.name, second.name, "of-old.md"])
    assert cards.stale(tmp_path) == []


def test_a_model_of_ones_own_without_notes_has_a_card() -> None:
    text = card(stawm.config("stawm-digits", name="mine", class_names=()), {}, LOAD)
    assert text.startswith("# mine\n\nA model of stawm.\n")
    assert "What it reaches" not in text
    assert "How it was trained" not in text


@pytest.mark.parametrize(
    "name", ["bvae-cifar", "mnv2-cifar", "stawm-celeba-draw-32", "draw-mnist-no-attention", "draw-cluttered-100"]
)
def test_every_family_has_a_card(name: str) -> None:
    assert f"model = {LOAD}" in card(stawm.config(name), {}, LOAD)


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(KEYS), values, max_size=4))
def test_whatever_was_noted_is_told_in_lines_of_its_own(noted: dict[str, Any]) -> None:
    text = card(CONFIG, noted, LOAD)
    plain = [line for line in text.splitlines() if line.startswith(("- what", "| "))]
    assert all(line.isprintable() for line in plain)
    if KEYS[-1] in noted:
        assert f"- what ever: {json.dumps(noted[KEYS[-1]])}" in text
    if isinstance(noted.get("test"), dict):
        assert text.count("| ") >= len(noted["test"])


CONFIG = stawm.config("stawm-digits")
