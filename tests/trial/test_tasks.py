"""The tasks ask what they say: targets against a loop that looks everything up, chance against counting."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stawm.errors import ConfigError
from stawm.heads.recall import HOLE
from stawm.trial.tasks import TASKS, Changes, Content, Episodes, Places, Task

each = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
MANY = 400


def drawn(task: Task, level: int, count: int = MANY, seed: int = 0) -> Episodes:
    return task.draw(count, level, torch.Generator().manual_seed(seed))


def answers_slowly(task: Task, episodes: Episodes) -> list[list[int]]:
    """What each question must be answered by, read off the writes one by one."""
    found = []
    for what, where, cue in zip(*(x.tolist() for x in episodes[:3]), strict=True):
        row = []
        for asked in cue:
            answer = task.places if isinstance(task, Content) else HOLE
            for thing, place in zip(what, where, strict=True):
                if isinstance(task, Content) and thing == asked:
                    answer = place
                elif not isinstance(task, Content) and place == asked:
                    answer = thing - (26 if task.name == "association" else 0)
            row.append(answer)
        found.append(row)
    return found


@each
@given(seed=st.integers(0, 2**31), data=st.data())
def test_an_answer_is_what_a_search_through_the_writes_finds(task: Task, seed: int, data: st.DataObject):
    episodes = drawn(task, data.draw(st.sampled_from(task.levels)), 3, seed)
    assert episodes.answer.tolist() == answers_slowly(task, episodes)


@each
def test_numbers_stay_below_their_counts_and_all_are_used(task: Task):
    parts = list(zip(*(drawn(task, level) for level in task.levels), strict=True))
    for values, count in zip(parts, task.counts, strict=True):
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
