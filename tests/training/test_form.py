"""A state is checked before a run goes back to it: altered, damaged or edited ones are refused in words."""

import copy
import io
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import stawm
from stawm.errors import StawmError
from stawm.training import data, form, train
from stawm.training import state as states
from stawm.training.recipes import find
from stawm.training.run import Run
from tests.training.test_folder import FIRST_VERSION
from tests.training.tiny import BRIEF, LEAST

STATE: Any = states.load(FIRST_VERSION / "state")
RECIPE = find("fast", "stawm-digits", epochs=3, batch=16)


@pytest.fixture(scope="module")
def run() -> Run:
    return Run(stawm.config("stawm-digits", **LEAST), RECIPE, cpu=True)


def fault(state: Any, run: Run, few: data.Splits) -> str | None:
    return form.fault(state, run, few.train)


def test_a_state_of_a_run_has_no_fault(run: Run, few: data.Splits):
    assert fault(STATE, run, few) is None


def edit(*path: Any, to: Any) -> Callable[[Any], None]:
    """Set what is at a place in a state."""

    def change(state: Any) -> None:
        for key in path[:-1]:
            state = state[key]
        state[path[-1]] = to

    return change


def drop(*path: Any) -> Callable[[Any], None]:
    def change(state: Any) -> None:
        for key in path[:-1]:
            state = state[key]
        del state[path[-1]]

    return change


WEIGHT = next(iter(STATE["run"]["model"]))
SHAPE = STATE["run"]["model"][WEIGHT].shape
EDITS: dict[str, Callable[[Any], None]] = {
    **{f"no {key}": drop(key) for key in STATE},
    **{
        f"{key} is {value!r}": edit(key, to=value)
        for key in STATE
        for value in (None, 3, "x", [], [3], *([] if key == "note" else [{}]))
    },
    **{f"run has no {key}": drop("run", key) for key in STATE["run"]},
    **{
        f"{key} of the run is {value!r}": edit("run", key, to=value)
        for key in STATE["run"]
        if key != "first_loss"
        for value in ("x", [], {}, True, -1)
    },
    "first loss is nan": edit("run", "first_loss", to=math.nan),
    "first loss is a word": edit("run", "first_loss", to="2"),
    "too much in run": edit("run", "more", to=1),
    "step further": edit("run", "step", to=9),
    "step in another epoch": edit("run", "step", to=12),
    "step back": edit("run", "step", to=4),
    "more epochs": lambda state: state["history"].extend(state["history"] * 4),
    "no epochs": edit("history", to=[]),
    "epoch of another number": edit("history", 0, "epoch", to=2),
    "weight of another shape": edit("run", "model", WEIGHT, to=torch.zeros((*SHAPE, 1))),
    "weight of another type": edit("run", "model", WEIGHT, to=torch.zeros(SHAPE, dtype=torch.float64)),
    "weight that is none": edit("run", "model", WEIGHT, to=[1.0]),
    "weight not finite": edit("run", "model", WEIGHT, to=torch.full(SHAPE, math.nan)),
    "average not finite": edit("run", "average", WEIGHT, to=torch.full(SHAPE, math.inf)),
    "no weight": drop("run", "model", WEIGHT),
    "a weight more": edit("run", "model", "more", to=torch.zeros(3)),
    "no average": edit("run", "average", to=None),
    "moments of a weight that is not there": edit("run", "optimiser", "state", 999, to={}),
    "moments are no tensors": edit("run", "optimiser", "state", 0, "exp_avg", to=3),
    "moments of two shapes": edit("run", "optimiser", "state", 0, "exp_avg", to=torch.zeros(3, 3, 3, 3, 3)),
    "moments of another weight": edit(
        "run",
        "optimiser",
        "state",
        0,
        to={"step": torch.tensor(8.0), "exp_avg": torch.zeros(7, 7), "exp_avg_sq": torch.zeros(7, 7)},
    ),
    "moments are a word": edit("run", "optimiser", "state", 0, to="x"),
    "groups gone": edit("run", "optimiser", "param_groups", to=[]),
    "a group is none": edit("run", "optimiser", "param_groups", 0, to=3),
    "group of other weights": edit("run", "optimiser", "param_groups", 0, "params", to=[0]),
    "group without a field": drop("run", "optimiser", "param_groups", 0, "betas"),
    "seen less": edit("tally", "seen", to=3),
    "seen nothing": edit("tally", "seen", to=0),
    "seconds nan": edit("tally", "seconds", to=math.nan),
    "sums no tensors": edit("tally", "sums", to={"total": 3.0}),
    "sums of many": edit("tally", "sums", to={"total": torch.zeros(3)}),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_state_is_told_what_is_wrong_with_it(run: Run, few: data.Splits, name: str):
    state = copy.deepcopy(STATE)
    EDITS[name](state)
    assert fault(state, run, few)


@given(st.data())
@settings(max_examples=40)
def test_whatever_is_changed_in_a_state_is_refused_or_gone_back_to(drawn: st.DataObject):
    """No part of it that is of another form is ever a raw error."""
    run = Run(stawm.config("stawm-digits", **LEAST), RECIPE, cpu=True) if not HELD else HELD[0]
    HELD[:] = [run]
    state, place = copy.deepcopy(STATE), []
    at = state
    while isinstance(at, (dict, list)) and at and (not place or drawn.draw(st.booleans())):
        key = drawn.draw(st.sampled_from(list(at) if isinstance(at, dict) else range(len(at))))
        place.append(key)
        at = at[key]
    odd = st.sampled_from(
        [None, True, 0, -1, 2.5, math.nan, "x", [], {}, [[]], {"a": 1}, torch.zeros(2), torch.tensor(1)]
    )
    edit(*place, to=drawn.draw(odd))(state)
    said = form.fault(state, run, IMAGES)
    if said is None:
        run.restore(state["run"])


HELD: list[Run] = []
IMAGES = data.load("digits").train.take(slice(0, 72))


# Through the public call


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FIRST_VERSION, tmp_path / "run"))


def refused(out: Path, few: data.Splits) -> str:
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(StawmError) as error:
        train("stawm-digits", data=few, out=out, **{**LEAST, **BRIEF, "recipe.epochs": 3})
    assert {path: path.read_bytes() for path in before} == before
    assert "weights_only" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", ["step further", "run is None", "weight not finite", "groups gone"])
def test_a_run_does_not_go_back_to_an_edited_state(out: Path, few: data.Splits, name: str):
    state = copy.deepcopy(STATE)
    EDITS[name](state)
    states.save(out / "state", 8, state)
    assert "step-000000008.pt cannot be used: " in refused(out, few)


@pytest.mark.parametrize("note", [None, 3, "x", [], {"seed": {}}, {"config": 3}])
def test_a_note_of_another_form_is_another_run_or_none(out: Path, few: data.Splits, note: Any):
    states.save(out / "state", 8, {**STATE, "note": note})
    assert "cannot be used: its note" in (said := refused(out, few)) or "holds another run" in said


class Foreign:
    """Anything but tensors and plain values."""


@pytest.mark.parametrize("held", [Foreign(), 3, [1], torch.zeros(2), {3}])
def test_another_thing_in_a_states_place_is_no_state(out: Path, few: data.Splits, held: Any):
    buffer = io.BytesIO()
    torch.save(held, buffer)
    (out / "state" / "step-000000008.pt").write_bytes(buffer.getvalue())
    assert "is not the folder of a run" in refused(out, few), "without a mark it is taken for a stranger's"
    (out / "run.json").write_text('{"format": "stawm run 1"}')
    assert "holds no run of stawm. Nothing older is kept" in refused(out, few)


@given(st.data())
@settings(max_examples=40)
def test_one_bit_flipped_anywhere_is_found(tmp_path_factory: pytest.TempPathFactory, drawn: st.DataObject):
    folder = tmp_path_factory.mktemp("bits")
    states.save(folder, 8, {"run": {"w": torch.arange(64.0)}, "note": {"seed": 0}})
    path = states.latest(folder)
    assert path is not None
    raw = bytearray(path.read_bytes())
    raw[drawn.draw(st.integers(0, len(raw) - 1))] ^= 1 << drawn.draw(st.integers(0, 7))
    path.write_bytes(raw)
    with pytest.raises(StawmError, match="cannot be read: it was altered or damaged"):
        states.load(folder)


@given(st.data())
@settings(max_examples=25)
def test_of_the_first_version_a_flipped_bit_is_found_or_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, drawn: st.DataObject
):
    """Its states have no hash, only the zip's checksums, which leave out the zip's own fields."""
    folder = tmp_path_factory.mktemp("bits")
    (original,) = (FIRST_VERSION / "state").iterdir()
    raw = bytearray(original.read_bytes())
    raw[drawn.draw(st.integers(0, len(raw) - 1))] ^= 1 << drawn.draw(st.integers(0, 7))
    (folder / original.name).write_bytes(raw)
    try:
        found: Any = states.load(folder)
    except StawmError:
        return
    for name, weight in STATE["run"]["model"].items():
        assert torch.equal(found["run"]["model"][name], weight)
    assert found["note"] == STATE["note"]
