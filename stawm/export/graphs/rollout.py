"""The rollout graph: all glimpses of an image, one after the other, in one graph."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from stawm.export.graphs.fields import RECALL, flatten
from stawm.export.graphs.graph import Graph, State
from stawm.heads.output import Noise
from stawm.models.baseline import Baseline
from stawm.models.model import Model, Stawm
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
        self.model = model
        self.glimpses = glimpses
        self.inputs = ("image", *(f"noise_{name}" for name in noise))
        self.outputs = tuple(outputs)

    def compute(self, given: State) -> Mapping[str, Any]:
        """Return everything that the model computes for these outputs."""
        noise = Noise(given.get("noise_latent"), given.get("noise_mask"))
        if not isinstance(self.model, Stawm):
            assert isinstance(self.model, Baseline)
            return _floats(flatten(self.model(given["image"], sample=False, noise=noise)))
        every = bool({"glimpse_logits", "confidence"} & set(self.outputs))
        options = {"glimpses": self.glimpses, "glimpse_logits": every, "sample": False, "noise": noise}
        with listening(self.model) as recall:
            output = self.model(given["image"], **options)
        named = flatten(output) | recall
        if output.glimpse_logits is not None:
            named["confidence"] = output.glimpse_logits.amax(dim=-1).exp()
        return _floats(named)


def _floats(named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: full_precision(value) for name, value in named.items()}


@contextlib.contextmanager
def listening(model: Stawm) -> Iterator[dict[str, Tensor]]:
    """Collect what every head reads from the memory."""
    heard: dict[str, Tensor] = {}

    def listen(name: str) -> Any:
        return model.heads[name].register_forward_pre_hook(lambda _, given: heard.__setitem__(RECALL + name, given[0]))

    hooks = [listen(name) for name in model.heads]
    try:
        yield heard
    finally:
        for hook in hooks:
            hook.remove()
