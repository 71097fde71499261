"""Tasks that ask by what was seen: where is it, what stands beside it, how is it called?"""

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Generator

from stawm.configuration import SIZE
from stawm.trial.tasks.base import Episodes, Sizes, Task, shuffled


@dataclass(frozen=True, kw_only=True)
class Content(Task):
    """The other way round: answer_k = where_s for the s with what_s = cue_k, or "not there"."""

    asked: ClassVar[str] = "Different things lie at places: where does this thing lie, or is it not there?"
    name: str = "content"
    levels: Sizes = (9,)
    places: Annotated[int, SIZE] = 9
    """How many places there are; the answer after the last is "not there"."""
    symbols: Annotated[int, SIZE] = 12
    """How many kinds of things there are, of each of which one lies there at most."""

    @property
    def most(self) -> int:
        """No more than places, or than kinds."""
        return min(self.places, self.symbols)

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """A cue is a thing, an answer a place, or none."""
        return self.symbols, self.places, self.symbols, self.places + 1

    def chance(self, level: int) -> float:
        """The better of "not there" and any one place."""
        there = level / self.symbols
        return 1 - max(1 - there, there / self.places)

    def draw(self, count: int, level: int, generator: Generator) -> Episodes:
        """Every kind is asked for, those that are not there too."""
        where = shuffled(count, self.places, generator)[:, :level]
        what = shuffled(count, self.symbols, generator)[:, :level]
        cue = torch.arange(self.symbols).expand(count, -1)
        answer = torch.full(cue.shape, self.places).scatter(1, what, where)
        return Episodes(what, where, cue, answer)


@dataclass(frozen=True, kw_only=True)
class Neighbours(Task):
    """Different things fill a square: answer_k = what_t for the t right of the s with what_s = cue_k, or "nothing".

    Things are written in any order, each with its own place only. So one read has to go two ways: from a thing to its
    place, and from the place beside that to what lies there. `Association` is the same where a write knows its
    neighbour.
    """

    asked: ClassVar[str] = "Different things fill a square: what lies right of this thing, or is nothing there?"
    name: str = "neighbours"
    levels: Sizes = (4, 9)
    side: Annotated[int, SIZE] = 3
    """How many places a row of the grid has; a level fills a square in its upper left."""
    symbols: Annotated[int, SIZE] = 10
    """How many kinds of things there are, of each of which one lies there at most; the answer after the last is
    "nothing"."""

    def faults(self) -> list[str]:
        """A level is the number of places in a square."""
        odd = [level for level in self.levels if math.isqrt(level) ** 2 != level]
        return [f"{self.name}: a level must be a square number; got {odd[0]}."] if odd else super().faults()

    @property
    def most(self) -> int:
        """No more than places, or than kinds."""
        return min(self.side**2, self.symbols)

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """A cue is a thing, an answer too, or nothing."""
        return self.symbols, self.side**2, self.symbols, self.symbols + 1

    def chance(self, level: int) -> float:
        """At the end of each row there is nothing, and no one thing is right of others as often."""
        return 1 - 1 / math.isqrt(level)

    def draw(self, count: int, level: int, generator: Generator) -> Episodes:
        """Every thing that is there is asked for."""
        side, rows = math.isqrt(level), torch.arange(math.isqrt(level))
        where = (rows[:, None] * self.side + rows).flatten()
        what = shuffled(count, self.symbols, generator)[:, :level]
        beside = what.view(count, side, side).roll(-1, dims=2)
        beside[:, :, -1] = self.symbols
        order = shuffled(count, level, generator)
        return Episodes(what.gather(1, order), where[order], what, beside.flatten(1))


@dataclass(frozen=True, kw_only=True)
class OneShot(Task):
    """Symbols are named once each, and asked for by themselves: answer_k = where_s for the s with what_s = cue_k.

    A symbol is a vector that is drawn once and never learned, as a new image would be; what is learned is how to look
    at it, by one linear layer for what is written and one for what is asked. Errors are of symbols that no episode of
    the training had: each was met once, when it was named.
    """

    asked: ClassVar[str] = "Symbols that were never met in training are named once each: what is this one called?"
    unit: ClassVar[str] = "symbols"
    given: ClassVar[bool] = True
    name: str = "one-shot"
    levels: Sizes = (5, 20)
    names: Annotated[int, SIZE] = 20
    """How many names there are, of which a level takes so many."""
    symbols: Annotated[int, SIZE] = 1000
    """How many symbols there are to train on; as many others are kept to be measured on."""

    @property
    def most(self) -> int:
        """No more than names, or than symbols."""
        return min(self.names, self.symbols)

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """A cue is a symbol, an answer a name."""
        return 2 * self.symbols, self.names, 2 * self.symbols, self.names

    def chance(self, level: int) -> float:
        """Each name of a level is as likely."""
        return 1 - 1 / level

    def draw(self, count: int, level: int, generator: Generator) -> Episodes:
        """Every symbol is asked for."""
        what = shuffled(count, self.symbols, generator)[:, :level]
        where = shuffled(count, level, generator)
        return Episodes(what, where, what, where)

    def unseen(self, count: int, level: int, generator: Generator) -> Episodes:
        """The same with symbols that are never trained on."""
        what, where, cue, answer = self.draw(count, level, generator)
        return Episodes(what + self.symbols, where, cue + self.symbols, answer)
