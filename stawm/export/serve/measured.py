"""A graph where a model is measured: so that the file itself is judged on images, by the same code as its model."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stawm import registry
from stawm.errors import InputError
from stawm.export.serve.session import OnnxModel
from stawm.heads.base import Head, Targets
from stawm.heads.config import called, prefix
from stawm.heads.noise import Shapes
from stawm.heads.output import Output
from stawm.heads.recall import RecallHead
from stawm.heads.together import measures_of
from stawm.models.base import Model
from stawm.models.config import from_mapping


class MeasuredGraph(Model):
    """A graph as `stawm.training.evaluate` takes a model; it only answers.

    Examples:
        >>> import stawm, tempfile
        >>> from stawm.training import data, evaluate
        >>> model, test = stawm.build("stawm-digits", glimpses=1, seed=0), data.load("digits").test
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     report = stawm.export.to_onnx(model, f"{folder}/digits.onnx")
        ...     graph = MeasuredGraph(stawm.export.OnnxModel(f"{folder}/digits.onnx", device="cpu"))
        >>> evaluate(graph, test).error == evaluate(model, test).error
        True
    """

    def __init__(self, graph: OnnxModel) -> None:
        """Take a graph.

        Raises:
            ConfigError, UnknownNameError: Its configuration names components that are not registered here.
            InputError: It gives neither classes, nor a picture, nor answers, which are what is measured of a graph.
        """
        with registry.for_stranger():
            super().__init__(from_mapping(graph.info.config))
        given = {*graph.info.fields}
        asked = [h for h in self.config.heads if isinstance(h, RecallHead.Config) and f"{prefix(h)}answers" in given]
        if not ({"logits", "canvas"} & given or asked):
            raise InputError(
                f"{graph.path} gives {', '.join(graph.info.fields)}: only its logits, its canvas or its answers can be "
                "measured."
            )
        self.heads: dict[str, Head] = {called(h): RecallHead(h, context_features=1, memory_size=1) for h in asked}
        self.graph = graph
        self.place = nn.Parameter(torch.zeros(()), requires_grad=False)  # which says where, and in what type, images go

    def normalise(self, pixels: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Return the pixels: the graph's session normalises them itself."""
        return pixels

    def forward(self, images: Float[Tensor, "b c h w"], **options: Any) -> Output:
        """Return what the graph gives; of what is asked beyond that only what it has.

        Raises:
            InputError: Random numbers are asked for: a graph draws none.
        """
        if options.get("sample"):
            raise InputError("A graph is measured without randomness: it draws no random numbers.")
        return self.graph(images, glimpse_logits=bool(options.get("glimpse_logits")))

    @property
    def named_heads(self) -> dict[str, Head]:
        """The heads that measure what they answered, by name; what they would learn is in the graph."""
        return self.heads

    def measures(self, output: Output, labels: Targets) -> dict[str, dict[str, Tensor]]:
        """Return what heads that are asked say of how good the answers are, summed over the batch."""
        return measures_of(self.heads, output, labels)

    def loss_parts(
        self, output: Output, pixels: Float[Tensor, "b c h w"] | None, labels: Targets | None
    ) -> dict[str, Tensor]:
        """Return nothing: a graph does not learn."""
        return {}

    def noise_shapes(self, glimpses: int) -> Shapes:
        """Return nothing: a graph draws no random numbers."""
        return {}
