"""A trial: what is trained, measured and printed, and what is wrong said in one sentence."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

import stawm
from stawm.errors import ConfigError, InputError, StawmError
from stawm.nn.memories.delta import Delta
from stawm.nn.memories.mean import Mean
from stawm.trial import TASKS, Recipe, kept, try_memory
from stawm.trial.kept import Figures, Spread, figures, wins
from stawm.trial.learner import Learner
from stawm.trial.memory import memory_class
from stawm.trial.running import Measured, course_at, measure, steps
from stawm.trial.tasks import OneShot, Places, Task
from tests.cli.outcomes import outcome

TINY = Recipe(steps=2, batch=2, measured=4, memory_size=8)
QUICK = ("recipe.steps=2", "recipe.batch=2", "recipe.measured=4")


class Broken(Mean):
    """A memory whose samples mix."""

    def _write(self, state: Any, e: torch.Tensor) -> Any:
        return super()._write(state, e + e.mean(dim=0))


class Endless(Mean):
    """A memory that reads no numbers."""

    def _unroll(self, E: torch.Tensor, Q: torch.Tensor, reads: Sequence[int], state: Any) -> Any:
        Y, after = super()._unroll(E, Q, reads, state)
        return Y * float("nan"), after


def vector(table: Any, number: torch.Tensor) -> torch.Tensor:
    """What is learned of a number: a row, or a linear layer of a row that is given."""
    if isinstance(table, torch.nn.Embedding):
        return table.weight[number]
    return table[1].weight @ table[0].weight[number] + table[1].bias


@pytest.mark.parametrize("task", [Places(), OneShot(symbols=5, levels=(4,))], ids=lambda task: task.name)
@pytest.mark.parametrize("bind", ["self", "what-where"])
@pytest.mark.parametrize(("layer_norm", "hidden"), [(True, None), (False, 5)])
def test_a_learner_writes_and_asks_as_its_equations_say(task: Task, bind: Any, layer_norm: bool, hidden: int | None):
    recipe = Recipe(memory_size=8, layer_norm=layer_norm, hidden=hidden)
    learner = Learner(task, Delta(Delta.Config(bind=bind), memory_size=8), recipe).double()
    episodes = task.draw(2, 4, torch.Generator().manual_seed(0))
    found = learner(episodes)
    for b in range(2):
        state = learner.memory.init_state(1)
        for thing, place in zip(episodes.what[b], episodes.where[b], strict=True):
            what, where = vector(learner.what, thing), vector(learner.where, place)
            e = what * where if bind == "self" else torch.cat([what, where])
            state = learner.memory.write(state, e.clamp(0, 6)[None])
        for k, cue in enumerate(episodes.cue[b]):
            y = learner.memory.read(state, vector(learner.cue, cue).clamp(0, 6)[None])[0]
            expected = learner.read_out(learner.norm(y))
            torch.testing.assert_close(found[b, k], expected, rtol=1e-9, atol=1e-9)


def test_the_same_seed_measures_the_same_and_another_another():
    def errors(seed: int) -> list[float]:
        return [row.error for row in measure(lambda m: Mean(memory_size=m), tasks=TASKS[:2], recipe=TINY, seed=seed)]

    assert errors(0) == errors(0) != errors(1)


def test_a_memory_learns_what_it_is_asked_and_is_measured_at_every_level():
    recipe = Recipe(memory_size=32, steps=150, batch=16, measured=64)
    found = measure(lambda m: Delta(memory_size=m), tasks=[Places(levels=(2, 4))], recipe=recipe)
    assert [(row.task, row.size, row.level) for row in found] == [("places", 32, 2), ("places", 32, 4)]
    assert all(row.error < 0.45 for row in found)  # by chance 0.9
    assert {row.kept for row in found} == {32 * 32}
    assert {row.parameters for row in found} == {3 * 32 * 32 + 33}


def test_ticks_are_as_many_as_steps():
    heard: list[str] = []
    measure(lambda m: Mean(memory_size=m), recipe=TINY, tick=heard.append)
    assert len(heard) == steps(TASKS, TINY)
    assert list(dict.fromkeys(heard)) == [task.name for task in TASKS]


def test_the_rate_rises_to_its_largest_and_falls_to_nearly_nothing():
    course = [course_at(step, 100) for step in range(100)]
    assert max(course) == course[10] == 1
    assert course[:11] == sorted(course[:11])
    assert course[10:] == sorted(course[10:], reverse=True)
    assert 0 < course[-1] < 0.001


def test_what_is_kept_is_of_the_usual_recipe_of_both_controls_and_of_built_in_memories():
    assert kept.records()["recipe"] == Recipe().to_dict()
    found = kept.kept()
    labels = [one.label for one in found]
    assert len(set(labels)) == len(labels)
    assert labels[-2:] == ["mean", "recurrent"]
    assert {label.partition(" ")[0] for label in labels} <= {*stawm.list_names("memory", origin="stawm")}
    known = {(task.name, m, level) for task in TASKS for m in task.sizes or (64,) for level in task.levels}
    assert all(set(one.levels) == known for one in found)


def test_controls_have_as_many_parameters_as_the_delta_rule():
    for m in (20, 50, 64, 100):
        wanted = sum(p.numel() for p in Delta(memory_size=m).parameters())
        for control in ("mean", "recurrent"):
            made = stawm.build_component("memory", control, memory_size=m)
            assert sum(p.numel() for p in made.parameters()) == pytest.approx(wanted, rel=0.1 if m == 20 else 0.03)


def made_up(label: str, *errors: float) -> Figures:
    runs = {seed: [Measured("places", 64, 4, error, 1, 1, 1.0)] for seed, error in enumerate(errors)}
    return figures(label, runs)


def test_a_win_is_ten_points_over_both_controls_with_every_seed():
    controls = [made_up("mean", 0.4, 0.5), made_up("recurrent", 0.3, 0.35)]
    assert controls[0].errors["places"] == Spread(0.45, 0.4, 0.5)
    assert wins(made_up("x", 0.1, 0.25), controls) == ["places"]
    assert wins(made_up("x", 0.25, 0.25), controls) == []  # less than ten points
    assert wins(made_up("x", 0.0, 0.31), controls) == []  # one seed is worse than a control's
    assert wins(made_up("mean", 0.0), controls) == []
    assert wins(made_up("x", 0.0), controls[:1]) == []


def test_the_page_has_its_errors_the_others_and_what_holds(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    out = tmp_path / "new"
    status, said, _ = outcome(capsys, "trial", "memory", "mean", "--task", "places", "--out", out, *QUICK)
    assert status == 0
    for words in ("mean, seed 0", "by chance", "recurrent", "every check holds", "places", "not told"):
        assert words in said
    assert (out / "trial.png").read_bytes().startswith(b"\x89PNG")
    written = json.loads((out / "trial.json").read_text())
    assert {row["task"] for row in written["measured"]} == {"places"}
    assert set(written["checks"].values()) == {"holds"}


def test_a_program_gets_json_and_fields_arrive(capsys: pytest.CaptureFixture[str]):
    given = ("trial", "memory", "delta", "--task", "places", "--json", "--seed", 3, "memory.bind=what-where", *QUICK)
    status, said, _ = outcome(capsys, *given)
    found = json.loads(said)
    assert (status, found["memory"], found["seed"]) == (0, "delta bind=what-where", 3)
    assert found["recipe"]["steps"] == 2


def test_what_breaks_the_contract_is_named():
    found = try_memory(Broken, tasks=["places"], recipe=TINY)
    assert "samples_are_apart" in found.broken
    assert "samples_are_apart" in str(found)
    assert memory_class(f"{__name__}:Broken").__name__ == "Broken"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("detla", "'delta'"),
        ("no_such_module_here:X", "cannot be imported"),
        ("stawm.nn.memories.delta:Detla", "Delta"),
        ("stawm.nn.memories.delta:unit", "must be a class derived from"),
        ("", "No memory"),
        (":", "cannot be imported"),
        ("conv", "memory"),
    ],
)
def test_a_name_that_is_no_memory_is_answered_in_one_sentence(name: str, said: str):
    with pytest.raises(StawmError, match=said):
        memory_class(name)


def test_other_bad_input_is_answered(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(InputError, match=r"no task 'place'. Did you mean 'places'"):
        try_memory(Mean, tasks=["place"])
    with pytest.raises(ConfigError, match="widht"):
        try_memory(Mean, widht=3)
    with pytest.raises(InputError, match="seed must be"):
        try_memory(Mean, seed=-1)
    with pytest.raises(InputError, match="not finite, in task places, step 1"):
        try_memory(Endless, recipe=TINY)
    status, _, error = outcome(capsys, "trial", "memory", "mean", "steps=3")
    assert status == 1
    assert "neither memory.FIELD nor recipe.FIELD" in error
