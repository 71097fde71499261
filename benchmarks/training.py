"""Training steps on the CPU: the authors' eager loop against ours, for every preset of the paper.

``python -m benchmarks.training`` measures. A step is forward, loss, backward, clipping and the optimiser, without
augmentation. Each variant has a process of its own, they take turns, and each one's peak memory is its own.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

import stawm
from benchmarks.authors_loop import as_the_authors
from benchmarks.measure import Row, milliseconds
from benchmarks.results import Benchmark, command, goal, table
from benchmarks.turns import Make, Step, in_turns
from stawm.models.model import Model
from stawm.training import recipes
from stawm.training.data.augment import Augmentation
from stawm.training.run import Run

REFERENCE = "authors' loop"
COMPILED = ("stawm-mnist-8", "stawm-mnist-draw-8")
SLOW = {"stawm-mnist-28": 3, "stawm-cifar-mnv2": 5}
ROUNDS = 7
DRAWS = ("stawm-mnist-draw-4", "stawm-mnist-draw-6", "stawm-mnist-draw-8", "stawm-mnist-sketchpad")
FASTER = {"stawm-mnist-8": 6.0, "stawm-cifar-mnv2": 2.5, **dict.fromkeys(DRAWS, 3.0)} | dict.fromkeys(
    ("stawm-cifar-draw-16", "stawm-celeba-draw-32"), 3.0
)
STANDING = 1e-6
"""A learning rate at which nothing moves, so that every step has the same numbers to work on."""


def batch_of(preset: str) -> int:
    """Return the batch that a preset is measured at: the paper's, but 32 of MobileNetV2, for 2 cores' sake."""
    return 32 if "mnv2" in preset else 128


def data(model: Model, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return random pixel values from 0 to 255, and labels."""
    generator = torch.Generator().manual_seed(1)
    raw = torch.randint(0, 256, (batch, *model.config.image), generator=generator, dtype=torch.uint8)
    return raw, torch.randint(0, 10, (batch,), generator=generator)


def authors_step(preset: str, batch: int, device: str = "cpu", **overrides: Any) -> Step:
    """Make a training step as the authors made it: float32, their loop, an optimiser that goes weight by weight."""
    model = stawm.build(preset, seed=0, **overrides).train().to(device)
    loop = as_the_authors(model).train()
    learned = [p for p in loop.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(learned, lr=STANDING, foreach=False)
    raw, labels = (part.to(device) for part in data(model, batch))
    images = model.normalise(raw.float() / 255)

    def step() -> None:
        optimiser.zero_grad()
        loss = model.loss(loop(images), images, labels)["total"]
        loss.backward()
        torch.nn.utils.clip_grad_value_(learned, 5.0, foreach=False)
        optimiser.step()

    return step


def our_run(
    preset: str, precision: str, *, compile: bool = False, capture: bool = False, cpu: bool = True, **overrides: Any
) -> Run:
    """Make the run that `stawm.training.train` makes, with the paper's recipe, and without augmentation."""
    spec = "paper" if preset in recipes.presets_with("paper") else "fast"
    recipe = recipes.find(spec, preset, rate=STANDING).replace(augmentation=Augmentation())
    config = stawm.config(preset, **overrides)
    return Run(config, recipe, precision=precision, cpu=cpu, compile=compile, capture=capture)


def our_step(preset: str, batch: int, precision: str, **options: Any) -> Step:
    """Make a training step as it is made here, with the options of `our_run`."""
    return step_of(our_run(preset, precision, **options), batch)


def step_of(run: Run, batch: int) -> Step:
    """Make the step of a run on one batch, which is where the run is."""
    raw, labels = (part.to(run.device) for part in data(run.model, batch))
    return lambda: run.one_step(raw, labels, 1_000_000)


def variants(preset: str, batch: int, compiled: bool, **overrides: Any) -> dict[str, Make]:
    """Return what makes each variant of a preset's step."""
    ours: Callable[..., Make] = partial(partial, our_step, preset, batch, **overrides)
    made: dict[str, Make] = {
        REFERENCE: partial(authors_step, preset, batch, **overrides),
        "stawm, fp32": ours(precision="fp32"),
        "stawm, bf16": ours(precision="bf16"),
    }
    return made | ({"stawm, bf16, compiled": ours(precision="bf16", compile=True)} if compiled else {})


def measure(quick: bool) -> list[Row]:
    """Measure every preset that the authors have a counterpart of."""
    rows = []
    presets = ["stawm-digits"] if quick else sorted(recipes.presets_with("paper"))
    for preset in presets:
        batch = 4 if quick else batch_of(preset)
        made = variants(preset, batch, not quick and preset in COMPILED)
        found = in_turns(made, 2 if quick else SLOW.get(preset, ROUNDS))
        rows.append({"preset": preset, "batch": batch, "variants": {n: m.as_row() for n, m in found.items()}})
        print(preset, batch, {n: f"{m.timing.median * 1e3:.0f} ms" for n, m in found.items()}, flush=True)
    return rows


def above(found: Row) -> int:
    """Return the bytes that a variant takes above what its process started with."""
    return found["memory"]["peak"] - found["memory"]["start"]


def show(rows: list[Row]) -> str:
    """Lay the rows out, and say which goals are reached."""
    cells = []
    for row in rows:
        reference = row["variants"][REFERENCE]
        for name, found in row["variants"].items():
            faster, share = reference["median"] / found["median"], above(found) / max(above(reference), 1)
            peak, more = found["memory"]["peak"] / 1e6, above(found) / 1e6
            case = (f"`{row['preset']}`", row["batch"], name, milliseconds(found))
            cells.append((*case, f"{faster:.1f}", f"{peak:,.0f}", f"{more:,.0f}", f"{share:.2f}"))
    heads = (
        "preset | batch | variant | median (min to max), ms | times as fast | peak, MB | above start, MB | share of it"
    )
    return table(heads, cells) + "\n\n" + "\n".join(goals(rows))


def goals(rows: list[Row]) -> list[str]:
    """Return what was to be reached, and what was."""
    said = []
    for row in rows:
        preset, (reference, *ours) = row["preset"], row["variants"].values()
        if preset in FASTER:
            best = max(reference["median"] / found["median"] for found in ours)
            said.append(goal(f"`{preset}`, times as fast", best, FASTER[preset]))
        least = min(ours, key=above)
        if preset == "stawm-mnist-8":
            said.append(
                goal(
                    f"`{preset}`, share of the memory above the start",
                    above(least) / above(reference),
                    0.25,
                    at_most=True,
                )
            )
        if preset == "stawm-cifar-mnv2":
            share = least["memory"]["peak"] / reference["memory"]["peak"]
            said.append(goal(f"`{preset}`, share of the peak memory", share, 0.667, at_most=True))
    return said


BENCHMARK = Benchmark("training", show)

if __name__ == "__main__":
    command(BENCHMARK, measure)
