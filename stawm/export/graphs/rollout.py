"""The rollout graph: all glimpses of an image, one after the other, in one graph."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from stawm.core.sizes import extent
from stawm.export.graphs.fields import RECALL, flatten
from stawm.export.graphs.graph import Graph, State
from stawm.heads.output import Noise
from stawm.models.model import Model
from stawm.nn.glimpse_loop import flatten_time
from stawm.nn.precision import full_precision


class Rollout(Graph):
    """A whole model: from images to the fields of its output."""

    def __init__(self, model: Model, glimpses: int | None, outputs: Sequence[str], noise: Sequence[str] = ()) -> None:
        """Wrap a model.

        Args:
            model: The model.
            glimpses: How many glimpses are taken; None for a baseline.
            outputs: What to return, by name.
            noise: The random numbers that are put in, by the fields of `Noise`.
        """
        super().__init__()
        self.model: Any = model  # a model, or where no glimpses are taken a baseline
        self.sides = model.config.sides
        self.glimpses = glimpses
        self.inputs = ("image", *(f"noise_{name}" for name in noise))
        self.outputs = tuple(outputs)

    def compute(self, given: State) -> Mapping[str, Any]:
        """Return everything that the model computes for these outputs."""
        noise, outputs = Noise(given.get("noise_latent"), given.get("noise_mask")), set(self.outputs)
        if self.glimpses is None:
            return _floats(flatten(self.model.answer(self.model.look(given["image"]), noise)))
        every = bool({"glimpse_logits", "confidence"} & outputs)
        seen = self.model.look(given["image"], self.glimpses)
        recalled = self.model.recall(seen, self.model.reads(self.glimpses, every=every))
        named = flatten(self.model.answer(seen, recalled, noise))
        named |= {RECALL + name: answers for name, answers in recalled.items()}
        if every and "glimpse_logits" in named:
            named["confidence"] = named["glimpse_logits"].amax(dim=-1).exp()
        if "corners" in outputs:
            size = (extent(given["image"]),) if self.sides else ()
            corners = self.model.locator.frame(full_precision(flatten_time(named["pose"])), *size)
            named["corners"] = corners.unflatten(0, (-1, self.glimpses))
        return _floats(named)


def _floats(named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: full_precision(value) for name, value in named.items()}
