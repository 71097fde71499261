"""On a GPU: inference of every preset's graph, verified there, and the training step, against PyTorch's own ways.

``python -m benchmarks.gpu`` verifies and measures, writes ``benchmarks/results/gpu.json`` and puts the tables
into ``docs/benchmarks.md``. With ``--device cpu --quick`` it shows that it runs, on a machine without a GPU.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import stawm
from benchmarks.measure import Row, as_dict, interleaved, milliseconds
from benchmarks.results import Benchmark, goal, table
from benchmarks.training import REFERENCE, authors_step, our_run, step_of
from stawm.export import OnnxModel
from stawm.models.model import Model

BATCHES = (1, 32, 128, 512)
TRAINED = {"stawm-mnist-8": 2.0, "stawm-cifar-mnv2": 10.0}
"""The milliseconds that a training step shall take at most."""
TRAINING_BATCH = 128
ROUNDS = 31
Variants = dict[str, Callable[[], object]]


def onnx_variants(model: Model, pixels: torch.Tensor, folder: Path, device: str) -> Variants:
    """Export in both precisions, and open each with and without captured graphs."""
    made: Variants = {}
    for precision in ("fp32", "fp16"):
        path = folder / f"{precision}.onnx"
        if not path.exists():
            stawm.export.to_onnx(model, path, precision=precision, batches=(1, 3))
            stawm.export.verify(path, model, device=device, batches=(1, 3, 128))
        for captured in (False, True) if device == "cuda" else (False,):
            onnx = OnnxModel(path, device=device, batch_size=max(BATCHES), cuda_graphs=captured)  # pyright: ignore[reportArgumentType]
            name = f"ONNX Runtime, {precision}{', CUDA graphs' if captured else ''}"
            made[name] = _synchronised(lambda onnx=onnx: onnx(pixels), device)
    return made


def torch_variants(model: Model, images: torch.Tensor, device: str, compiled: bool) -> Variants:
    """PyTorch, eager and compiled, in both precisions."""
    on_device = model.to(device)
    runs: dict[str, Callable[..., Any]] = {"eager": on_device}
    if compiled:
        runs["torch.compile"] = torch.compile(on_device, mode="reduce-overhead")
    made: Variants = {}
    for name, run in runs.items():
        for precision in ("fp32", "fp16"):

            def call(run: Callable[..., Any] = run, half: bool = precision == "fp16") -> object:
                with torch.autocast(device, torch.float16, enabled=half):
                    return run(images)

            made[f"PyTorch {name}, {precision}"] = _synchronised(call, device)
    return made


def _synchronised(call: Callable[[], object], device: str) -> Callable[[], object]:
    def run() -> object:
        found = call()
        if device == "cuda":
            torch.cuda.synchronize()
        return found

    return run


def measure(preset: str, device: str, batches: tuple[int, ...], rounds: int, compiled: bool) -> list[Row]:
    """Measure one preset at every size of batch."""
    rows = []
    model = stawm.build(preset, seed=0).eval()
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        for batch in batches:
            pixels = torch.rand(batch, *model.config.image, generator=torch.Generator().manual_seed(1)).to(device)
            made = onnx_variants(model.cpu(), pixels, Path(folder), device)
            made |= torch_variants(model, model.normalise(pixels), device, compiled)
            timings = interleaved(made, rounds)
            for name, timing in timings.items():
                rows.append({"preset": preset, "batch": batch, "variant": name, **as_dict(timing)})
            print(preset, batch, {name: f"{t.median * 1e3:.2f} ms" for name, t in timings.items()}, flush=True)
            torch._dynamo.reset()
    return rows


def training_variants(preset: str, batch: int, device: str, compiled: bool) -> Variants:
    """Make a training step in every way: the authors', and ours eager, compiled, and as a captured graph."""
    on_cpu = device == "cpu"
    made = {REFERENCE: authors_step(preset, batch, device)}
    made["stawm, bf16"] = step_of(our_run(preset, "bf16", cpu=on_cpu), batch)
    if compiled:
        plain = our_run(preset, "bf16", cpu=on_cpu)
        plain.learner = torch.compile(plain.learner)
        made["stawm, bf16, compiled"] = step_of(plain, batch)
        captured = our_run(preset, "bf16", cpu=on_cpu, compile=True)
        made["stawm, bf16, compiled, CUDA graphs"] = step_of(captured, batch)
    return {name: _synchronised(step, device) for name, step in made.items()}


def measure_training(preset: str, device: str, batch: int, rounds: int, compiled: bool) -> list[Row]:
    """Measure one preset's training step."""
    timings = interleaved(training_variants(preset, batch, device, compiled), rounds)
    print(preset, batch, "training", {n: f"{t.median * 1e3:.2f} ms" for n, t in timings.items()}, flush=True)
    torch._dynamo.reset()
    return [{"preset": preset, "batch": batch, "variant": n, "trains": True, **as_dict(t)} for n, t in timings.items()]


def show(rows: list[Row]) -> str:
    """Lay out inference, then training with its goals."""
    heads = "preset | batch | variant | latency, ms: median (min to max) | images/s"
    inference, training = ([row for row in rows if row.get("trains", False) == wanted] for wanted in (False, True))
    reference = {row["preset"]: row["median"] for row in training if row["variant"] == REFERENCE}
    steps = [(*_cells(row), f"{reference[row['preset']] / row['median']:.1f}") for row in training]
    said = []
    for preset in reference:
        if preset in TRAINED:
            best = 1e3 * min(row["median"] for row in training if row["preset"] == preset)
            said.append(goal(f"`{preset}`, a training step", best, TRAINED[preset], at_most=True, unit=" ms"))
    steps_table = table(f"{heads} | times as fast", steps)
    return "\n\n".join([table(heads, map(_cells, inference)), "A training step:", steps_table, "\n".join(said)])


def _cells(row: Row) -> tuple[object, ...]:
    speed = f"{row['batch'] / row['median']:,.0f}"
    return f"`{row['preset']}`", row["batch"], row["variant"], milliseconds(row), speed


BENCHMARK = Benchmark("gpu", show)


def main() -> None:
    """Measure every preset and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("presets", nargs="*", help="these alone")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="one small preset, one round, nothing written")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    args = parser.parse_args()
    batches, rounds, compiled = ((1, 3), 1, False) if args.quick else (BATCHES, ROUNDS, not args.no_compile)
    every, trained = stawm.list_names("preset", origin="stawm"), list(TRAINED)
    if args.quick:
        every = trained = ["stawm-digits"]
    rows: list[Row] = []
    for preset in args.presets or every:
        rows += measure(preset, args.device, batches, rounds, compiled)
    for preset in args.presets or trained:
        rows += measure_training(preset, args.device, 2 if args.quick else TRAINING_BATCH, rounds, compiled)
    if args.quick or args.device == "cpu":
        print(show(rows))
        return
    BENCHMARK.keep(rows)
    BENCHMARK.publish()


if __name__ == "__main__":
    main()
