"""Several labels at once: one read of the finished memory, one linear layer, k independent flags."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional as F

from stawm.configuration import FRACTION, SIZE
from stawm.errors import InputError
from stawm.heads.base import Carried, Fields, LastRead, Scene
from stawm.heads.config import HeadConfig
from stawm.heads.output import Output
from stawm.nn.precision import WideLinear


class MultilabelHead(LastRead):
    """Reads the memory after the last glimpse and says of each of k labels whether it applies.

    ``output.flag_logits`` are the logarithms of the odds: a label is said to apply where it is above 0, and its
    probability is ``output.flag_logits.sigmoid()``.
    """

    fields: ClassVar = {"flag_logits": "b k"}
    targets = "flags"

    @dataclass(frozen=True, kw_only=True)
    class Config(HeadConfig):
        """What the head alone decides."""

        name: str = "multilabel"
        flags: Annotated[int, SIZE] = 10
        """k, how many labels there are."""
        names: tuple[str, ...] = ()
        """What they are called; may be left empty."""
        dropout: Annotated[float, FRACTION] | None = None
        """The rate on the query; the model's where null."""

        def faults(self) -> list[str]:
            """Return what is wrong with the label, and between the names and the number of flags."""
            found = super().faults()
            if self.names and len(self.names) != self.flags:
                found.append(f"{self.name}: names has {len(self.names)} names for {self.flags} flags.")
            return found

    def __init__(
        self, config: Config | None = None, *, context_features: int, memory_size: int, dropout: float = 0.0
    ) -> None:
        super().__init__(config or self.Config(), context_features, memory_size, dropout)
        self.linear = WideLinear(memory_size, self.config.flags)

    def observe(self, answers: Float[Tensor, "b k m"], scene: Scene) -> tuple[Fields, Carried]:
        """Keep the logits of every read."""
        return {}, {"flag_logits": self.linear(answers)}

    def losses(
        self, output: Output, images: Float[Tensor, "b c h w"] | None, targets: Shaped[Tensor, "b k"] | None
    ) -> dict[str, Tensor]:
        """Return the binary cross entropy, averaged over labels and images."""
        wanted = self._checked(output, targets)
        return {"multilabel": F.binary_cross_entropy_with_logits(output.flag_logits, wanted)}

    def measure(self, output: Output, targets: Shaped[Tensor, "b k"]) -> dict[str, Tensor]:
        """Return, label by label, how often the answer was right, and how often a label was there, said, and both."""
        there, said = self._checked(output, targets) > 0.5, output.flag_logits > 0
        right = said == there
        by_label = {"right": right, "there": there, "said": said, "both": said & there}
        return {name: hits.sum(dim=0) for name, hits in by_label.items()} | {"all_right": right.all(dim=1).sum()}

    def figures(self, sums: Mapping[str, Tensor], count: int) -> dict[str, Any]:
        """Return accuracy and F1 of each label, the mean F1, and the share of images with every label right.

        The F1 of a label that was never there and never said is not known: None, and no part of the mean.
        """
        names = self.config.names or tuple(map(str, range(self.config.flags)))
        cases = zip(sums["both"].tolist(), (sums["there"] + sums["said"]).tolist(), strict=True)
        f1 = [2 * both / either if either else None for both, either in cases]
        known = [score for score in f1 if score is not None]
        return {
            "accuracy": dict(zip(names, (sums["right"] / count).tolist(), strict=True)),
            "f1": dict(zip(names, f1, strict=True)),
            "mean_f1": sum(known) / len(known) if known else None,
            "all_right": sums["all_right"].item() / count,
        }

    def _checked(self, output: Output, targets: Tensor | None) -> Tensor:
        shape = tuple(output.flag_logits.shape)
        if targets is None or tuple(targets.shape) != shape:
            got = "none" if targets is None else f"{targets.dtype} of shape {tuple(targets.shape)}"
            raise InputError(f"The head {self.config.name!r} learns flags, 0 or 1, of shape {shape}; got {got}.")
        return targets.to(output.flag_logits.dtype)
