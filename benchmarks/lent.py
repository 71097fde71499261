"""On a GPU that is lent for minutes: many trainings at once, each with as many epochs as there is time for.

``python -m benchmarks.lent plan.json --minutes 8 --out results`` first trains each run of the plan for a moment, all of
them together, to see how fast they are beside each other. Then it trains them in earnest, with steps captured as CUDA
graphs where that works, and ends in time. The folder gets what each run measured as a record (as in docs/results), its
log, and its weights: a run that had to be stopped keeps its state and can be gone on with.

A plan is a list of runs, the most wanted first:

```json
[{"name": "ram-mnist-long-s0", "train": "ram-mnist --data mnist:data --seed 0", "quick": "--train-images 12800",
  "full": "", "images": 60000, "epochs": 200, "closing": 10, "keep": "weights"}]
```

``quick`` is added for the short trial and ``full`` in earnest, ``images`` are those of an epoch, ``epochs`` the most
that are wanted, ``closing`` the seconds that measuring takes at the end, and ``keep`` is ``weights``, ``half`` for
weights in half precision, or ``record``. Without NVIDIA's multi-process service (MPS) processes take turns on a GPU,
and only the first runs of the plan are made (``--alone``).
"""

import argparse
import importlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.budget import Budget

SHARE = 0.85
"""The share of the time that is left which a run shall need, as speeds differ."""
TRIAL = 60.0
"""The seconds that trials take at most."""
SEEN = 3
"""The epochs after which a run's speed is known."""
MANY = 10_000
"""Epochs that no trial gets through."""
PACKING = 15.0
"""The seconds that are kept for stopping what runs, and for packing."""


@dataclass
class Planned:
    """A run of the plan.

    Attributes:
        name: The folder of the run.
        train: The arguments of ``stawm train``.
        quick: What is added for a trial.
        full: What is added in earnest.
        images: How many images an epoch has.
        epochs: How many epochs are wanted at most.
        closing: The seconds that measuring takes at the end.
        keep: What comes back beside record and log.
        speed: Images a second, as seen in its trial.
        captured: Whether its steps can be captured.
    """

    name: str
    train: str
    quick: str
    full: str
    images: int
    epochs: int
    closing: float = 15.0
    keep: str = "weights"
    speed: float = 0.0
    captured: bool = True
    process: Any = field(default=None, repr=False)

    def start(self, folder: Path, more: str) -> None:
        """Start training in a folder."""
        words = [*shlex.split(f"{self.train} {more}"), "--out", str(folder / self.name), "--pictures", "0"]
        words += ["--capture"] * self.captured
        with (folder / f"{self.name}.txt").open("a") as log:
            command = [sys.executable, "-m", "stawm", "train", *words]
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    def log(self, folder: Path) -> list[dict[str, Any]]:
        """Return what the run measured after each epoch."""
        path = folder / self.name / "log.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


class Clock(Budget):
    """The time that there is, and what happens in it."""

    def __init__(self, minutes: float) -> None:
        super().__init__(minutes)
        self.begun = time.monotonic()

    def say(self, what: str) -> None:
        """Say what happens, and when."""
        print(f"{time.monotonic() - self.begun:4.0f} s: {what}", flush=True)


def start_mps(folder: Path) -> str | None:
    """Start NVIDIA's multi-process service and return its command; None where there is none, or it does not work."""
    found = shutil.which("nvidia-cuda-mps-control", path=f"{os.environ['PATH']}:/usr/local/nvidia/bin:/usr/bin")
    if found is None:
        return None
    folder = folder.resolve()
    places = {"CUDA_MPS_PIPE_DIRECTORY": str(folder / "mps"), "CUDA_MPS_LOG_DIRECTORY": str(folder / "mps-log")}
    for place in places.values():
        Path(place).mkdir(parents=True, exist_ok=True)
    with_mps = os.environ | places
    test = [sys.executable, "-c", "import torch; torch.ones(1, device='cuda').sum().item()"]
    try:
        subprocess.run([found, "-d"], env=with_mps, check=True, timeout=10)
        subprocess.run(test, env=with_mps, check=True, timeout=30)
    except (subprocess.SubprocessError, OSError) as error:
        print(f"no MPS: {error}", flush=True)
        return None
    os.environ.update(places)
    return found


def try_all(plan: Sequence[Planned], folder: Path, clock: Clock) -> None:
    """Train every run until each has been seen beside all the others, and note how fast it was.

    What cannot be captured is tried once more without.
    """
    end = time.monotonic() + TRIAL
    for run in plan:
        run.start(folder, f"{run.quick} recipe.epochs={MANY}")
    while time.monotonic() < end and any(_waited_for(run, folder) for run in plan):
        time.sleep(0.2)
        for run in plan:
            if run.captured and run.process.poll() is not None:
                clock.say(f"{run.name} is tried without capture")
                run.captured = False
                run.start(folder, f"{run.quick} recipe.epochs={MANY}")
    stop(plan, 5.0)
    for run in plan:
        history = run.log(folder)[1:]  # the first epoch has the recording in it
        run.speed = history[-1]["images_per_second"] if history else 0.0
        clock.say(f"{run.name}: {run.speed:,.0f} images/s{'' if run.captured else ', not captured'}")


def _waited_for(run: Planned, folder: Path) -> bool:
    return run.process.poll() is None and len(run.log(folder)) < SEEN


def stop(plan: Sequence[Planned], seconds: float) -> None:
    """End what still runs: politely, as a process that is killed can take others with it under MPS."""
    end = time.monotonic() + seconds
    for run in plan:
        run.process.terminate()
    for run in plan:
        with suppress(subprocess.TimeoutExpired):
            run.process.wait(timeout=max(0.1, end - time.monotonic()))
        if run.process.poll() is None:
            run.process.kill()


def train_all(plan: Sequence[Planned], folder: Path, clock: Clock, gain: float) -> None:
    """Train every run for as many epochs as there is time for, and stop what is not done in the end."""
    for run in plan:
        seconds = SHARE * (clock.left - PACKING - run.closing)
        epochs = max(1, min(run.epochs, int(seconds * gain * run.speed / run.images)))
        clock.say(f"{run.name}: {epochs} of {run.epochs} epochs")
        run.start(folder, f"{run.full} recipe.epochs={epochs}")
    while any(run.process.poll() is None for run in plan) and clock.left > PACKING:
        time.sleep(0.5)
    stop(plan, clock.left - 5)
    for run in plan:
        said = (folder / f"{run.name}.txt").read_text().strip().splitlines()[-1:]
        clock.say(
            f"{run.name}: status {run.process.returncode}, {len(run.log(folder))} epochs, {' '.join(said)[-200:]}"
        )


def pack(plan: Sequence[Planned], folder: Path, out: Path) -> None:
    """Put what comes back into the folder ``out``."""
    sys.path.append(str(Path(__file__).parents[1] / "docs"))
    import torch

    import stawm
    from stawm.storage import checkpoint

    results: Any = importlib.import_module("results")
    for run in plan:
        here, there = folder / run.name, out / run.name
        there.mkdir(parents=True, exist_ok=True)
        for name in ("log.jsonl", "run.json"):
            if (here / name).exists():
                shutil.copy(here / name, there)
        shutil.copy(folder / f"{run.name}.txt", there / "said.txt")
        weights = here / "model.safetensors"
        if not weights.exists():
            if (here / "state").exists():
                shutil.copytree(here / "state", there / "state")
            continue
        with suppress(Exception):  # the weights come back also where the record fails
            found = json.dumps(results.record(here), indent=1, ensure_ascii=False)
            (there / "record.json").write_text(found + "\n")
        if run.keep == "weights":
            shutil.copy(weights, there)
        elif run.keep == "half":
            found = stawm.inspect(weights).provenance
            checkpoint.save(stawm.load(weights), there / weights.name, provenance=found, dtype=torch.float16)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what the plan names within the time that there is."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lent", description=__doc__)
    parser.add_argument("plan", type=Path, help="the runs, as JSON")
    parser.add_argument("--minutes", type=float, default=8.0, help="how long there is, %(default)g where left out")
    parser.add_argument("--out", type=Path, default=Path("runs/lent"), help="where results go, %(default)s")
    parser.add_argument("--work", type=Path, default=Path("runs"), help="where runs are made, %(default)s")
    parser.add_argument("--alone", type=int, default=6, help="how many runs are made without MPS, %(default)s")
    given = parser.parse_args(arguments)
    clock, plan = Clock(given.minutes), [Planned(**entry) for entry in json.loads(given.plan.read_text())]
    mps = start_mps(given.work)
    clock.say("with MPS" if mps else "without MPS")
    trials, runs = given.work / "lent-trials", given.work / "lent-runs"
    for folder in (trials, runs):
        folder.mkdir(parents=True, exist_ok=True)
    try_all(plan, trials, clock)
    tried = [run for run in plan if run.speed]
    kept = tried if mps else tried[: given.alone]
    train_all(kept, runs, clock, 1.0 if mps else len(tried) / max(len(kept), 1))
    pack(kept, runs, given.out)
    for run in plan:
        if run not in tried:
            shutil.copy(trials / f"{run.name}.txt", given.out / f"{run.name}.failed.txt")
    clock.say("packed")
    if mps:
        subprocess.run([mps], input=b"quit\n", check=False, timeout=10)


if __name__ == "__main__":
    main()
