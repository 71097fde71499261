"""Steering: a step graph that is told where to look, and which of its glimpses are written to the memory.

The inputs of a steered ``glimpse`` part, per image. A whole run has them with an axis n after the batch.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stawm.export.graphs.names import POSE, STEER, still
from stawm.heads.output import Noise
from stawm.models.evidence import check_sums_up, evidence
from stawm.models.model import Stawm
from stawm.models.states import Seen
from stawm.nn.glimpse_loop import Placed


class Steering(NamedTuple):
    """How the glimpses of some images are steered.

    Attributes:
        pose: Poses, in the locator's numbers.
        placed: 1 where they are taken in place of the model's own, else 0.
        written: 1 where the glimpse is written to the memory, 0 where it is only looked at.
    """

    pose: Float[Tensor, "b *n p"]
    placed: Float[Tensor, "b *n 1"]
    written: Float[Tensor, "b *n 1"]

    def named(self) -> dict[str, Tensor]:
        """Return the inputs of a graph."""
        return dict(zip(STEER, self, strict=True))

    @classmethod
    def of(cls, given: Mapping[str, Tensor]) -> "Steering | None":
        """Return what is among the inputs of a graph, or None where it is not steered."""
        return cls(*(given[name] for name in STEER)) if POSE in given else None

    @property
    def where(self) -> Placed:
        """Where to look, for `GlimpseLoop.look`."""
        return Placed(self.pose, self.placed > 0.5)


def neutral(batch: int, glimpses: int, pose_size: int) -> Steering:
    """Return the steering that changes nothing: own poses, everything written."""
    return Steering(*map(torch.from_numpy, still(batch, glimpses, pose_size).values()))


def drawn(batch: int, glimpses: int, identity: Float[Tensor, "p"], generator: torch.Generator) -> Steering:
    """Return steering at random for proofs and examples; the first image of each batch is not steered."""
    poses = identity / 2 + 0.3 * torch.randn(batch, glimpses, len(identity), generator=generator)
    flags = (torch.rand(2, batch, glimpses, 1, generator=generator) > 0.5).float()
    flags[0, 0], flags[1, 0] = 0, 1
    return Steering(poses, flags[0], flags[1])


def look(model: Stawm, images: Float[Tensor, "b c h w"], steering: Steering, noise: Noise | None = None) -> Seen:
    """Look at images where it is said, else where the model looks by itself."""
    context, state = model.loop.init(images)
    n = steering.pose.shape[1]
    placed = [Steering(*(part[:, t] for part in steering)).where for t in range(n)]
    whole = model.loop.prepare(images)
    return Seen(context, *model.loop.walk(whole, n, state, placed=placed, noise=model.policy_noise(noise)))


def recall(
    model: Stawm,
    seen: Seen,
    reads: Mapping[str, Sequence[int]],
    written: Float[Tensor, "b n 1"],
    queries: Mapping[str, Float[Tensor, "b k m"]],
) -> tuple[dict[str, Float[Tensor, "b k m"]], Float[Tensor, "b m m"]]:
    """Return what each head reads, and the memory in the end, where some glimpses were never written.

    The slow way: for each image by itself the others are written as if there had been no more.
    """
    answers: dict[str, list[Tensor]] = {name: [] for name in reads}
    matrices = []
    for image, kept in enumerate((written > 0.5).squeeze(-1)):
        rows = slice(image, image + 1)
        counts = [0, *kept.cumsum(0).tolist()]
        alone = Seen(seen.context[rows], None, seen.memory_input[rows][:, kept], None)
        times = {name: [counts[r] for r in times] for name, times in reads.items()}
        asked = {name: query[rows] for name, query in queries.items()}
        found, state = model.remember(alone, times, queries=asked)
        matrices.append(model.memory.matrix(state.memory))
        for name in reads:
            answers[name].append(found[name])
    return {name: torch.cat(parts) for name, parts in answers.items()}, torch.cat(matrices)


def shares(model: Stawm, seen: Seen, written: Float[Tensor, "b n 1"]) -> Float[Tensor, "b n classes"]:
    """Return each write's share of each logit, newest last, where some glimpses were never written.

    There are as many rows as glimpses; those for which there was no write come first, and are zero.
    """
    found = []
    for image, kept in enumerate((written > 0.5).squeeze(-1)):
        rows = slice(image, image + 1)
        alone = Seen(seen.context[rows], None, seen.memory_input[rows][:, kept], None)
        own = evidence(model, alone).shares if bool(kept.any()) else seen.context.new_zeros(1, 0, _classes(model))
        found.append(nn.functional.pad(own, (0, 0, len(kept) - own.shape[1], 0)))
    return torch.cat(found)


def _classes(model: Stawm) -> int:
    return check_sums_up(model).config.classes
