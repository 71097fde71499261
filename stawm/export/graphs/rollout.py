"""The rollout graph: all glimpses of an image, one after the other, in one graph."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from torch import Tensor

from stawm.core.sizes import extent
from stawm.export.graphs import cues, steering
from stawm.export.graphs.fields import flatten
from stawm.export.graphs.graph import Graph, State
from stawm.export.graphs.names import RECALL, STEER, reads_every_glimpse
from stawm.export.graphs.steering import Steering
from stawm.heads.output import Noise
from stawm.models.evidence import evidence
from stawm.models.looker import Looker
from stawm.models.model import Model, Stawm
from stawm.nn.glimpse_loop import flatten_time
from stawm.nn.precision import full_precision


class Rollout(Graph):
    """A whole model: from images to the fields of its output."""

    def __init__(
        self,
        model: Model,
        glimpses: int | None,
        outputs: Sequence[str],
        noise: Sequence[str] = (),
        steered: bool = False,
    ) -> None:
        """Wrap a model.

        Args:
            model: The model.
            glimpses: How many glimpses are taken; None for a baseline.
            outputs: What to return, by name.
            noise: The random numbers that are put in, by the fields of `Noise`.
            steered: Whether where it looks and what is written are inputs too: for proofs, not to be exported.
        """
        super().__init__()
        self.model: Any = model
        self.sides = model.config.sides
        self.glimpses = glimpses
        self.asked = tuple(cues.cue_inputs(model))
        self.inputs = ("image", *self.asked, *(f"noise_{name}" for name in noise), *(STEER if steered else ()))
        self.outputs = tuple(outputs)

    def compute(self, given: State) -> Mapping[str, Any]:
        """Return everything that the model computes for these outputs."""
        noise = Noise(**{name: given.get(f"noise_{name}") for name in Noise._fields})
        outputs = set(self.outputs)
        every = reads_every_glimpse(outputs)
        if isinstance(self.model, Looker):
            named = self._recalled(given, noise, outputs, every)
        else:
            named = flatten(self.model.unroll(given["image"], self.glimpses, noise, every=every))
        if every and "glimpse_logits" in named:
            named["confidence"] = named["glimpse_logits"].amax(dim=-1).exp()
        if "corners" in outputs:
            size = (extent(given["image"]),) if self.sides else ()
            corners = self.model.locator.frame(full_precision(flatten_time(named["pose"])), *size)
            named["corners"] = corners.unflatten(0, (-1, named["pose"].shape[1]))
        return _floats(named)

    def _recalled(self, given: State, noise: Noise, outputs: Collection[str], every: bool) -> dict[str, Tensor]:
        """Return what a model whose heads read gives, and what they read."""
        seen, recalled, matrix = self._remember(given, self.model.reads(self.glimpses, every=every), noise)
        named = flatten(self.model.answer(seen, recalled, noise))
        named |= {RECALL + name: answers for name, answers in recalled.items()}
        if "matrix" in outputs:
            named["matrix"] = matrix()
        if "shares" in outputs:
            named["shares"] = self._shares(given, seen)
        return named

    def _remember(
        self, given: State, reads: Mapping[str, Sequence[int]], noise: Noise
    ) -> tuple[Any, Any, Callable[[], Tensor]]:
        """Return what was seen, what each head reads, and how to get the memory in the end."""
        if (steer := Steering.of(given)) is None:
            seen = self.model.look(given["image"], self.glimpses, noise=noise)
            if not isinstance(self.model, Stawm):
                return seen, self.model.recall(seen, reads), Tensor
            queries = cues.queries(self.model, seen.context, given)
            recalled, state = self.model.remember(seen, reads, queries=queries)
            return seen, recalled, lambda: self.model.memory.matrix(state.memory)
        seen = steering.look(self.model, given["image"], steer, noise)
        queries = cues.queries(self.model, seen.context, given)
        recalled, matrix = steering.recall(self.model, seen, reads, steer.written, queries)
        return seen, recalled, lambda: matrix

    def _shares(self, given: State, seen: Any) -> Tensor:
        """Return what each glimpse gives to each logit; what was not written gives nothing, and comes first."""
        steer = Steering.of(given)
        return evidence(self.model, seen).shares if steer is None else steering.shares(self.model, seen, steer.written)


def _floats(named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: full_precision(value) for name, value in named.items()}
