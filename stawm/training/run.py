"""A run: a model, its recipe, and one step of learning.

Everything random in a step follows from the run's seed, the number of the step and the process alone.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from stawm.errors import InputError
from stawm.heads.base import Targets
from stawm.models.config import SharedConfig
from stawm.models.model import Model, evaluating
from stawm.models.pixels import to_unit
from stawm.storage.pretrained import construct_seeded, with_weights
from stawm.training import divergence
from stawm.training.captured import Captured
from stawm.training.data import Examples, ImageSet, Located
from stawm.training.data.augment import augment
from stawm.training.endings import compiling
from stawm.training.evaluation import evaluate
from stawm.training.learner import WHOLE, Learner, Weights
from stawm.training.processes import make_accelerator
from stawm.training.recipes import Recipe

FUSED_ON = {"cpu", "cuda"}
"""Devices on which PyTorch updates all weights of a model in one kernel."""
MOMENTS = {"sgd": 1, "adam": 2, "adamw": 2}
"""How many numbers an optimiser keeps for every weight."""
WATCH_EVERY = 20
"""Steps from one reading of the numbers to the next, where reading them means waiting for the device."""


class Numbers(NamedTuple):
    """The numbers of one step, over all processes.

    Attributes:
        losses: The parts of the loss.
        watched: ``gradient_norm`` before clipping, and ``largest_input``, the largest |e|².
    """

    losses: dict[str, float]
    watched: dict[str, float]


class Run:
    """A model, its recipe, and where both stand.

    Attributes:
        model: The model that learns.
        result: The model that is kept: the running average of the weights, or the model itself.
        step: How many steps were made.
        numbers: Those of the last step, where they were looked at.
    """

    def __init__(
        self,
        config: SharedConfig,
        recipe: Recipe,
        *,
        seed: int = 0,
        precision: str = "fp32",
        cpu: bool = False,
        compile: bool = False,
        capture: bool = False,
        start: Path | None = None,
        partial: bool = False,
    ) -> None:
        """Build the model on the device that there is, and the optimiser.

        The keyword arguments are the options of that name, see `RunOptions`; ``start`` is a checkpoint. A model is
        compiled once for batches of every size, on a GPU into CUDA graphs.
        """
        self.accelerator = make_accelerator(cpu)
        self.device, self.world = self.accelerator.device, self.accelerator.num_processes
        self.recipe, self.seed, self.precision, self.compiled = recipe, seed, precision, compile
        model = construct_seeded(config, seed) if start is None else with_weights(config, start, seed, partial=partial)
        self.model = model.to(self.device)
        self.learner = self.accelerator.prepare_model(self._make_learner())
        if compile:
            on_gpu = self.device.type == "cuda"
            self.learner = torch.compile(self.learner, mode="reduce-overhead" if on_gpu else "default")
        if capture:
            self.learner = Captured(self.learner)
        self.optimiser = make_optimiser(self.model, recipe)
        self.average = ModelEmaV3(self.model, recipe.average, use_warmup=True) if recipe.average else None
        self.step = 0
        self.numbers: Numbers | None = None
        self.first_loss: float | None = None
        self.last_inputs: tuple[Tensor, ...] = ()

    def _make_learner(self) -> Learner:
        smoothing, clip = self.recipe.label_smoothing, self.recipe.pose_clip
        return Learner(
            self.model,
            label_smoothing=smoothing,
            pose_clip=clip,
            bf16=self.precision == "bf16",
            samples=self.recipe.samples,
        )

    @property
    def result(self) -> Model:
        """The model that is kept."""
        return self.model if self.average is None else self.average.module

    @cached_property
    def lone_norms(self) -> list[nn.Module]:
        """The batch normalisations that find no statistics in a single image; in a step on one they keep theirs."""
        return lone_norms(self.model)

    def check_share(self, images: int) -> None:
        """Check that batch normalisation finds something to take statistics of.

        Args:
            images: How many are learned from.

        Raises:
            InputError: The first process, whose statistics are kept, never holds more than one image.
        """
        size = min(self.recipe.batch, images)
        if size <= self.world and self.lone_norms:
            raise InputError(
                f"{self.model.config.name} ends in batch normalisation of one number a channel, which needs two "
                f"images, and no process ever holds two: a step has {size}, for {self.world} processes. "
                "Raise recipe.batch, or give more images."
            )

    def prepare(self, images: ImageSet, *, learn: bool = False) -> Examples:
        """Return a set, to learn from or to measure on, as the run takes it: here on its device."""
        images = images.to(self.device)
        if not (learn and self.model.learns_places):
            return images
        return Located(images, tuple(n for n, head in self.model.named_heads.items() if head.targets is not None))

    def inputs(self, raw: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return what the learner takes of a batch of pixel values from 0 to 255: augmented ones in [0, 1]."""
        return (augment(to_unit(raw), self.recipe.augmentation, generator),)

    def measure(self, prepared: Any) -> dict[str, Any]:
        """Return how good the kept model is on a set."""
        return evaluate(self.result, prepared, sample=self.recipe.sample_evaluation).as_dict()

    def one_step(
        self, raw: Tensor, labels: Targets, steps_per_epoch: int, weights: Weights = WHOLE
    ) -> dict[str, Tensor]:
        """Make one step on a batch, and return the parts of its loss.

        Args:
            raw: The images of this process, as pixel values from 0 to 255.
            labels: Their targets.
            steps_per_epoch: How many steps an epoch has, for the schedule.
            weights: What the losses are multiplied by, where this process holds only a part of the batch.

        Raises:
            DivergedError: The loss or the gradient is not finite, or the loss exploded; the weights are as before.
        """
        generator = self._seed_step()
        factor = self.recipe.rate_factor(self.step, steps_per_epoch)
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.rate * factor
        self.model.train()
        if self.recipe.freezes_norm(self.step, steps_per_epoch):
            freeze_norm(self.model.modules())
        elif len(raw) == 1:
            freeze_norm(self.lone_norms)
        inputs = self.last_inputs = self.inputs(raw, generator)
        if self.compiled:
            torch.compiler.cudagraph_mark_step_begin()
            for tensor in (*inputs, *(labels.values() if isinstance(labels, Mapping) else [labels])):
                torch._dynamo.maybe_mark_dynamic(tensor, 0)
        self.optimiser.zero_grad(set_to_none=True)
        with compiling() if self.compiled else nullcontext():
            parts, largest = self.learner(*inputs, labels, *weights)
            self.accelerator.backward(parts["total"])
        norm = clip_gradient(learned_weights(self.model), self.recipe)
        parts = {name: part.detach() for name, part in parts.items()}
        self.numbers = self._watch(parts, norm, largest) if self._is_watched(steps_per_epoch) else None
        self.optimiser.step()
        self.step += 1
        if self.average is not None:
            self.average.update(self.model, step=self.step)
        return parts

    def _seed_step(self) -> torch.Generator:
        """Make everything random in this step follow from the seed, the step and the process."""
        mixed = (self.seed * 1_000_003 + self.step) * 1_009 + self.accelerator.process_index
        torch.manual_seed(2 * mixed)
        return torch.Generator(self.device).manual_seed(2 * mixed + 1)

    def _is_watched(self, steps_per_epoch: int) -> bool:
        """Whether a step's numbers are read: each on a CPU; now and then where that means waiting."""
        last = (self.step + 1) % steps_per_epoch == 0
        return self.device.type == "cpu" or self.step % WATCH_EVERY == 0 or last

    def _watch(self, parts: dict[str, Tensor], norm: Tensor, largest: Tensor) -> Numbers:
        """Read the numbers of a step, over all processes at once, and stop where they are not finite."""
        mine = torch.stack([*parts.values(), norm, largest.to(norm.dtype)])
        every: Any = self.accelerator.gather(mine[None])
        *losses, gradient_norm = every.mean(dim=0)[:-1].tolist()
        watched = {"gradient_norm": gradient_norm, "largest_input": every[:, -1].max().item()}
        numbers = Numbers(dict(zip(parts, losses, strict=True)), watched)
        if self.first_loss is None:
            self.first_loss = numbers.losses["total"]
        divergence.check(*numbers, self.first_loss, self.step + 1)
        return numbers

    def state(self) -> dict[str, Any]:
        """Return everything that the next step depends on."""
        return {
            "step": self.step,
            "first_loss": self.first_loss,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": None if self.average is None else self.average.module.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a state."""
        self.step, self.first_loss = state["step"], state["first_loss"]
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.average is not None:
            self.average.module.load_state_dict(state["average"])

    def state_bytes(self) -> int:
        """Return about how large a state is, also before the optimiser holds anything."""
        whole = sum(weight.nbytes for weight in self.model.state_dict().values())
        learned = sum(weight.nbytes for weight in learned_weights(self.model))
        copies = 1 if self.average is None else 2
        return copies * whole + MOMENTS[self.recipe.optimiser] * learned


def freeze_norm(modules: Iterable[nn.Module]) -> None:
    """Let batch normalisation use its running statistics, and keep them, until training mode is set anew."""
    for module in modules:
        if isinstance(module, _BatchNorm):
            module.eval()


def lone_norms(model: Model) -> list[nn.Module]:
    """Return the batch normalisations that learn, and get one number a channel of an image: they need two images.

    Found by looking at one image; the model is left as it was.
    """
    found: dict[nn.Module, None] = {}

    def look(module: nn.Module, given: tuple[Any, ...]) -> None:
        if given[0][0].numel() == given[0].shape[1]:
            found[module] = None

    model.train()
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.training]
    hooks = [module.register_forward_pre_hook(look) for module in norms]
    try:
        if norms:
            some = next(model.parameters())
            with evaluating(model), torch.random.fork_rng(devices=[some.device] if some.is_cuda else []):
                model(some.new_zeros(1, *model.config.image))
    finally:
        for hook in hooks:
            hook.remove()
    return list(found)


def clip_gradient(weights: Sequence[nn.Parameter], recipe: Recipe) -> Tensor:
    """Clip the gradient as a recipe says, and return the norm that it had before."""
    if recipe.clip_by == "norm" or recipe.clip is None:
        return torch.nn.utils.clip_grad_norm_(weights, recipe.clip or math.inf)
    norm = torch.nn.utils.get_total_norm([weight.grad for weight in weights if weight.grad is not None])
    torch.nn.utils.clip_grad_value_(weights, recipe.clip)
    return norm


def make_optimiser(model: Model, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the recipe's optimiser; what has one axis or none (biases, norms, rates) is decayed where it says so."""
    learned = learned_weights(model)
    of_vectors = recipe.weight_decay if recipe.decay_all else 0.0
    groups = [
        {"params": [p for p in learned if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in learned if p.ndim <= 1], "weight_decay": of_vectors},
    ]
    fused = {p.device.type for p in learned} <= FUSED_ON
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=recipe.rate, momentum=0.9, fused=fused)
    cls = torch.optim.AdamW if recipe.optimiser == "adamw" else torch.optim.Adam
    return cls(groups, lr=recipe.rate, fused=fused)


def learned_weights(model: Model) -> list[torch.nn.Parameter]:
    """Return the parameters that are trained."""
    return [p for p in model.parameters() if p.requires_grad]
