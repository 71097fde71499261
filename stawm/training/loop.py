"""The training loop, on Hugging Face Accelerate: one process or many, resumable, logged.

A state holds everything that the next step depends on, and is written whole or not at all, so a run that was
broken off at any moment goes on exactly as if it had not been.
"""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from stawm.errors import StawmError
from stawm.heads.base import Targets
from stawm.heads.config import called, weight_of
from stawm.models.config import SharedConfig
from stawm.storage import checkpoint
from stawm.training import data as datasets
from stawm.training import divergence, folder, form, identity
from stawm.training import state as states
from stawm.training.data import Examples, Splits
from stawm.training.divergence import DivergedError
from stawm.training.endings import say
from stawm.training.folder import LAST_GOOD
from stawm.training.learner import Weights
from stawm.training.options import RunOptions
from stawm.training.report import Report, make_display
from stawm.training.run import Run


class Batch(NamedTuple):
    """What a process learns from in a step.

    Attributes:
        raw: Its images, or whatever else the run takes.
        labels: Their targets.
        weights: What its losses are multiplied by.
        whole: How many images the step has, over all processes.
    """

    raw: Tensor
    labels: Targets
    weights: Weights
    whole: int


@dataclass
class Tally:
    """Sums over the steps of an epoch, on the training device, so that adding waits for nothing.

    Attributes:
        sums: Of each part of the loss, weighted by the images of its step.
        seen: How many images were seen.
        seconds: How long it took, also before the run was broken off.
    """

    sums: dict[str, Tensor] = field(default_factory=dict)
    seen: int = 0
    seconds: float = 0.0
    _since: float = field(default_factory=time.perf_counter)

    def add(self, parts: Mapping[str, Tensor], images: int) -> None:
        """Add a step."""
        now = time.perf_counter()
        self.seconds, self._since = self.seconds + now - self._since, now
        self.seen += images
        for name, part in parts.items():
            self.sums[name] = self.sums.get(name, torch.zeros_like(part)) + part * images

    def pause(self) -> None:
        """Leave out the time since the last step."""
        self._since = time.perf_counter()

    @property
    def speed(self) -> float:
        """Images a second."""
        return self.seen / max(self.seconds, 1e-9)

    def state(self) -> dict[str, Any]:
        """Return plain values and tensors to go on from."""
        return {"sums": self.sums, "seen": self.seen, "seconds": self.seconds}


class Loop:
    """Takes a run through its epochs.

    Attributes:
        history: One entry for every epoch that was finished.
    """

    def __init__(self, run: Run, splits: Splits, out: Path, note: Mapping[str, Any], options: RunOptions) -> None:
        """Go back to the state in the folder, if there is one.

        Args:
            run: The run.
            splits: What is learned from, and what is measured on after each epoch.
            out: Its folder.
            note: What tells this run from another one in the same folder, as JSON values.
            options: How often it saves, and what it shows.

        Raises:
            InputError: The folder holds another run, or the disk has no room for the run's state.
            StawmError: The state in the folder is damaged, or of another form.
        """
        self.run, self.splits, self.out, self.note, self.options = run, splits, out, dict(note), options
        machine = identity.of_machine(run.device, run.world)
        self.identity = {**note, "config": run.model.config.to_dict(), "machine": machine}
        self.folder = out / states.FOLDER
        self.history: list[dict[str, Any]] = []
        self.tally = Tally()
        self.speaks = run.accelerator.is_main_process
        run.check_share(len(splits.train))
        self._restore()
        states.check_space(self.folder, run.state_bytes())
        self.saver = states.Saver(self.folder, options.save_every, writes=self.speaks)

    @property
    def finished(self) -> bool:
        """Whether all epochs were made."""
        return len(self.history) == self.run.recipe.epochs

    def _restore(self) -> None:
        found = states.load(self.folder, self.run.device)
        self.run.accelerator.wait_for_everyone()  # before the first process replaces what another one still reads
        if found is None:
            return
        noted = found.get("note")
        if isinstance(noted, Mapping):
            said = identity.check_same(noted, self.identity, self.out, inexact=self.options.inexact)
            if said and self.speaks and not self.options.quiet:
                say(said)
        fault = form.fault(found, self.run, self.splits.train)
        if fault is not None:
            raise StawmError(
                f"The training state {states.latest(self.folder)} cannot be used: {fault}. {states.AFRESH}"
            )
        self.run.restore(found["run"])
        self.history, self.tally = found["history"], Tally(**found["tally"])

    def _save(self) -> None:
        divergence.check_weights(self.run.model, self.run.step)
        self.saver.save(
            self.run.step,
            {"note": self.identity, "run": self.run.state(), "history": self.history, "tally": self.tally.state()},
        )

    def go(self) -> list[dict[str, Any]]:
        """Train to the end, and return the history.

        Raises:
            DivergedError: A number is not finite, or the loss exploded; the message says what is kept.
            StawmError: The folder cannot be written to any more.
        """
        run = self.run
        if self.finished:
            return self.history
        if self.speaks:
            with states.writing(self.folder):
                folder.mark(self.out, self.identity)
        try:
            images, test = run.prepare(self.splits.train, learn=True), run.prepare(self.splits.test)
            steps = math.ceil(len(images) / run.recipe.batch)
            report = self._report(steps) if self.speaks else None
            with report or nullcontext(), torch.random.fork_rng(devices=_gpus(run.device)):
                while not self.finished:
                    self._epoch(images, steps, report)
                    entry = self._finish_epoch(test)
                    if report is not None:
                        report.epoch(entry, run.result, self.splits.test)
                    self._save()
        except DivergedError as error:
            raise DivergedError(f"{error}{self._last_good()} {error.cure}") from error
        return self.history

    def _report(self, steps: int) -> Report:
        display = make_display(self.run.recipe.epochs, steps, self.run.step, quiet=self.options.quiet)
        return Report(self.out, display, self.history, self.run.step, self.options.pictures)

    def _epoch(self, images: Examples, steps: int, report: Report | None) -> None:
        """Make the steps of an epoch that are left."""
        run, epoch = self.run, len(self.history)
        self.tally.pause()
        for batch in self._batches(images, epoch, run.step - epoch * steps):
            self.tally.add(run.one_step(batch.raw, batch.labels, steps, batch.weights), batch.whole)
            if run.numbers is None:
                continue
            if report is not None:
                report.step(run.step, run.numbers, self.tally.speed)
            if self.saver.due and run.step % steps:
                self._save()
                self.tally.pause()

    def _batches(self, images: Examples, epoch: int, first: int) -> Iterator[Batch]:
        """Go through this process's part of an epoch; where a batch has none for it, an image that weighs nothing."""
        size, world, rank = self.run.recipe.batch, self.run.world, self.run.accelerator.process_index
        found = datasets.shuffled_batches(
            images, size, seed=self.run.seed, epoch=epoch, first=first, rank=rank, world=world
        )
        for index, (raw, labels) in enumerate(found, first):
            whole = min(size, len(images) - index * size)
            weights = Weights.of_share(len(raw), whole, world)
            if not len(raw):
                raw, labels = next(datasets.batches(images, 1))
            yield Batch(raw, labels, weights, whole)

    def _finish_epoch(self, test: Examples) -> dict[str, Any]:
        run, tally = self.run, self.tally
        sums: Any = run.accelerator.reduce(tally.sums, "mean")
        entry = {
            "epoch": len(self.history) + 1,
            "step": run.step,
            "rate": run.optimiser.param_groups[0]["lr"],
            "loss": {name: total.item() / tally.seen for name, total in sums.items()},
            "images_per_second": tally.speed,
            "seconds": tally.seconds,
            **({"loss_weights": weights} if (weights := loss_weights(run.model.config)) else {}),
            **({"rates": rates} if (rates := _memory_rates(run.model)) else {}),
            **run.measure(test),
        }
        divergence.check_epoch(run.result, entry)
        self.history.append(entry)
        self.tally = Tally()
        return entry

    def _last_good(self) -> str:
        """Keep the weights of the newest state as a checkpoint, and say so, with the memory's diagnosis."""
        run = self.run
        images = run.last_inputs[0] if run.last_inputs and run.last_inputs[0].ndim == 4 else None
        said = divergence.verdict(run.model, images) if divergence.is_finite(run.model) else ""
        found = states.load(self.folder, run.device)
        if found is None:
            return f"{said} No state was saved before."
        run.restore(found["run"])
        if not divergence.is_finite(run.result):
            return f"{said} The weights that were saved last are not finite either."
        path = self.out / LAST_GOOD
        if self.speaks:
            checkpoint.save(run.result, path, provenance={**self.note, "step": run.step})
        return (
            f"{said or divergence.verdict(run.model, images)} The weights of step {run.step} are kept in {path}: "
            "begin from them with --start, in another folder."
        )


def loss_weights(config: SharedConfig) -> dict[str, float]:
    """Return what each head's losses are multiplied by, by the heads' names; nothing where all are as they are."""
    found = {called(head): weight_of(head) for head in config.heads}
    return found if any(weight != 1 for weight in found.values()) else {}


def _memory_rates(model: torch.nn.Module) -> dict[str, Any]:
    """Return the rates of a model's memory as numbers, those of a rate that is not one number as a list."""
    rates = getattr(getattr(model, "memory", None), "rates", None)
    if rates is None or not hasattr(rates, "_asdict"):
        return {}
    return {name: torch.as_tensor(rate).tolist() for name, rate in rates._asdict().items()}


def _gpus(device: torch.device) -> list[torch.device]:
    return [device] if device.type == "cuda" else []
