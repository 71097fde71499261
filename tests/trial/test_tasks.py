"""The tasks ask what they say: targets against a loop that looks everything up, chance against counting."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stawm.errors import ConfigError
from stawm.heads.recall import HOLE
from stawm.nn.memories.mean import Mean
from stawm.trial.learner import Learner, Recipe
from stawm.trial.running import train
from stawm.trial.tasks import TASKS, Changes, Content, Episodes, Neighbours, OneShot, Places, Task

each = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
MANY = 400


def drawn(task: Task, level: int, count: int = MANY, seed: int = 0) -> Episodes:
    return task.draw(count, level, torch.Generator().manual_seed(seed))


def answers_slowly(task: Task, episodes: Episodes) -> list[list[int]]:
    """What each question must be answered by, read off the writes one by one."""
    return [
        [answer_slowly(task, [*zip(what, where, strict=True)], asked) for asked in cue]
        for what, where, cue in zip(*(x.tolist() for x in episodes[:3]), strict=True)
    ]


def answer_slowly(task: Task, written: list[tuple[int, int]], asked: int) -> int:
    if isinstance(task, Content):
        return next((place for thing, place in written if thing == asked), task.places)
    if isinstance(task, OneShot):
        return next(name for symbol, name in written if symbol == asked)
    if isinstance(task, Neighbours):
        row, column = next(divmod(place, task.side) for thing, place in written if thing == asked)
        right = [thing for thing, place in written if divmod(place, task.side) == (row, column + 1)]
        return right[0] if right else task.symbols
    found = [thing for thing, place in written if place == asked]
    return found[-1] - (26 if task.name == "association" else 0) if found else HOLE


@each
@given(seed=st.integers(0, 2**31), data=st.data())
def test_an_answer_is_what_a_search_through_the_writes_finds(task: Task, seed: int, data: st.DataObject):
    level, generator = data.draw(st.sampled_from(task.levels)), torch.Generator().manual_seed(seed)
    for episodes in (task.draw(3, level, generator), task.unseen(3, level, generator)):
        assert episodes.answer.tolist() == answers_slowly(task, episodes)


@each
def test_numbers_stay_below_their_counts_and_all_are_used(task: Task):
    generator = torch.Generator().manual_seed(0)
    draws = [draw(MANY, level, generator) for level in task.levels for draw in (task.draw, task.unseen)]
    for values, count in zip(zip(*draws, strict=True), task.counts, strict=True):
        seen = {number for part in values for number in part.flatten().tolist()} - {HOLE}
        assert seen == set(range(count))


@each
def test_chance_is_what_the_best_single_answer_gets_wrong(task: Task):
    for level in task.levels:
        answer = drawn(task, level, 4000).answer
        asked = answer[answer != HOLE]
        best = asked.bincount().max().item() / len(asked)
        slack = 4 * (0.25 / len(asked)) ** 0.5 * 3  # four standard deviations of a share, the best of some tens
        assert 1 - best == pytest.approx(task.chance(level), abs=slack)


@each
def test_a_seed_gives_its_episodes(task: Task):
    first, again, other = (drawn(task, task.levels[0], 8, seed) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.answer, other.answer)


def test_as_many_things_change_as_the_level_says():
    task = Changes()
    for level in task.levels:
        episodes = drawn(task, level)
        before = torch.full((MANY, 9), -1).scatter(1, episodes.where[:, :9], episodes.what[:, :9])
        assert ((before != episodes.answer).sum(dim=1) == level).all()


def test_levels_beyond_what_there_is_are_refused():
    with pytest.raises(ConfigError, match="a level is at most 9 things; got 10"):
        Places(levels=(4, 10))
    with pytest.raises(ConfigError, match="at least"):
        Places(levels=())
    with pytest.raises(ConfigError, match="symbols must be at least 2; got 1"):
        Changes(symbols=1)
    with pytest.raises(ConfigError, match="a level must be a square number; got 5"):
        Neighbours(levels=(4, 5))
    with pytest.raises(ConfigError, match="at most 9 things; got 16"):
        Neighbours(levels=(16,))
    with pytest.raises(ConfigError, match="at most 20 symbols; got 21"):
        OneShot(levels=(21,))


def test_symbols_to_be_measured_on_are_in_no_episode_of_the_training_and_no_table_is_learned_of_them():
    task, generator = OneShot(symbols=30), torch.Generator().manual_seed(0)
    for level in task.levels:
        assert task.draw(MANY, level, generator).what.max() < 30
        assert task.unseen(MANY, level, generator).what.min() >= 30
    learner = Learner(task, Mean(memory_size=8), Recipe(memory_size=8))
    symbols = learner.what[0].weight.clone()
    assert symbols.shape == (60, 8)
    train(learner, task, Recipe(steps=3, batch=4), generator, lambda name: None)
    assert torch.equal(learner.what[0].weight, symbols)
    assert learner.cue[0] is learner.what[0]
    assert not any(parameter.shape[0] == 60 for parameter in learner.parameters() if parameter.requires_grad)


def test_the_things_of_a_square_come_in_any_order():
    episodes = drawn(Neighbours(), 4)
    assert {tuple(row) for row in episodes.where.sort(dim=1).values.tolist()} == {(0, 1, 3, 4)}
    assert len({tuple(row) for row in episodes.where.tolist()}) == 24
