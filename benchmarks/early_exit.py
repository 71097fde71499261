"""Early exit: error against measured time, where images leave as soon as the model is sure of them.

``STAWM_DATA=ROOT python -m benchmarks.early_exit MODEL ...`` measures trained models on MNIST: checkpoints, or presets.
Thresholds are chosen on the last 10,000 training images: as they are, where the checkpoint says that they were held out
from its training, else augmented as in training. Errors are of the 10,000 test images. Times are CPU seconds of one
thread for 1,024 of them in batches of 128, the least of several rounds in which the variants take turns, so that a
machine that is shared changes little.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

import stawm
from benchmarks.measure import Row
from benchmarks.results import PAGE, Benchmark, command, goal, table
from stawm.cli.stopping import augmentation_of
from stawm.export import OnnxModel
from stawm.models.stopping import Stopping
from stawm.storage.pretrained import resolve_weights
from stawm.training import data, stopping

HELD_OUT, TIMED, BATCH, ROUNDS = 10_000, 1024, 128, 3
MEANS = (1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0)
"""The greatest mean numbers of glimpses that thresholds are chosen for."""
ALL = "all glimpses, rollout"
PICTURE = PAGE.parent / "images" / "early-exit.png"


class Known(NamedTuple):
    """What a model answers, as far as a benchmark needs it: logits after each glimpse, and classes."""

    held_out: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]


def answers(path: Path) -> Known:
    """Run a model over held-out images and test images."""
    model, noted = stawm.load(path), stawm.inspect(path).provenance
    splits = data.load(f"mnist:{os.environ['STAWM_DATA']}", image=model.config.image)
    count = noted.get("validation") or HELD_OUT
    change = None if noted.get("validation") else augmentation_of(noted)
    held_out = data.hold_out_last(splits.train, count).test
    return Known(stopping.collect(model, held_out, change, 512), stopping.collect(model, splits.test, None, 512))


def rows_of(name: str, known: Known, rollout: OnnxModel, steps: OnnxModel, images: Tensor, rounds: int) -> list[Row]:
    """Choose thresholds, and measure what they come to in errors and in time."""
    logits, labels = known.held_out
    temperatures = [stopping.temperature(read, labels) for read in logits.unbind(1)]
    found = [*stopping.candidates(stopping.calibrated(logits, labels, temperatures))]
    test = stopping.calibrated(*known.test, temperatures)
    variants: dict[str, Callable[[], Any]] = {ALL: lambda: rollout(images)}
    rows: list[Row] = [_row(name, ALL, logits.shape[1], test.wrong[:, -1].double().mean().item())]
    for mean in (one for one in MEANS if one < logits.shape[1]):
        thresholds, _ = stopping.choose(found, mean)
        outcome, what = stopping.stop(test, thresholds), f"at most {mean:g}"
        rule = _rule(thresholds.tolist(), temperatures)
        variants[what] = partial(_look, steps, rule, images)
        rows.append(_row(name, what, outcome.mean, outcome.error))
    for row, seconds in zip(rows, in_turn([*variants.values()], rounds), strict=True):
        row["seconds"] = seconds / len(images)
    return rows


def in_turn(variants: list[Callable[[], Any]], rounds: int) -> list[float]:
    """Return the least CPU seconds that each variant took."""
    taken: list[list[float]] = [[] for _ in variants]
    for _ in range(rounds):
        for own, run in zip(taken, variants, strict=True):
            start = time.process_time()
            run()
            own.append(time.process_time() - start)
    return [min(own) for own in taken]


def _row(name: str, what: str, mean: float, error: float) -> Row:
    return {"model": name, "goal": what, "mean": mean, "error": error}


def _rule(thresholds: list[float], temperatures: list[float]) -> Stopping:
    figures = dict.fromkeys(("error", "error_of_all", "mean_glimpses", "calibration_error", "uncalibrated"), 0.0)
    kept = {"thresholds": (*thresholds,), "temperatures": (*temperatures,)}
    return Stopping(**kept, weights="", data="", images=0, **figures)


def _look(steps: OnnxModel, rule: Stopping, images: Tensor) -> Any:
    steps.info = replace(steps.info, stopping=rule)
    return steps.look(images)


def measure(models: list[str], quick: bool) -> list[Row]:
    """Measure every model; told to be quick, an untrained one on noise."""
    torch.set_num_threads(1)
    found: list[Row] = []
    for name in ["untrained"] if quick else models:
        model = stawm.build("stawm-digits", seed=0).eval() if quick else stawm.load(resolve_weights(name))
        options: dict[str, Any] = {"threads": 1, "batch_size": BATCH}
        with tempfile.TemporaryDirectory() as folder:
            stawm.export.to_onnx(model, f"{folder}/m.onnx", outputs=["logits"], batches=(1, 3))
            stawm.export.to_onnx(model, f"{folder}/m", graph="step", outputs=["logits"], batches=(1, 3))
            rollout, steps = (OnnxModel(f"{folder}/{graph}", "cpu", **options) for graph in ("m.onnx", "m"))
        if quick:
            images = torch.rand(20, *model.config.image)
            logits = torch.as_tensor(model.predict(images, glimpse_logits=True).glimpse_logits).double()
            known = Known((logits, torch.arange(20) % 10), (logits, torch.arange(20) % 10))
        else:
            known = answers(resolve_weights(name))
            images = data.load(f"mnist:{os.environ['STAWM_DATA']}", image=model.config.image).test.images[:TIMED]
        found += rows_of(name, known, rollout, steps, images, 1 if quick else ROUNDS)
    return found


def show(rows: list[Row]) -> str:
    """Lay the rows out, and say which goals are reached."""
    cells, goals = [], []
    for name in dict.fromkeys(row["model"] for row in rows):
        own = [row for row in rows if row["model"] == name]
        whole, legal = own[0], [row for row in own[1:] if row["mean"] <= 2.5]
        for row in own:
            times = whole["seconds"] / row["seconds"]
            rate = f"{1 / row['seconds']:,.0f}"
            cells.append((name, row["goal"], f"{row['mean']:.2f}", f"{row['error']:.2%}", rate, f"{times:.2f}"))
        best = min(legal, key=lambda row: (row["error"], row["mean"]))
        more = f"{name}, points more error than all glimpses, at a mean of {best['mean']:.2f}"
        goals.append(goal(more, 100 * (best["error"] - whole["error"]), 0.05, at_most=True))
        goals.append(goal(f"{name}, there times as fast", whole["seconds"] / best["seconds"], 2.0))
    heads = "model | mean glimpses asked for | mean glimpses | test error | images/s | times as fast"
    return table(heads, cells) + "\n\n" + "\n".join(goals)


def picture(rows: list[Row], path: Path = PICTURE) -> None:
    """Draw error against time, a curve a model."""
    from stawm.viz import sheet

    figure = sheet.Picture(figsize=(5.2, 3.2), dpi=150, layout="constrained")
    axis = figure.subplots()
    names = [*dict.fromkeys(row["model"] for row in rows)]
    for number, name in enumerate(names):
        whole, *own = [row for row in rows if row["model"] == name]
        ink, said = sheet.colour(number, len(names)), name.replace("`", "")
        points = [(1e3 * row["seconds"], 100 * row["error"]) for row in own]
        axis.plot(*zip(*points, strict=True), color=ink, marker="o", markersize=3, label=f"{said}, when it is sure")
        axis.plot(
            1e3 * whole["seconds"], 100 * whole["error"], color=ink, marker="s", linestyle="", label=f"{said}, {ALL}"
        )
    axis.set_xlabel("CPU ms an image, one thread")
    axis.set_ylabel("test error, %")
    axis.set_ylim(bottom=0)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=7, frameon=False)
    sheet.save(figure, path)


BENCHMARK = Benchmark("early_exit", show)

if __name__ == "__main__":
    flags = [word for word in sys.argv[1:] if word.startswith("--")]
    named = [word for word in sys.argv[1:] if word not in flags] or ["stawm-mnist-8"]

    def measured(quick: bool) -> list[Row]:
        """Measure, and draw what was measured."""
        rows = measure(named, quick)
        if not quick:
            picture(rows)
        return rows

    command(BENCHMARK, measured, flags)
