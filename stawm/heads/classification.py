"""Classification: one read of the finished memory, one linear layer (paper, Figure 3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from stawm.configuration import FRACTION, NON_NEGATIVE, SIZE
from stawm.errors import InputError
from stawm.heads.base import Carried, Fields, LastRead, Scene
from stawm.heads.config import HeadConfig
from stawm.heads.losses import classification_loss
from stawm.heads.output import Output
from stawm.nn.precision import full_precision


class Classifier(nn.Module):
    """A linear layer and a LogSoftmax."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, classes)

    def forward(self, x: Float[Tensor, "*b f"]) -> Float[Tensor, "*b classes"]:
        """Return the logarithms of the class probabilities."""
        return full_precision(self.linear(x)).log_softmax(dim=-1)


class ClassificationHead(LastRead):
    """Reads the memory after the last glimpse and classifies what it read."""

    fields: ClassVar = {"glimpse_logits": "b n classes", "logits": "b classes"}
    targets = "classes"

    @dataclass(frozen=True, kw_only=True)
    class Config(HeadConfig):
        """What the head alone decides."""

        name: str = "classification"
        classes: Annotated[int, SIZE] = 10
        """How many classes there are."""
        dropout: Annotated[float, FRACTION] | None = None
        """The rate on the query; the model's where null."""
        reduction: Literal["mean", "sum"] = "mean"
        """How the loss is taken over the batch; the sketchpad sums, to match its other losses."""
        early: Annotated[float, NON_NEGATIVE] = 0.0
        """The weight of a further loss, that of the reads before the last, averaged over them. A model that shall stop
        when it is sure learns by it to answer early; 0 trains the last read alone, as the paper does."""

        @property
        def summed_losses(self) -> tuple[str, ...]:
            """The losses that are summed over the batch and not averaged."""
            return ("classification", "early") if self.reduction == "sum" else ()

    def __init__(
        self, config: Config | None = None, *, context_features: int, memory_size: int, dropout: float = 0.0
    ) -> None:
        super().__init__(config or self.Config(), context_features, memory_size, dropout)
        self.classifier = Classifier(memory_size, self.config.classes)
        self.learns_early = self.config.early > 0

    def reads(self, glimpses: int, *, every: bool = False) -> Sequence[int]:
        """Read once, after the last glimpse, unless every glimpse is asked for."""
        return range(1 if every else glimpses, glimpses + 1)

    def observe(self, answers: Float[Tensor, "b k m"], scene: Scene) -> tuple[Fields, Carried]:
        """Return the logits of every read."""
        logits = self.classifier(answers)
        return {"glimpse_logits": logits}, {"logits": logits}

    def losses(
        self, output: Output, images: Float[Tensor, "b c h w"] | None, targets: Int[Tensor, "b"] | None
    ) -> dict[str, Tensor]:
        """Return the cross entropy; where early reads are learned from, also theirs."""
        return classification_losses(self.config, output, targets) | early_losses(self.config, output, targets)

    def measure(self, output: Output, targets: Int[Tensor, "b"]) -> dict[str, Tensor]:
        """Return how many answers are wrong, and their surprise; nothing without a label, as `evaluate` does it then.

        That is the answer of the model, which has names of classes, mistakes and a calibration too.
        """
        if self.config.label is None or output.logits is None:
            return {}
        logits = output.logits.double()
        wrong, surprise = logits.argmax(dim=-1) != targets, -logits.gather(1, targets[:, None])
        return {"wrong": wrong.sum(), "nll": surprise.sum()}

    def figures(self, sums: Mapping[str, Tensor], count: int) -> dict[str, Any]:
        """Return the error and the negative log-likelihood of the true class."""
        return {"error": sums["wrong"].item() / count, "nll": sums["nll"].item() / count} if sums else {}


def classification_losses(
    config: ClassificationHead.Config, output: Output, labels: Int[Tensor, "b"] | None
) -> dict[str, Tensor]:
    """Return the cross entropy by name.

    Raises:
        InputError: There are no labels.
    """
    if labels is None or output.logits is None:
        raise InputError("A model that classifies needs labels for its loss; none were given.")
    return {"classification": classification_loss(output.logits, labels, config.reduction)}


def early_losses(
    config: ClassificationHead.Config, output: Output, labels: Int[Tensor, "b"] | None
) -> dict[str, Tensor]:
    """Return the weighed cross entropy of the answers before the last, averaged over them; nothing without a weight."""
    logits = output.glimpse_logits
    if labels is None or not config.early or logits is None or logits.shape[1] < 2:
        return {}
    early = [classification_loss(read, labels, config.reduction) for read in logits[:, :-1].unbind(1)]
    return {"early": config.early * torch.stack(early).mean()}
