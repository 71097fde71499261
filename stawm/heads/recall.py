"""Recall: questions that are put after looking, one read of the finished memory for each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

from stawm.configuration import FRACTION, SIZE
from stawm.errors import InputError
from stawm.heads.base import Carried, Fields, Query, Scene
from stawm.heads.classification import Classifier
from stawm.heads.config import HeadConfig
from stawm.heads.cued import CuedHead
from stawm.heads.output import Output
from stawm.nn.precision import WideLinear, full_precision

HOLE = -1
"""The target of a question that has none: it is not learned, and not measured."""


class RecallHead(CuedHead):
    """Asks the finished memory questions, by cues that are given after looking, and answers each by a class.

    A query is q = ReLU6(c), c being what is learned of the cue: a row of an embedding where questions are numbered, or
    a projection of a vector. With the context beside it q = ReLU6(c + ReLU6(U f)), f being the detached features of the
    whole image, as in `stawm.heads.base.Query`.

    Attributes:
        cue: From a cue to c.
        query: From the context features to what is added; only with ``context``.
        hidden: The layer of the read-out before its last; only with ``hidden``.
        classifier: From what was read, or the hidden layer, to the answers.
    """

    fields: ClassVar = {"answers": "b k classes"}
    targets = "answers"

    @dataclass(frozen=True, kw_only=True)
    class Config(HeadConfig):
        """What the head alone decides."""

        name: str = "recall"
        cues: Annotated[int, SIZE] | None = 4
        """How many questions there are, by their numbers; null where a question is a vector."""
        cue_size: Annotated[int, SIZE] | None = None
        """How many numbers a question is made of, where it is a vector; null where questions are numbered."""
        cue_names: tuple[str, ...] = ()
        """What the numbered questions are called; may be left empty."""
        classes: Annotated[int, SIZE] = 10
        """How many answers there are."""
        context: bool = False
        """Whether the query is made of the context of the whole image too, beside the cue."""
        hidden: Annotated[int, SIZE] | None = None
        """How wide a hidden layer of the read-out is; null reads the answers linearly off what was read."""
        dropout: Annotated[float, FRACTION] | None = None
        """The rate on what the context gives to the query; the model's where null."""

        def faults(self) -> list[str]:
            """Return what is wrong with the label, and between the fields."""
            found = super().faults()
            if (self.cues is None) == (self.cue_size is None):
                found.append(
                    f"{self.name}: one of cues and cue_size is a number and the other is null; got cues "
                    f"{self.cues} and cue_size {self.cue_size}."
                )
            if self.cue_names and len(self.cue_names) != self.cues:
                found.append(f"{self.name}: cue_names has {len(self.cue_names)} names for {self.cues} cues.")
            return found

    def __init__(
        self, config: Config | None = None, *, context_features: int, memory_size: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.config = config = config or self.Config()
        self.cues, self.cue_size = config.cues, config.cue_size
        self.cue = (
            nn.Embedding(self.cues, memory_size)
            if self.cues is not None
            else WideLinear(self.cue_size or 0, memory_size)
        )
        if config.context:
            rate = dropout if config.dropout is None else config.dropout
            self.query = Query(context_features, memory_size, rate)
        self.hidden = None if config.hidden is None else WideLinear(memory_size, config.hidden)
        self.classifier = Classifier(config.hidden or memory_size, config.classes)

    def beside(self, context: Float[Tensor, "b f"]) -> Float[Tensor, "b m"] | None:
        """Return ReLU6(U f), or None where questions stand alone."""
        return self.query(context) if self.config.context else None

    def ask(self, beside: Float[Tensor, "b m"] | None, cue: Shaped[Tensor, "b k *d"]) -> Float[Tensor, "b k m"]:
        """Return the queries."""
        asked = full_precision(self.cue(cue.long() if self.cues is not None else cue))
        return (asked if beside is None else asked + beside.unsqueeze(1)).clamp(0, 6)

    def observe(self, answers: Float[Tensor, "b k m"], scene: Scene) -> tuple[Fields, Carried]:
        """Return the logarithms of the answers' probabilities, for each question."""
        found = answers if self.hidden is None else self.hidden(answers).relu()
        return {}, {"answers": self.classifier(found)}

    def losses(
        self, output: Output, images: Float[Tensor, "b c h w"] | None, targets: Int64[Tensor, "b k"] | None
    ) -> dict[str, Tensor]:
        """Return the cross entropy, averaged over each image's questions that have a target, then over images."""
        return {"recall": recall_loss(output.answers, self._checked(output, targets))}

    def measure(self, output: Output, targets: Int64[Tensor, "b k"]) -> dict[str, Tensor]:
        """Return, question by question, how many answers are wanted, how many are wrong, and their surprise."""
        wanted, logits = self._checked(output, targets), output.answers.double()
        asked = wanted != HOLE
        wrong = asked & (logits.argmax(dim=-1) != wanted)
        surprise = -logits.gather(-1, wanted.clamp(min=0).unsqueeze(-1)).squeeze(-1) * asked
        return {"asked": asked.sum(dim=0), "wrong": wrong.sum(dim=0), "nll": surprise.sum(dim=0)}

    def figures(self, sums: Mapping[str, Tensor], count: int) -> dict[str, Any]:
        """Return the error over all questions that have a target, the surprise, and the error of each question.

        The error of a question that was never asked is not known: None.
        """
        names = self.config.cue_names or tuple(map(str, range(len(sums["asked"]))))
        asked, wrong = (sums[name].tolist() for name in ("asked", "wrong"))
        whole = sum(asked)
        by_cue = [lost / times if times else None for lost, times in zip(wrong, asked, strict=True)]
        return {
            "error": sum(wrong) / whole if whole else None,
            "nll": sums["nll"].sum().item() / whole if whole else None,
            "error_by_cue": dict(zip(names, by_cue, strict=True)),
        }

    def _checked(self, output: Output, targets: Tensor | None) -> Tensor:
        shape = tuple(output.answers.shape[:2])
        if targets is None or targets.is_floating_point() or tuple(targets.shape) != shape:
            got = "none" if targets is None else f"{targets.dtype} of shape {tuple(targets.shape)}"
            raise InputError(
                f"The head {self.config.name!r} learns the numbers of answers, {HOLE} where there is none, of shape "
                f"{shape}; got {got}."
            )
        return targets.long()


def recall_loss(
    answers: Float[Tensor, "b k classes"], targets: Int64[Tensor, "b k"], label_smoothing: float = 0.0
) -> Float[Tensor, ""]:
    """Return the cross entropy, averaged over each image's questions that have a target, then over images.

    So each image counts alike, however many of its questions have a target; one without any counts nothing.
    """
    each = F.cross_entropy(
        answers.flatten(0, 1), targets.flatten(), ignore_index=HOLE, label_smoothing=label_smoothing, reduction="none"
    ).view(targets.shape)
    asked = (targets != HOLE).sum(dim=1).clamp(min=1)
    return torch.mean(each.sum(dim=1) / asked)
