"""What is trained on a task: tables of vectors, the memory between them, and a read-out, the same for every memory.

e = ReLU6(what ⊙ where), or ReLU6 of both apart, as the models here write       (docs/equations.md)
y = read(memory after all writes, ReLU6(cue)),   logits = C norm(y),  or  C ReLU(H norm(y)) with a hidden layer
"""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from stawm.configuration import AT_LEAST_ONE, POSITIVE, SIZE, Config
from stawm.heads.recall import HOLE
from stawm.nn.memories.base import Memory
from stawm.trial.tasks import Episodes, Task


@dataclass(frozen=True, kw_only=True)
class Recipe(Config):
    """How every memory is trained and measured, in all tasks alike."""

    in_words: ClassVar[str] = "a recipe"
    name: str = "trial"
    memory_size: Annotated[int, SIZE] = 64
    """m, the width of the memory, where a task has no widths of its own."""
    steps: Annotated[int, AT_LEAST_ONE] = 800
    """How many steps of training there are, over all levels in turn."""
    batch: Annotated[int, SIZE] = 32
    """How many episodes a step learns from."""
    rate: Annotated[float, POSITIVE] = 0.01
    """The largest rate of learning; it rises for a tenth of the steps and falls to zero along a cosine."""
    scale: Annotated[float, POSITIVE] = 0.5
    """The standard deviation of what tables begin with."""
    layer_norm: bool = True
    """Whether what is read is normalised before it is read out."""
    hidden: Annotated[int, SIZE] | None = None
    """How wide a hidden layer of the read-out is; null reads the answers linearly off what was read."""
    measured: Annotated[int, SIZE] = 512
    """On how many episodes of each level, never trained on, errors are measured."""


class Learner(nn.Module):
    """Tables, a memory and a read-out, for one task.

    Attributes:
        what: A vector for each thing; a linear layer of its vector where that is given.
        where: A vector for each place.
        cue: A query for each cue; likewise.
        memory: What is on trial.
    """

    def __init__(self, task: Task, memory: Memory[Any], recipe: Recipe) -> None:
        super().__init__()
        things, places, cues, answers = task.counts
        m = memory.memory_size
        self.what, self.where, self.cue = nn.Embedding(things, m), nn.Embedding(places, m), nn.Embedding(cues, m)
        for table in (self.what, self.where, self.cue):
            nn.init.normal_(table.weight, std=recipe.scale)
        if task.given:
            given = nn.Embedding(things, m).requires_grad_(False)
            self.what, self.cue = (nn.Sequential(given, nn.Linear(m, m)) for _ in range(2))
        self.memory = memory
        self.norm = nn.LayerNorm(m) if recipe.layer_norm else nn.Identity()
        hidden = recipe.hidden
        self.read_out = (
            nn.Linear(m, answers)
            if hidden is None
            else nn.Sequential(nn.Linear(m, hidden), nn.ReLU(), nn.Linear(hidden, answers))
        )

    def forward(self, episodes: Episodes) -> Float[Tensor, "b k answers"]:
        """Write all things, then ask all questions, and return the logits."""
        E, Q = self.written(episodes), self.cue(episodes.cue).clamp(0, 6)
        Y, _ = self.memory.unroll(E, Q, [E.shape[1]] * Q.shape[1])
        return self.read_out(self.norm(Y))

    def written(self, episodes: Episodes) -> Float[Tensor, "b n i"]:
        """Return what the memory is given of each thing: what and where as one, or apart where it says so."""
        what, where = self.what(episodes.what), self.where(episodes.where)
        if self.memory.bind == "self":
            return (what * where).clamp(0, 6)
        return torch.cat([what, where], dim=2).clamp(0, 6)


def loss(logits: Float[Tensor, "b k answers"], answer: Tensor) -> Float[Tensor, ""]:
    """Return the cross entropy over all questions that have an answer."""
    return F.cross_entropy(logits.flatten(0, 1), answer.flatten(), ignore_index=HOLE)
