"""Training a readout on what is frozen: that is computed once, and only what learns is run in each step.

A self-supervised model stands on the glimpse loop of a drawing model, which stays as it is. What the loop gives
of an image, its context features and the memory inputs e_1 ... e_N, is then the same in every epoch. A baseline stands
on the features of another one, and has no memory inputs: n and m are 0.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from stawm.heads.config import called
from stawm.heads.output import Output
from stawm.models.baseline import Baseline
from stawm.models.config import SharedConfig
from stawm.models.model import Seen, Stawm, evaluating
from stawm.models.pixels import to_unit
from stawm.training.data import ImageSet, Index, batches
from stawm.training.data.augment import Augmentation, augment
from stawm.training.evaluation import Evaluation, unfinished, wilson
from stawm.training.learner import Learned, Learner, Weights, largest_square
from stawm.training.run import Run

BATCH = 512
Readable: TypeAlias = Stawm | Baseline
"""A model of which a readout can learn alone."""


@dataclass(frozen=True)
class Kept:
    """Images by what frozen glimpses, or the frozen features of a baseline, gave of them.

    Attributes:
        labels: The class of each image.
        context: The features, in one or several passes with augmentations of their own.
        memory_input: e, likewise.
    """

    labels: Int[Tensor, "count"]
    context: Float[Tensor, "p count f"]
    memory_input: Float[Tensor, "p count n m"]

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, batches: Sequence[Index]) -> Iterator[tuple[Tensor, Tensor]]:
        """Go through the images by their numbers, with their classes."""
        numbers = torch.arange(len(self), device=self.labels.device)
        return ((numbers[index], self.labels[index]) for index in batches)

    def seen(self, each: int | Tensor, index: Index) -> Seen:
        """Return what one pass gave of some images, or of each image the pass that is named for it."""
        return Seen(self.context[each, index], None, self.memory_input[each, index])


def can_keep(config: SharedConfig) -> bool:
    """Whether what frozen glimpses give can be kept: other heads may need the glimpses, and dropout changes them."""
    still = getattr(config, "frozen_loop", "evaluation") == "evaluation"
    return config.is_readout and still and [called(head) for head in config.heads] == ["classification"]


@torch.no_grad()
def keep(
    model: Readable, images: ImageSet, *, passes: int = 1, augmentation: Augmentation | None = None, seed: int = 0
) -> Kept:
    """Look at every image, and keep what that gives.

    Args:
        model: The model, of which all below the heads is frozen; the result is kept on its device.
        images: The images.
        passes: How often each image is looked at.
        augmentation: How it is changed each time; not at all where left out.
        seed: Decides the changes.
    """
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    with evaluating(model):
        one = _frozen(model, torch.zeros(1, *model.config.image, device=device))
        contexts, inputs = (
            torch.empty(passes, len(images), *part.shape[1:], device=device) for part in (one.context, one.memory_input)
        )
        for each in range(passes):
            start = 0
            for raw, _ in batches(images, BATCH):
                pixels = to_unit(raw.to(device))
                pixels = pixels if augmentation is None else augment(pixels, augmentation, generator)
                seen = _frozen(model, model.normalise(pixels))
                rows = slice(start, start := start + len(raw))
                contexts[each, rows], inputs[each, rows] = seen.context, seen.memory_input
    return Kept(images.labels.to(device), contexts, inputs)


def _frozen(model: Readable, images: Tensor) -> Seen:
    """Return what all below the heads gives of images."""
    if isinstance(model, Stawm):
        return model.look(images, model.config.glimpses)
    features = model.look(images)
    return Seen(features, None, features.new_empty(len(images), 0, 0))


def answer(model: Readable, seen: Seen) -> Output:
    """Return what a model answers where what is frozen gave this."""
    if isinstance(model, Baseline):
        return model.answer(seen.context)
    return model.answer(seen, model.recall(seen, model.reads(seen.memory_input.shape[1])))


class ReadoutLearner(Learner):
    """Gives the loss of a batch of which what is frozen is known."""

    model: Readable

    def forward(
        self,
        context: Float[Tensor, "b f"],
        memory_input: Float[Tensor, "b n m"],
        labels: Int[Tensor, "b"],
        mean: float = 1.0,
        total: float = 1.0,
    ) -> Learned:
        """Return the parts of the loss; see `Learner`."""
        with torch.autocast(context.device.type, torch.bfloat16, enabled=self.bf16):
            output = answer(self.model, Seen(context, None, memory_input))
        parts = self.model.loss_parts(output, None, labels)
        largest = largest_square(memory_input) if memory_input.shape[1] else context.new_zeros(())
        return self.weigh(parts, output, labels, Weights(mean, total)), largest


class ReadoutRun(Run):
    """Trains the readout of a model on what is frozen, which is computed before training starts.

    That is done in so many ``passes``: one of the images as they are, or several, each augmented; a step then takes one
    of them for each of its images.
    """

    model: Readable
    kept: Kept

    def __init__(self, *args: Any, passes: int = 1, **options: Any) -> None:
        self.passes = passes
        super().__init__(*args, **options)

    def _make_learner(self) -> ReadoutLearner:
        smoothing = self.recipe.label_smoothing
        return ReadoutLearner(self.model, label_smoothing=smoothing, bf16=self.precision == "bf16")

    def prepare(self, images: ImageSet, *, learn: bool = False) -> Kept:
        """Return what all that is frozen gives of a set."""
        augmentation = self.recipe.augmentation if learn and self.passes > 1 else None
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            passes = self.passes if learn else 1
            kept = keep(self.model, images, passes=passes, augmentation=augmentation, seed=self.seed)
        if learn:
            self.kept = kept
        return kept

    def inputs(self, raw: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return context features and memory inputs of images by their numbers, of one of the passes each."""
        chosen = torch.randint(self.passes, raw.shape, generator=generator, device=self.device)
        seen = self.kept.seen(chosen, raw)
        return seen.context, seen.memory_input

    def measure(self, prepared: Kept) -> dict[str, Any]:
        """Return how good the kept model is on a set."""
        model: Any = self.result
        wrong, lost, count = 0, 0, len(prepared)
        with evaluating(model):
            for index, labels in batches(prepared, BATCH):
                logits: Any = answer(model, prepared.seen(0, index)).logits
                wrong += int((logits.argmax(dim=-1) != labels).sum())
                lost += int((~logits.isfinite().all(dim=-1)).sum())
        if lost:
            return Evaluation(images=count, unanswered=lost, notes=(unfinished("error", lost, count),)).as_dict()
        return Evaluation(images=count, error=wrong / count, interval=wilson(wrong, count)).as_dict()
