"""The training loop, on Hugging Face Accelerate: one process or many, resumable, logged.

Everything random in a step follows from the run's seed and the number of the step alone, so a run that
was broken off goes on exactly as if it had not been.
"""

import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor

from stawm import factory
from stawm.errors import InputError, StawmError
from stawm.heads.losses import classification_loss
from stawm.heads.model import Model
from stawm.heads.model_config import SharedConfig
from stawm.heads.output import Output
from stawm.training import data as datasets
from stawm.training import state as states
from stawm.training.augment import augment, to_unit
from stawm.training.data import ImageSet, Splits
from stawm.training.evaluation import evaluate
from stawm.training.recipes import Recipe
from stawm.training.report import Display, Log

LOG = "log.jsonl"
STATE = "state"


class DivergedError(StawmError):
    """Training ran into numbers that are not finite, and was stopped."""


class Run:
    """A run: a model, its recipe, and where both stand.

    Attributes:
        model: The model that learns.
        result: The model that is kept: the running average of the weights, or the model itself.
        step: How many steps were made.
    """

    def __init__(
        self, config: SharedConfig, recipe: Recipe, *, seed: int = 0, precision: str = "fp32", cpu: bool = False
    ) -> None:
        """Build the model on the device that there is, and the optimiser."""
        self.accelerator = Accelerator(cpu=cpu)
        self.device = self.accelerator.device
        self.recipe, self.seed, self.precision = recipe, seed, precision
        self.model = factory.build(config, seed=seed).to(self.device)
        self.learner = self.accelerator.prepare_model(self.model)
        self.optimiser = make_optimiser(self.model, recipe)
        self.average = ModelEmaV3(self.model, recipe.average, use_warmup=True) if recipe.average else None
        self.step = 0
        self.history: list[dict[str, Any]] = []

    @property
    def result(self) -> Model:
        """The model that is kept."""
        return self.model if self.average is None else self.average.module

    def go(self, splits: Splits, out: Path, note: Mapping[str, Any], *, quiet: bool = False) -> list[dict[str, Any]]:
        """Train to the end, from wherever the folder's state stands."""
        images, test = (part.to(self.device) for part in splits)
        steps_per_epoch = math.ceil(len(images) / self.recipe.batch)
        self._restore(out, note)
        main = self.accelerator.is_main_process
        log = Log(out / LOG, self.history) if main else None
        display = Display(self.recipe.epochs, steps_per_epoch, self.step, quiet=quiet or not main)
        with display, torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            for epoch in range(self.step // steps_per_epoch, self.recipe.epochs):
                entry = self._epoch(images, epoch, steps_per_epoch, display)
                entry |= evaluate(self.result, test).as_dict()
                self.history.append(entry)
                display.measured(entry)
                if log is not None:
                    log.write(entry)
                    states.save(out / STATE, self.step, self._state(note))
        return self.history

    def _epoch(self, images: ImageSet, epoch: int, steps_per_epoch: int, display: Display) -> dict[str, Any]:
        start, seen, sums = time.perf_counter(), 0, {}
        for raw, labels in self._batches(images, epoch):
            parts = self.one_step(raw, labels, steps_per_epoch)
            seen += len(labels) * self.accelerator.num_processes
            for name, part in parts.items():
                sums[name] = sums.get(name, 0.0) + part * len(labels)
            if self._shows():
                shown = {name: value.item() for name, value in parts.items()}
                display.step(self.step, shown, seen / (time.perf_counter() - start))
        self._check_finite(sums["total"])
        taken = time.perf_counter() - start
        losses = {name: (total * self.accelerator.num_processes / seen).item() for name, total in sums.items()}
        rate = self.optimiser.param_groups[0]["lr"]
        return {
            "epoch": epoch + 1,
            "step": self.step,
            "rate": rate,
            "loss": losses,
            "images_per_second": seen / taken,
            "seconds": taken,
        }

    def _batches(self, images: ImageSet, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        accelerator = self.accelerator
        return datasets.shuffled_batches(
            images,
            self.recipe.batch,
            seed=self.seed,
            epoch=epoch,
            rank=accelerator.process_index,
            world=accelerator.num_processes,
        )

    def one_step(self, raw: Tensor, labels: Tensor, steps_per_epoch: int) -> dict[str, Tensor]:
        """Make one step on a batch of pixel values from 0 to 255, and return the parts of its loss."""
        generator = self._seed_step()
        factor = self.recipe.rate_factor(self.step, steps_per_epoch)
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.rate * factor
        self.model.train()
        pixels = augment(to_unit(raw), self.recipe.augmentation, generator)
        images = self.model.normalise(pixels)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            output = self.learner(images)
        parts = self._loss(output, images, labels)
        self.optimiser.zero_grad(set_to_none=True)
        self.accelerator.backward(parts["total"])
        norm = torch.nn.utils.clip_grad_norm_(self._learned(), self.recipe.clip or math.inf)
        self.optimiser.step()
        self.step += 1
        if self.average is not None:
            self.average.update(self.model, step=self.step)
        parts = {name: part.detach() for name, part in parts.items()}
        if self._shows():
            self._check_finite(parts["total"] + 0 * norm, output)  # no number times 0 is no number
        return parts

    def _seed_step(self) -> torch.Generator:
        """Make everything random in this step follow from the seed, the step and the process."""
        mixed = (self.seed * 1_000_003 + self.step) * 1_009 + self.accelerator.process_index
        torch.manual_seed(2 * mixed)
        return torch.Generator(self.device).manual_seed(2 * mixed + 1)

    def _loss(self, output: Output, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        parts = self.model.loss(output, images, labels)
        if self.recipe.label_smoothing and output.logits is not None:
            reduction = self.model.config.head("classification").reduction
            smooth = classification_loss(output.logits, labels, reduction, self.recipe.label_smoothing)
            parts["total"] = parts["total"] - parts["classification"] + smooth
        return parts

    def _learned(self) -> list[torch.nn.Parameter]:
        return [p for p in self.model.parameters() if p.requires_grad]

    def _shows(self) -> bool:
        """Whether to look at a step's numbers: each on a CPU; now and then where looking means waiting."""
        return self.device.type == "cpu" or self.step % 20 == 0

    def _check_finite(self, number: Tensor, output: Output | None = None) -> None:
        if torch.isfinite(number):
            return
        trace = None if output is None else output.trace
        largest = "" if trace is None else f" The largest |e|² was {trace.memory_input.square().sum(-1).max():.3g}."
        raise DivergedError(
            f"Training diverged at step {self.step}: its loss or gradient is not finite.{largest} "
            "The state before this epoch is kept. Lower recipe.rate, or bound the memory "
            "(memory.constrained=true memory.normalise=0.9)."
        )

    def _state(self, note: Mapping[str, Any]) -> dict[str, Any]:
        average = None if self.average is None else self.average.module.state_dict()
        return {
            "note": dict(note),
            "config": self.model.config.to_dict(),
            "step": self.step,
            "history": self.history,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": average,
        }

    def _restore(self, out: Path, note: Mapping[str, Any]) -> None:
        found = states.load(out / STATE, self.device)
        if found is None:
            return
        if (found["note"], found["config"]) != (dict(note), self.model.config.to_dict()):
            raise InputError(f"{out} holds another run (model, data, recipe or seed differ): give another folder.")
        self.step, self.history = found["step"], found["history"]
        self.model.load_state_dict(found["model"])
        self.optimiser.load_state_dict(found["optimiser"])
        if self.average is not None:
            self.average.module.load_state_dict(found["average"])


def make_optimiser(model: Model, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the recipe's optimiser; what has one axis or none (biases, norms, rates) is not decayed."""
    learned = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in learned if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in learned if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=recipe.rate, momentum=0.9)
    cls = torch.optim.AdamW if recipe.optimiser == "adamw" else torch.optim.Adam
    return cls(groups, lr=recipe.rate)
