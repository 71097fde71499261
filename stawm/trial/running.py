"""A memory is trained on tasks, and measured on episodes that it was never trained on."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Generator, Tensor, nn

from stawm.errors import InputError
from stawm.heads.recall import HOLE
from stawm.nn.memories.base import Memory
from stawm.trial.learner import Learner, Recipe, loss
from stawm.trial.tasks import TASKS, Episodes, Task

Build: TypeAlias = Callable[[int], Memory[Any]]
"""Makes the memory that is on trial, of a width m."""
WARM_UP = 0.1
"""For which share of the steps the rate rises."""
NORM = 1.0
"""The largest norm of a gradient."""
BEYOND = 2**32
"""Seeds of the episodes that are measured on lie beyond those that are trained on."""
HIGHEST = BEYOND - 1


class Measured(NamedTuple):
    """What a memory reached at one level of a task, at one width.

    Attributes:
        task: The task's name.
        size: m, the width of the memory.
        level: The level.
        error: The share of questions that were answered wrongly.
        parameters: How many parameters the memory has.
        kept: How many numbers its state has after all writes, for each episode.
        seconds: How long the training took that all levels at this width share, in seconds of the processor.
    """

    task: str
    size: int
    level: int
    error: float
    parameters: int
    kept: int
    seconds: float


def measure(
    build: Build,
    *,
    tasks: Sequence[Task] = TASKS,
    recipe: Recipe | None = None,
    seed: int = 0,
    tick: Callable[[str], None] = lambda task: None,
) -> list[Measured]:
    """Train a memory on each task and width by itself, and return what it reached at each level.

    Args:
        build: Makes the memory, of a width m.
        tasks: The tasks; all of them where left out.
        recipe: How it is trained; the usual recipe where left out.
        seed: Where all chance comes from.
        tick: Called after each step with the name of the task.

    Raises:
        InputError: The seed is not from 0 to 2³² - 1, or the loss is not finite.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= HIGHEST:
        raise InputError(f"seed must be an integer of 0 to {HIGHEST:,}; got {seed!r}.")
    chosen, found = recipe or Recipe(), []
    for task in tasks:
        for size in task.sizes or (chosen.memory_size,):
            found += _measured(task, size, build, chosen, seed, tick)
    return found


def steps(tasks: Iterable[Task], recipe: Recipe) -> int:
    """Return how many steps of training a trial takes."""
    return sum(recipe.steps * max(1, len(task.sizes)) for task in tasks)


def _measured(
    task: Task, size: int, build: Build, recipe: Recipe, seed: int, tick: Callable[[str], None]
) -> list[Measured]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        learner = Learner(task, build(size), recipe)
    start = time.process_time()
    train(learner, task, recipe, torch.Generator().manual_seed(seed), tick)
    seconds = time.process_time() - start
    parameters = sum(p.numel() for p in learner.memory.parameters() if p.requires_grad)
    unseen, found = torch.Generator().manual_seed(BEYOND + seed), []
    for level in task.levels:
        episodes = task.unseen(recipe.measured, level, unseen)
        error, kept = examine(learner, episodes)
        found.append(Measured(task.name, size, level, error, parameters, kept, seconds))
    return found


def train(learner: Learner, task: Task, recipe: Recipe, generator: Generator, tick: Callable[[str], None]) -> None:
    """Train on all levels in turn.

    Raises:
        InputError: The loss is not finite.
    """
    optimiser = torch.optim.Adam(learner.parameters(), lr=recipe.rate)
    course = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: course_at(step, recipe.steps))
    for step in range(recipe.steps):
        level = task.levels[step % len(task.levels)]
        episodes = task.draw(recipe.batch, level, generator)
        lost = loss(learner(episodes), episodes.answer)
        if not lost.isfinite():
            name = learner.memory.config.name
            raise InputError(
                f"The memory {name!r} has a loss that is not finite, in task {task.name}, step {step + 1}."
            )
        optimiser.zero_grad()
        lost.backward()
        nn.utils.clip_grad_norm_(learner.parameters(), NORM)
        optimiser.step()
        course.step()
        tick(task.name)


def course_at(step: int, steps: int) -> float:
    """Return the share of the largest rate at a step: a line upwards, then a cosine to zero.

    Examples:
        >>> [round(course_at(step, 10), 2) for step in (0, 5, 9)]
        [1.0, 0.59, 0.03]
    """
    done = (step + 1) / steps
    return min(1.0, done / WARM_UP) * (1 + math.cos(math.pi * max(0.0, (step / steps - WARM_UP) / (1 - WARM_UP)))) / 2


@torch.no_grad()
def examine(learner: Learner, episodes: Episodes) -> tuple[float, int]:
    """Return the share of questions answered wrongly, and how many numbers the state has for each episode."""
    asked = episodes.answer != HOLE
    wrong = (learner(episodes).argmax(dim=2) != episodes.answer) & asked
    E = learner.written(episodes)[:1]
    _, state = learner.memory.unroll(E, E[:, :0, : learner.memory.memory_size], [])
    return wrong.sum().item() / asked.sum().item(), sum(x.numel() for x in state if isinstance(x, Tensor))
