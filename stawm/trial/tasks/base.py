"""What a memory is asked at its own interface: things are written, each with a place, and questions are put afterwards.

Nothing is seen here: a thing and a place are numbers, of which a learner makes vectors (`stawm.trial.learner`). So
nothing but the memory can hold what the answer needs. Episodes are drawn anew for each step, from a seed.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar, NamedTuple

import torch
from jaxtyping import Int64
from torch import Generator, Tensor

from stawm.configuration import SIZE, Config

Sizes = tuple[Annotated[int, SIZE], ...]


class Episodes(NamedTuple):
    """Sequences of writes with the questions that are put after the last of them.

    Attributes:
        what: The number of what is written.
        where: The number of its place, or of the key that it is written under.
        cue: The number of what is asked.
        answer: The number of the right answer; -1 where there is none.
    """

    what: Int64[Tensor, "b n"]
    where: Int64[Tensor, "b n"]
    cue: Int64[Tensor, "b k"]
    answer: Int64[Tensor, "b k"]


@dataclass(frozen=True, kw_only=True)
class Task(Config):
    """A kind of episodes, of one or several difficulties.

    Attributes:
        asked: What is asked, in one sentence.
        unit: What a level counts.
        levels: The difficulties; a learner is trained on all of them in turn, and measured on each.
        sizes: The widths m of memories, each trained by itself; the recipe's where empty.
        given: Whether the vectors of things are drawn once and never learned, and a cue is such a vector too.
    """

    in_words: ClassVar[str] = "a task"
    asked: ClassVar[str]
    unit: ClassVar[str] = "things"
    given: ClassVar[bool] = False
    levels: Sizes
    sizes: Sizes = ()

    def faults(self) -> list[str]:
        """A task without levels asks nothing; one beyond what there is cannot be drawn."""
        if not self.levels:
            return [f"{self.name}: levels must name one difficulty at least."]
        wrong = [level for level in self.levels if level > self.most]
        return [f"{self.name}: a level is at most {self.most} {self.unit}; got {wrong[0]}."] if wrong else []

    @property
    @abstractmethod
    def most(self) -> int:
        """The highest level."""

    @property
    @abstractmethod
    def counts(self) -> tuple[int, int, int, int]:
        """How many things, places, cues and answers there are."""

    @abstractmethod
    def chance(self, level: int) -> float:
        """Return the share of questions that the best single answer gets wrong, whatever is written."""

    @abstractmethod
    def draw(self, count: int, level: int, generator: Generator) -> Episodes:
        """Return episodes.

        Args:
            count: b, how many.
            level: The difficulty, one of `levels`.
            generator: Where chance comes from.
        """

    def unseen(self, count: int, level: int, generator: Generator) -> Episodes:
        """Return episodes to measure on: like those to train on, or with things that are kept for this."""
        return self.draw(count, level, generator)


def shuffled(count: int, size: int, generator: Generator) -> Int64[Tensor, "b n"]:
    """Return permutations of the numbers below a size, one a row."""
    return torch.rand(count, size, generator=generator).argsort(dim=1)
