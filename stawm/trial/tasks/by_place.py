"""Tasks that ask by where things were put, or by the key that they were put under: what is there?"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from jaxtyping import Int64
from torch import Generator, Tensor

from stawm.configuration import SIZE
from stawm.heads.recall import HOLE
from stawm.trial.tasks.base import Episodes, Sizes, Task, shuffled


@dataclass(frozen=True, kw_only=True)
class Places(Task):
    """Things at places, each place at most once: answer_k = what_s for the s with where_s = cue_k."""

    asked: ClassVar[str] = "Things lie at places of a grid: what lies at this place?"
    name: str = "places"
    levels: Sizes = (4, 9)
    places: Annotated[int, SIZE] = 9
    """How many places there are."""
    symbols: Annotated[int, SIZE] = 10
    """How many kinds of things; several of a kind may lie there."""

    @property
    def most(self) -> int:
        """As many things as places."""
        return self.places

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """A cue is a place, an answer a kind of things."""
        return self.symbols, self.places, self.places, self.symbols

    def chance(self, level: int) -> float:
        """Each kind is as likely."""
        return 1 - 1 / self.symbols

    def draw(self, count: int, level: int, generator: Generator) -> Episodes:
        """Each place that is used is asked for."""
        where = shuffled(count, self.places, generator)[:, :level]
        what = torch.randint(self.symbols, where.shape, generator=generator)
        return Episodes(what, where, where, what)


@dataclass(frozen=True, kw_only=True)
class Overload(Places):
    """The same on a larger grid, with more and more things."""

    asked: ClassVar[str] = "More and more things lie at places of a larger grid: what lies at this place?"
    name: str = "overload"
    levels: Sizes = (4, 9, 16, 25)
    places: Annotated[int, SIZE] = 25


@dataclass(frozen=True, kw_only=True)
class Recall(Places):
    """Multi-query associative recall (Arora et al. 2024): pairs of a key and a value, and every key is asked for."""

    asked: ClassVar[str] = "Pairs of a key and a value are written once each: which value has this key?"
    unit: ClassVar[str] = "pairs"
    name: str = "recall"
    levels: Sizes = (4, 8, 16, 32, 64)
    places: Annotated[int, SIZE] = 64
    """How many keys there are."""
    symbols: Annotated[int, SIZE] = 64
    """How many values."""


@dataclass(frozen=True, kw_only=True)
class Association(Task):
    """Associative retrieval (Ba et al. 2016): a string of letters and digits in turn, c9k8j3, then a letter, c.

    Every character is written, with the character before it as its place, as a network sees it that remembers one step.
    So every second write is a distractor: a letter after a digit.
    """

    asked: ClassVar[str] = "A string such as c9k8j3 is written character by character: which digit follows this letter?"
    unit: ClassVar[str] = "pairs"
    name: str = "association"
    levels: Sizes = (4,)
    sizes: Sizes = (20, 50, 100)
    letters: Annotated[int, SIZE] = 26
    """How many letters there are; none comes twice in a string."""
    digits: Annotated[int, SIZE] = 10
    """How many digits there are, after the letters in the numbers of characters."""

    @property
    def most(self) -> int:
        """As many pairs as letters."""
        return self.letters

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """A thing is a character, a place too, or the beginning of the string; a cue is a letter."""
        characters = self.letters + self.digits
        return characters, characters + 1, self.letters, self.digits

    def chance(self, level: int) -> float:
        """Each digit is as likely."""
        return 1 - 1 / self.digits

    def draw(self, count: int, level: int, generator: Generator) -> Episodes:
        """Each letter of a string is asked for."""
        letter = shuffled(count, self.letters, generator)[:, :level]
        digit = torch.randint(self.digits, letter.shape, generator=generator)
        string = torch.stack([letter, self.letters + digit], dim=2).flatten(1)
        before = torch.cat([torch.full((count, 1), self.letters + self.digits), string[:, :-1]], dim=1)
        return Episodes(string, before, letter, digit)


@dataclass(frozen=True, kw_only=True)
class Rewriting(Task):
    """Keys that are written again with other values (Schlag et al. 2021, setting 2); the latest one is asked for."""

    asked: ClassVar[str] = "Keys are written again and again, with other values: which is the latest value of this key?"
    unit: ClassVar[str] = "keys"
    name: str = "rewriting"
    levels: Sizes = (5, 10, 20)
    times: Annotated[int, SIZE] = 3
    """How many times as many writes as keys there are; which keys they are for is drawn with replacement."""
    keys: Annotated[int, SIZE] = 20
    """How many keys there are, of which a level takes so many."""
    values: Annotated[int, SIZE] = 20
    """How many values there are."""

    @property
    def most(self) -> int:
        """As many as there are."""
        return self.keys

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """A thing is a value, a place a key."""
        return self.values, self.keys, self.keys, self.values

    def chance(self, level: int) -> float:
        """Each value is as likely."""
        return 1 - 1 / self.values

    def draw(self, count: int, level: int, generator: Generator) -> Episodes:
        """Each key is asked for; one that was never written has no answer."""
        used = shuffled(count, self.keys, generator)[:, :level]
        drawn = torch.randint(level, (count, self.times * level), generator=generator)
        what = torch.randint(self.values, drawn.shape, generator=generator)
        return Episodes(what, used.gather(1, drawn), used, latest(what, drawn, level))


@dataclass(frozen=True, kw_only=True)
class Changes(Places):
    """Two pictures, one after the other, in the second of which so many things are others; the latest is asked for."""

    asked: ClassVar[str] = "A full grid is looked at twice, and some things have changed: what lies at this place now?"
    unit: ClassVar[str] = "changes"
    name: str = "changes"
    levels: Sizes = (3, 9)

    def faults(self) -> list[str]:
        """What changes is another thing afterwards, so there must be two."""
        few = [f"{self.name}: symbols must be at least 2; got {self.symbols}."] if self.symbols < 2 else []
        return few + super().faults()

    def draw(self, count: int, level: int, generator: Generator) -> Episodes:
        """All places are looked at, in any order, then all again in another; each is asked for."""
        before = torch.randint(self.symbols, (count, self.places), generator=generator)
        step = torch.randint(1, max(2, self.symbols), before.shape, generator=generator)
        changed = shuffled(count, self.places, generator) < level
        after = torch.where(changed, (before + step) % self.symbols, before)
        first, second = (shuffled(count, self.places, generator) for _ in range(2))
        what = torch.cat([before.gather(1, first), after.gather(1, second)], dim=1)
        cue = torch.arange(self.places).expand(count, -1)
        return Episodes(what, torch.cat([first, second], dim=1), cue, after)


def latest(what: Int64[Tensor, "b n"], where: Int64[Tensor, "b n"], places: int) -> Int64[Tensor, "b k"]:
    """Return what was written last at each place; -1 where nothing was.

    Examples:
        >>> latest(torch.tensor([[7, 8, 9]]), torch.tensor([[1, 0, 1]]), 3)
        tensor([[ 8,  9, -1]])
    """
    time = torch.arange(where.shape[1])
    hits = torch.where(where[:, :, None] == torch.arange(places), time[:, None], -1)
    last = hits.amax(dim=1)
    return torch.where(last < 0, HOLE, what.gather(1, last.clamp(min=0)))
