"""Trainings in processes of their own, which may be killed or work together.

The processes are forked from a server that imports everything once; they see no conftest.
"""

import contextlib
import functools
import json
import multiprocessing
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from stawm.training import data, train
from stawm.training.learner import Weights
from stawm.training.recipes import Recipe
from stawm.training.run import Run
from tests.training import faults

torch.set_num_threads(1)  # a process that is forked from one with threads waits for them for ever
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload([__name__])

SMALL: dict[str, Any] = {
    "memory_size": 8,
    "hidden_size": 16,
    "glimpses": 2,
    "recipe.epochs": 3,
    "recipe.batch": 8,
    "cpu": True,
    "quiet": True,
    "pictures": 0,
}


def start(work: Callable[..., None], *args: Any) -> Any:
    """Start a process."""
    process = SERVER.Process(target=work, args=args)
    process.start()
    return process


FEW = data.Splits(*(part.take(slice(0, count)) for part, count in zip(data.load("digits"), (76, 40), strict=True)))
"""Loaded once, in the server: importing scikit-learn takes longer than the training."""


def train_digits(out: Path, save_every: float) -> None:
    """Train a small model, with sampling and dropout."""
    train("stawm-digits", data=FEW, out=out, save_every=save_every, **SMALL)


def train_killed(out: Path, point: str, count: int, after: bool) -> None:
    """Train, saving after each step, and be killed where the disk is touched."""
    faults.kill_at(point, count, after=after)
    train_digits(out, 0.0)


def train_compiled(out: Path, backend: str) -> None:
    """Train eagerly and compiled; save the losses, and how many graphs were compiled.

    Without dropout, whose random numbers a compiled model draws otherwise.
    """
    torch.compile = functools.partial(torch.compile, backend=backend)
    options = {**SMALL, "dropout": 0.0, "recipe.optimiser": "sgd"}
    runs = [train("stawm-digits", data=FEW, out=out / str(on), compile=on, **options) for on in (False, True)]
    losses = [[entry["loss"]["total"] for entry in run.history] for run in runs]
    graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    (out / "found.json").write_text(json.dumps({"losses": losses, "graphs": graphs}))


def join(rank: int, world: int, port: int) -> None:
    """Be one of several processes."""
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world}
    if world > 1:
        os.environ |= {name: str(value) for name, value in address.items()}


def drawn_in_a_step(out: Path, rank: int, world: int, port: int, config: Any, recipe: Recipe, batch: Any) -> None:
    """Make a step on the same batch in every process; save its augmented images, and what dropout would draw next."""
    join(rank, world, port)
    run = Run(config, recipe, cpu=True)
    run.one_step(*batch, 1)
    torch.save({"augmented": run.last_inputs[0], "dropout": torch.rand(4)}, out)
    run.accelerator.end_training()


def weights_after_steps(
    out: Path, rank: int, world: int, port: int, config: Any, recipe: Recipe, batches: list[Any]
) -> None:
    """Make a step on this process's part of each batch; then the first process saves weights and losses."""
    join(rank, world, port)
    run = Run(config, recipe, cpu=True)
    numbers = []
    for images, labels in batches:
        mine = slice(rank, None, world)
        weights = Weights.of_share(len(labels[mine]), len(labels), world)
        held = (images[mine], labels[mine]) if len(labels[mine]) else (images[:1], labels[:1])
        run.one_step(*held, len(batches), weights)
        numbers.append(run.numbers)
    assert run.world == world
    if rank == 0:
        torch.save({"weights": dict(run.model.named_parameters()), "numbers": [tuple(n) for n in numbers if n]}, out)
    run.accelerator.end_training()


def train_together(out: Path, rank: int, world: int, port: int, stop: int | None) -> None:
    """Train as one of several processes; all of them stop before a step."""
    join(rank, world, port)
    one_step = Run.one_step

    def stopping(self: Run, *args: Any) -> Any:
        if self.step == stop:
            raise KeyboardInterrupt
        return one_step(self, *args)

    Run.one_step = stopping
    with contextlib.suppress(KeyboardInterrupt):
        train("stawm-digits", data=FEW, out=out, save_every=0.0, **SMALL)
    torch.distributed.destroy_process_group()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
