"""Anytime inference: each image is looked at for as long as it needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from stawm.export.run.walk import Named, Run, Walk, of_glimpse

UNTIL = 0.9
"""The probability at which an image is done where none is asked for."""


@dataclass(frozen=True)
class Looked:
    """What looking came to.

    Attributes:
        logits: The answer of each image after its last glimpse.
        confidence: The probability of its most probable class.
        glimpses: How many glimpses each image was given.
    """

    logits: Float[Tensor, "b classes"]
    confidence: Float[Tensor, "b"]
    glimpses: Int[Tensor, "b"]

    @property
    def labels(self) -> Int[Tensor, "b"]:
        """The most probable class of each image."""
        return self.logits.argmax(dim=1)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {name: getattr(self, name).tolist() for name in ("labels", "confidence", "glimpses")}

    @classmethod
    def join(cls, parts: Sequence["Looked"]) -> "Looked":
        """Put batches together."""
        logits, confidence, glimpses = (
            torch.cat([getattr(part, name) for part in parts]) for name in ("logits", "confidence", "glimpses")
        )
        return cls(logits, confidence, glimpses)


def look(run: Run, takes: Mapping[str, Sequence[str]], inputs: Named, glimpses: int, until: float) -> Looked:
    """Look at a batch of images; those that are done are left out of the runs that follow.

    Args:
        run: Runs a part of a step graph.
        takes: The inputs of each part.
        inputs: The images, and for all glimpses random numbers and how they are steered.
        glimpses: The most glimpses.
        until: The probability at which an image is done.
    """
    walk = Walk(run, takes, inputs["image"])
    left = torch.arange(len(inputs["image"]))
    rows: list[Tensor] = []
    parts: list[Looked] = []
    for t in range(1, glimpses + 1):
        walk.look({name: value[left.to(value.device)] for name, value in of_glimpse(inputs, t - 1).items()})
        found = {name: value.cpu() for name, value in walk.read().items() if name in ("logits", "confidence")}
        done = found["confidence"] >= until if t < glimpses else torch.ones_like(left, dtype=torch.bool)
        rows.append(left[done])
        parts.append(Looked(found["logits"][done], found["confidence"][done], torch.full_like(left[done], t)))
        left = left[~done]
        if len(left) == 0:
            break
        if bool(done.any()):
            walk.keep(~done)
    order = torch.cat(rows).argsort()
    together = Looked.join(parts)
    return Looked(together.logits[order], together.confidence[order], together.glimpses[order])
