"""Training a readout on frozen glimpses: they are computed once, and only what learns is run in each step.

A self-supervised model stands on the glimpse loop of a drawing model, which stays as it is. What the loop gives
of an image, its context features and the memory inputs e_1 ... e_N, is then the same in every epoch.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from stawm.heads.classification import ClassificationHead, classification_losses
from stawm.heads.output import Output
from stawm.models.config import ModelConfig, SharedConfig
from stawm.models.model import Stawm
from stawm.models.pixels import to_unit
from stawm.nn.precision import without_autocast
from stawm.training.data import ImageSet, batches
from stawm.training.data.augment import Augmentation, augment
from stawm.training.evaluation import Evaluation, wilson
from stawm.training.learner import Learned, Learner, Weights, largest_square
from stawm.training.run import Run

BATCH = 512


@dataclass(frozen=True)
class Kept(ImageSet):
    """A set of images by what frozen glimpses gave of them; ``images`` holds the number of each.

    Attributes:
        context: The context features, in one or several passes with augmentations of their own.
        memory_input: e, likewise.
    """

    context: Float[Tensor, "p count f"] | None = None
    memory_input: Float[Tensor, "p count n m"] | None = None


def is_frozen(config: SharedConfig) -> bool:
    """Whether only the readout of a model learns."""
    return isinstance(config, ModelConfig) and config.trainable == "readout"


def can_keep(config: SharedConfig) -> bool:
    """Whether what the frozen glimpses give can be kept: heads that draw need the glimpses themselves."""
    return is_frozen(config) and all(isinstance(head, ClassificationHead.Config) for head in config.heads)


@torch.no_grad()
def keep(
    model: Stawm, images: ImageSet, *, passes: int = 1, augmentation: Augmentation | None = None, seed: int = 0
) -> Kept:
    """Look at every image, and keep what that gives.

    Args:
        model: The model whose loop is frozen; the result is kept on its device.
        images: The images.
        passes: How often each image is looked at.
        augmentation: How it is changed each time; not at all where left out.
        seed: Decides the changes.
    """
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    model.loop.eval()
    count, n, m = len(images), model.config.glimpses, model.config.memory_size
    contexts = torch.empty(passes, count, model.loop.context.features, device=device)
    inputs = torch.empty(passes, count, n, m, device=device)
    for each in range(passes):
        start = 0
        for raw, _ in batches(images, BATCH):
            pixels = to_unit(raw.to(device))
            pixels = pixels if augmentation is None else augment(pixels, augmentation, generator)
            context, _, memory_input = model.loop(model.normalise(pixels), n)
            rows = slice(start, start := start + len(raw))
            contexts[each, rows], inputs[each, rows] = context, memory_input
    labels, numbers = images.labels.to(device), torch.arange(count, device=device)
    return Kept(numbers, labels, images.class_names, context=contexts, memory_input=inputs)


def answer(
    model: Stawm, context: Float[Tensor, "b f"], memory_input: Float[Tensor, "b n m"]
) -> Float[Tensor, "b classes"]:
    """Return the logits that a model gives where its loop gave this."""
    head: Any = model.heads["classification"]
    query = head.query(context).unsqueeze(1)
    with without_autocast(memory_input):
        answers, _ = model.memory.unroll(memory_input, query, [memory_input.shape[1]])
    return head.classifier(answers[:, 0].clamp(0, 6))


class ReadoutLearner(Learner):
    """Gives the loss of a batch of which the glimpses are known."""

    model: Stawm

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
            logits = answer(self.model, context, memory_input)
        parts = classification_losses(self.model.config.head("classification"), Output(logits=logits), labels)
        return self.weigh(parts, logits, labels, Weights(mean, total)), largest_square(memory_input)


class ReadoutRun(Run):
    """Trains the readout of a model with frozen glimpses, which are computed once."""

    model: Stawm
    kept: Kept

    def __init__(self, *args: Any, passes: int = 1, **options: Any) -> None:
        """Make the run.

        Args:
            *args: As of `Run`.
            passes: How often each training image is looked at before training starts: once as it is, or
                several times, each time augmented; a step then takes one of them for each of its images.
            **options: As of `Run`.
        """
        self.passes = passes
        super().__init__(*args, **options)

    def _make_learner(self) -> ReadoutLearner:
        smoothing = self.recipe.label_smoothing
        return ReadoutLearner(self.model, label_smoothing=smoothing, bf16=self.precision == "bf16")

    def prepare(self, images: ImageSet, *, learn: bool = False) -> Kept:
        """Return what the frozen glimpses give of a set."""
        augmentation = self.recipe.augmentation if learn and self.passes > 1 else None
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            kept = keep(
                self.model,
                images,
                passes=self.passes if learn else 1,
                augmentation=augmentation,
                seed=self.seed,
            )
        if learn:
            self.kept = kept
        return kept

    def inputs(self, raw: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return context features and memory inputs of images by their numbers, of one of the passes each."""
        assert self.kept.context is not None
        assert self.kept.memory_input is not None
        chosen = torch.randint(self.passes, raw.shape, generator=generator, device=self.device)
        return self.kept.context[chosen, raw], self.kept.memory_input[chosen, raw]

    @torch.no_grad()
    def measure(self, prepared: Kept) -> dict[str, Any]:
        """Return how good the kept model is on a set."""
        assert prepared.context is not None
        assert prepared.memory_input is not None
        model: Any = self.result.eval()
        pairs = zip(prepared.context[0].split(BATCH), prepared.memory_input[0].split(BATCH), strict=True)
        guesses = torch.cat([answer(model, *pair).argmax(dim=-1) for pair in pairs])
        wrong, count = int((guesses != prepared.labels).sum()), len(prepared)
        return Evaluation(images=count, error=wrong / count, interval=wilson(wrong, count)).as_dict()
