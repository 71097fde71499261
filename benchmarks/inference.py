"""Inference on the CPU: the authors' eager loop against ours, eager and exported, interleaved in one run.

``python -m benchmarks.inference`` measures. Goals are for ONNX Runtime's threads asleep whenever they wait; what they
reach when they stay awake within a run (``spinning=True``) is measured beside it. Weights are drawn at random, so that
graphs in int8 are made here for their time alone: what they answer is judged where weights are trained.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import stawm
from benchmarks.authors_loop import AuthorsLoop
from benchmarks.measure import Row, as_dict, interleaved, milliseconds
from benchmarks.results import Benchmark, command, goal, table
from stawm.export import Bounds
from stawm.models.model import Stawm

CASES = (("stawm-mnist-8", 128, 21), ("stawm-mnist-8", 1, 61), ("stawm-cifar-mnv2", 32, 9), ("stawm-cifar-mnv2", 1, 21))
QUICK = (("stawm-digits", 3, 1),)
GOALS = {("stawm-mnist-8", 128): 12.0, ("stawm-mnist-8", 1): 5.0, ("stawm-cifar-mnv2", 32): 10.0}
INT8_GOALS = {("stawm-mnist-8", 128): 13.0, ("stawm-mnist-8", 1): 8.0, ("stawm-cifar-mnv2", 32): 10.0}
IN_INT8 = "stawm, ONNX Runtime, int8"
LEAST_SHRINKING = 3.0
ANY = Bounds(agreement=0, worse=1, pose=float("inf"), canvas=1)
REFERENCE, EXPORTED, AWAKE = "authors' loop", "stawm, ONNX Runtime", "stawm, ONNX Runtime, threads awake"


def variants(model: Stawm, pixels: torch.Tensor, folder: Path) -> dict[str, Callable[[], object]]:
    """Make what is measured: the reference, ours eager, ours exported."""
    path, small = (folder / f"{model.config.name}.{precision}.onnx" for precision in ("fp32", "int8"))
    if not path.exists():
        stawm.export.to_onnx(model, path, outputs=["logits"], batches=(1, 3))
        shown = model.normalise(torch.rand(16, *model.config.image, generator=torch.Generator().manual_seed(2)))
        options: Any = {"precision": "int8", "calibration": shown, "images": shown, "bounds": ANY}
        stawm.export.to_onnx(model, small, outputs=["logits"], batches=(1, 3), **options)
    threads = torch.get_num_threads()
    asleep, awake = (stawm.export.OnnxModel(path, "cpu", threads=threads, spinning=on) for on in (False, True))
    int8 = stawm.export.OnnxModel(small, "cpu", threads=threads)
    reference, images = AuthorsLoop(model).eval(), model.normalise(pixels)
    return {
        REFERENCE: lambda: reference(images),
        "stawm, eager": lambda: model(images),
        EXPORTED: lambda: asleep(pixels),
        AWAKE: lambda: awake(pixels),
        IN_INT8: lambda: int8(pixels),
    }


def sizes_of(model: Stawm, folder: Path) -> dict[str, int]:
    """Return the bytes of both files by their precision."""
    name = model.config.name
    return {precision: (folder / f"{name}.{precision}.onnx").stat().st_size for precision in ("fp32", "int8")}


@torch.inference_mode()
def measure(quick: bool) -> list[Row]:
    """Measure every case."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for preset, batch, rounds in QUICK if quick else CASES:
            model = stawm.build(preset, seed=0).eval()
            pixels = torch.rand(batch, *model.config.image, generator=torch.Generator().manual_seed(1))
            timings = interleaved(variants(model, pixels, Path(folder)), rounds)
            row: Row = {"preset": preset, "batch": batch, "timings": {n: as_dict(t) for n, t in timings.items()}}
            rows.append(row | {"sizes": sizes_of(model, Path(folder))})
            print(preset, batch, {n: f"{t.median * 1e3:.1f} ms" for n, t in timings.items()}, flush=True)
    return rows


def show(rows: list[Row]) -> str:
    """Lay the rows out, and say which goals are reached."""
    cells, goals = [], []
    for row in rows:
        case, reference = (row["preset"], row["batch"]), row["timings"][REFERENCE]["median"]
        for name, found in row["timings"].items():
            cells.append((f"`{case[0]}`", case[1], name, milliseconds(found), f"{reference / found['median']:.1f}"))
        if case in INT8_GOALS and IN_INT8 in row["timings"]:
            faster = reference / row["timings"][IN_INT8]["median"]
            goals.append(goal(f"`{case[0]}`, batch {case[1]}, int8, times as fast", faster, INT8_GOALS[case]))
        if case in GOALS:
            faster = reference / row["timings"][EXPORTED]["median"]
            goals.append(goal(f"`{case[0]}`, batch {case[1]}, exported, times as fast", faster, GOALS[case]))
    sizes = {row["preset"]: row["sizes"] for row in rows if "sizes" in row}
    for preset, size in sizes.items():
        goals.append(goal(f"`{preset}`, int8, times as small", size["fp32"] / size["int8"], LEAST_SHRINKING))
    return (
        table("preset | batch | variant | median (min to max), ms | times as fast", cells) + "\n\n" + "\n".join(goals)
    )


BENCHMARK = Benchmark("inference", show)

if __name__ == "__main__":
    command(BENCHMARK, measure)
