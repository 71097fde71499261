"""A model with its loss, as one module: the whole of what is spread over processes and compiled."""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stawm.heads.base import Targets
from stawm.heads.classification import ClassificationHead
from stawm.heads.config import called, prefix
from stawm.heads.losses import classification_loss, weighed
from stawm.heads.output import Output
from stawm.heads.recall import RecallHead, recall_loss
from stawm.models.config import SharedConfig
from stawm.models.model import Model


class Weights(NamedTuple):
    """What a process's losses are multiplied by, so that gradients averaged over processes are one process's.

    Attributes:
        mean: For losses that are averaged over the batch.
        total: For losses that are summed over it.
    """

    mean: float = 1.0
    total: float = 1.0

    @classmethod
    def of_share(cls, own: int, whole: int, world: int) -> "Weights":
        """Return the weights of a process that holds some of the images of a batch.

        Args:
            own: Images that the process holds; it may be none.
            whole: Images in the batch, over all processes.
            world: How many processes there are.
        """
        return cls(world * own / whole, float(world) if own else 0.0)


WHOLE = Weights()
"""Of a process that holds the whole batch."""

Learned: TypeAlias = tuple[dict[str, Tensor], Tensor]
"""The parts of the loss by name, of which only ``total`` has a gradient, and the largest |e|² in the batch."""


class Learner(nn.Module):
    """Gives the loss of a batch."""

    def __init__(
        self,
        model: Model,
        *,
        label_smoothing: float = 0.0,
        pose_clip: float | None = None,
        bf16: bool = False,
        samples: int = 1,
    ) -> None:
        super().__init__()
        self.model, self.samples = model, samples
        self.label_smoothing, self.pose_clip, self.bf16 = label_smoothing, pose_clip, bf16

    def forward(
        self, pixels: Float[Tensor, "b c h w"], labels: Targets, mean: float = 1.0, total: float = 1.0
    ) -> Learned:
        """Return the parts of the loss.

        Args:
            pixels: The images, as pixel values in [0, 1].
            labels: Their classes, or what else is learned.
            mean: The weight of averaged losses (see `Weights`).
            total: The weight of summed losses.
        """
        if self.samples > 1:
            pixels, labels = (_repeated(x, self.samples) for x in (pixels, labels))
            total = total / self.samples
        images = self.model.normalise(pixels)
        with torch.autocast(pixels.device.type, torch.bfloat16, enabled=self.bf16):
            output = self.model(images, **self._clipping(mean / len(images), total))
        parts = self.model.loss_parts(output, pixels, labels)
        written = None if output.trace is None else output.trace.memory_input
        largest = pixels.new_zeros(()) if written is None else largest_square(written)
        return self.weigh(parts, output, labels, Weights(mean, total)), largest

    def _clipping(self, averaged: float, summed: float) -> dict[str, float]:
        """Return the limit of a pose's gradient: of one image's loss by its weight, averaged or summed."""
        if self.pose_clip is None or self.model.config.glimpses is None:
            return {}
        return {"pose_clip": self.pose_clip * (summed if summed_losses(self.model.config) else averaged)}

    def weigh(self, parts: dict[str, Tensor], output: Output, labels: Targets, weights: Weights) -> dict[str, Tensor]:
        """Weigh and add up the parts; smoothed labels are in the total only, so that losses can be compared."""
        summed = summed_losses(self.model.config)
        learned = dict(parts)
        if self.label_smoothing:
            learned |= self._smoothed(output, labels)
        by_name = {name: weights.total if name in summed else weights.mean for name in parts}
        total = torch.stack([part * by_name[name] for name, part in learned.items()]).sum()
        return {**{name: part.detach() * by_name[name] for name, part in parts.items()}, "total": total}

    def _smoothed(self, output: Output, labels: Targets) -> dict[str, Tensor]:
        """Return the losses of the heads that classify, by smoothed labels."""
        given = output.named()
        found: dict[str, Tensor] = {}
        for head in self.model.config.heads:
            own: Any = labels.get(called(head)) if isinstance(labels, Mapping) else labels
            if isinstance(head, ClassificationHead.Config):
                logits = given[f"{prefix(head)}logits"]
                loss = classification_loss(logits, own, head.reduction, self.label_smoothing)
                found |= weighed({"classification": loss}, head)
            elif isinstance(head, RecallHead.Config):
                loss = recall_loss(given[f"{prefix(head)}answers"], own.long(), self.label_smoothing)
                found |= weighed({"recall": loss}, head)
        return found


def _repeated(given: Any, times: int) -> Any:
    """Return each row so many times, of several tensors by their names."""
    if isinstance(given, Mapping):
        return {name: _repeated(each, times) for name, each in given.items()}
    return given.repeat_interleave(times, dim=0)


def summed_losses(config: SharedConfig) -> set[str]:
    """Return the names of a model's losses that are summed over the batch; the others are averaged over it."""
    return {prefix(head) + name for head in config.heads for name in getattr(head, "summed_losses", ())}


def largest_square(memory_input: Float[Tensor, "b n m"]) -> Float[Tensor, ""]:
    """Return the largest |e|²: how hard the hardest write drives the memory."""
    return memory_input.detach().square().sum(-1).max()
