"""What scenes are made of, what is asked about them, and how answers are numbered."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Annotated, Literal

from jaxtyping import Int64
from torch import Tensor

from stawm.configuration import FRACTION, SIDE, Interval
from stawm.configuration import Config as BaseConfig

NEAR = 0.1
"""Of the way to the edges, how far things are from the middle in the first epoch of a curriculum."""
Side = Annotated[int, SIDE]


@dataclass(frozen=True, kw_only=True)
class SceneConfig(BaseConfig):
    """Configuration of scenes."""

    name: str = "clutter"
    root: str = ""
    """The folder of the things' own data set, where that takes one."""
    things: str = "mnist"
    """What is placed: a data set of grey images, by its name."""
    size: Side | None = None
    """The side of a scene in pixels; null is the size that the model takes, or 100."""
    digits: Annotated[int, Interval(1, 25)] = 1
    """How many things a scene has."""
    digit_size: tuple[Side, Side] | None = None
    """The smallest and the largest side that a thing is brought to, drawn for each; null leaves them as they are."""
    spread: Annotated[float, FRACTION] = 1.0
    """How far from the middle things may be, as a share of the way to the edges; of places it is always 1."""
    curriculum: Annotated[int, Interval(0, 10_000)] = 0
    """Over how many epochs of a run things spread, from a tenth of the way, to where they are tested."""
    pieces: Annotated[int, Interval(0, 1000)] = 8
    """How many pieces of other things a scene has."""
    piece_size: Side = 8
    """The side of a piece in pixels."""
    overlap: bool = True
    """Whether things may overlap; where not, the best of 32 random arrangements is taken."""
    target: Literal["class", "pair", "sum", "places"] = "class"
    """``class``: of the one thing; ``pair``: of two, in any order; ``sum``: of what digits count; ``places``: things
    stand in a square grid, each somewhere in its cell, and each place has its class."""
    ground: str | None = None
    """What scenes are made on: null is black, ``photographs`` are those of scikit-learn, and a data set, such as
    ``cifar10:ROOT`` or ``folder:PATH``, lends its pictures."""
    scenes: Annotated[int, Interval(1, 100_000_000)] | None = None
    """How many scenes an epoch of training has; null is one for each thing, as in testing."""

    def faults(self) -> list[str]:
        """Return what does not go together."""
        low, high = self.digit_size or (1, 1)
        square = round(self.digits**0.5) ** 2 == self.digits
        rules = {
            "the target 'class' is that of one thing, so digits must be 1": self.target != "class" or self.digits == 1,
            "the target 'pair' is of two things, so digits must be 2": self.target != "pair" or self.digits == 2,
            "'places' are a square grid, so digits must be 1, 4, 9, 16 or 25": self.target != "places" or square,
            "digit_size must be the smallest side and the largest, in this order": low <= high,
        }
        return [f"{self.name}: {words}." for words, holds in rules.items() if not holds]

    def spread_in(self, epoch: int) -> float:
        """Return how far from the middle things may be in an epoch of a run."""
        if not self.curriculum:
            return self.spread
        return self.spread * min(1.0, NEAR + (1 - NEAR) * epoch / self.curriculum)

    def answers(self, labels: Int64[Tensor, "count d"], classes: int) -> Int64[Tensor, "count *k"]:
        """Return what is to be said of scenes, from the classes of the things in them."""
        if self.target == "pair":
            low, high = labels.amin(dim=1), labels.amax(dim=1)
            return low * (2 * classes - low + 1) // 2 + high - low
        if self.target == "sum":
            return labels.sum(dim=1)
        return labels if self.target == "places" else labels[:, 0]

    def answer_names(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the names of the answers, in the order of their numbers, from those of the classes."""
        if self.target == "pair":
            return tuple(" ".join(pair) for pair in combinations_with_replacement(names, 2))
        if self.target == "sum":
            return tuple(map(str, range(self.digits * (len(names) - 1) + 1)))
        return tuple(names)
