"""On a GPU that is lent for minutes: the training step, then inference, against PyTorch's own ways.

``python -m benchmarks.gpu --out gpu.jsonl`` measures for 12 minutes, the most telling first, and writes each row as it
comes. ``--no-onnx`` leaves ONNX Runtime out, which is done by itself where it has no CUDA. ``--table gpu.jsonl``, on
any machine, puts the rows into ``benchmarks/results/gpu.json`` and ``docs/benchmarks.md``. With ``--device cpu
--quick`` it shows that it runs, on a machine without a GPU.
"""

import argparse
import gc
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import torch

import stawm
from benchmarks.budget import ROUNDS, Budget, Case, Log, Step, read, spend
from benchmarks.measure import Row, milliseconds
from benchmarks.results import Benchmark, goal, table
from stawm.models.model import Model
from stawm.storage.shipped import shipped_names

TRAINED = {"stawm-mnist-8": 2.0, "stawm-cifar-mnv2": 10.0}
"""The milliseconds that a training step shall take at most."""
BATCH = 128
OTHER_BATCHES = (32, 512)
COST = {"eager": 10.0, "compiled": 90.0, "ONNX": 60.0}
"""The seconds that a case is expected to take, by its way: compiling, exporting and verifying are most of it."""
SMALL = {"memory_size": 8, "hidden_size": 12, "glimpses": 1}
"""What is changed of a preset to see quickly that everything runs."""
REFERENCE = "authors' loop"
Makers = dict[str, Callable[[], Step]]
Precision = Literal["fp32", "fp16"]


def plan(presets: Sequence[str] = (), *, ways: Sequence[str] = ("eager", "compiled", "ONNX")) -> list[Case]:
    """Return what to measure, the most telling first: training steps with a goal, shipped presets, then the rest.

    Args:
        presets: These alone; all where left out.
        ways: The ways that there are.
    """
    every = [*presets] or stawm.list_names("preset", origin="stawm")
    shipped = [name for name in every if any(s == name or s.startswith(f"{name}.") for s in shipped_names())]
    aimed = [name for name in TRAINED if name in every]
    order = [("training", name, BATCH, way) for way in ("eager", "compiled") for name in aimed]
    for batch in (BATCH, 1):
        order += [("inference", name, batch, way) for way in COST for name in shipped]
    order += [("inference", name, BATCH, way) for way in ("eager", "ONNX") for name in every]
    order += [("training", name, BATCH, "eager") for name in every]
    order += [("inference", name, batch, way) for batch in OTHER_BATCHES for way in ("eager", "ONNX") for name in every]
    order += [("inference", name, 1, way) for way in ("eager", "ONNX") for name in every]
    order += [("training", name, BATCH, "compiled") for name in every]
    return [Case(*case, COST[case[3]]) for case in dict.fromkeys(order) if case[3] in ways]


class Maker:
    """Makes the variants of a case, on a device.

    Attributes:
        device: ``"cuda"`` or ``"cpu"``.
        folder: Where graphs are exported to; a preset's are exported once.
        overrides: What is changed of each preset.
    """

    def __init__(self, device: Literal["cuda", "cpu"], folder: Path, **overrides: Any) -> None:
        self.device: Literal["cuda", "cpu"] = device
        self.folder, self.overrides = folder, overrides

    def __call__(self, case: Case) -> Makers:
        """Return what makes each variant."""
        makers = self._training(case) if case.kind == "training" else self._inference(case)
        return {name: partial(self._waiting, make) for name, make in makers.items()}

    def free(self) -> None:
        """Forget what was compiled, and give memory back."""
        torch._dynamo.reset()
        gc.collect()
        if self.device == "cuda":
            torch.cuda.empty_cache()

    def _waiting(self, make: Callable[[], Step]) -> Step:
        """Return a step that ends when the device is done."""
        step = make()

        def run() -> None:
            step()
            if self.device == "cuda":
                torch.cuda.synchronize()

        return run

    def _training(self, case: Case) -> Makers:
        from benchmarks.training import authors_step, our_run, step_of  # what inference does not need may be missing

        def ours(precision: str, **options: Any) -> Step:
            options |= self.overrides
            return step_of(our_run(case.preset, precision, cpu=self.device == "cpu", **options), case.batch)

        if case.way == "compiled":
            graphs = ", CUDA graphs" if self.device == "cuda" else ""
            return {f"stawm, bf16, compiled{graphs}": partial(ours, "bf16", compile=True)}
        made = {
            REFERENCE: partial(authors_step, case.preset, case.batch, self.device, **self.overrides),
            "stawm, fp32": partial(ours, "fp32"),
            "stawm, bf16": partial(ours, "bf16"),
        }
        if self.device == "cuda":
            made["stawm, bf16, captured"] = partial(ours, "bf16", capture=True)
        return made

    def _inference(self, case: Case) -> Makers:
        model = stawm.build(case.preset, seed=0, **self.overrides).eval()
        pixels = torch.rand(case.batch, *model.config.image, generator=torch.Generator().manual_seed(1))
        if case.way == "ONNX":
            captured = (False, True) if self.device == "cuda" else (False,)
            return {
                f"ONNX Runtime, {precision}{', CUDA graphs' if on else ''}": partial(
                    self._onnx, model, pixels.to(self.device), precision, on
                )
                for precision in get_args(Precision)
                for on in captured
            }
        images = model.to(self.device).normalise(pixels.to(self.device))
        if case.way == "compiled":
            return {"PyTorch compiled, bf16": partial(self._torch, model, images, half=True, compiled=True)}
        return {
            f"PyTorch, {name}": partial(self._torch, model, images, half=name == "bf16") for name in ("fp32", "bf16")
        }

    def _torch(self, model: Model, images: torch.Tensor, *, half: bool, compiled: bool = False) -> Step:
        run: Callable[..., Any] = torch.compile(model, mode="reduce-overhead") if compiled else model

        def step() -> None:
            with torch.inference_mode(), torch.autocast(self.device, torch.bfloat16, enabled=half):
                run(images)

        return step

    def _onnx(self, model: Model, pixels: torch.Tensor, precision: Precision, captured: bool) -> Step:
        from stawm.export import OnnxModel

        path = self.folder / f"{model.config.name}-{precision}.onnx"
        if not path.exists():
            stawm.export.to_onnx(model.cpu(), path, precision=precision, batches=(1, 3))
            if self.device != "cpu":  # where it was verified when it was written
                stawm.export.verify(path, model, device=self.device, batches=(1, 3))
        onnx = OnnxModel(path, device=self.device, batch_size=len(pixels), cuda_graphs=captured)
        return partial(onnx, pixels)


def without_onnx(device: str) -> str | None:
    """Return why ONNX Runtime cannot be measured on a device, if it cannot."""
    try:
        import onnxruntime as ort
    except ImportError as error:
        return f"ONNX Runtime cannot be imported ({error})"
    wanted = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}[device]
    return None if wanted in ort.get_available_providers() else f"this ONNX Runtime has no {wanted}"


def show(rows: list[Row]) -> str:
    """Lay out training with its goals, then inference, then what failed and what there was no time for."""
    heads = "preset | batch | variant | ms: median (min to max) | images/s"
    timed = [row for row in rows if "median" in row]
    training, inference = ([row for row in timed if row["kind"] == kind] for kind in ("training", "inference"))
    reference = {row["preset"]: row["median"] for row in training if row["variant"] == REFERENCE}
    steps = [(*_cells(row), _faster(row, reference)) for row in training]
    said = []
    for preset in TRAINED:
        taken = [1e3 * row["median"] for row in training if row["preset"] == preset]
        if taken:
            said.append(goal(f"`{preset}`, a training step", min(taken), TRAINED[preset], at_most=True, unit=" ms"))
    failed = [f"- {_name(row)}: {row['error']}" for row in rows if "error" in row]
    late = [_name(row) for row in rows if "left_out" in row]
    parts = ["A training step:", table(f"{heads} | times as fast", steps), "\n".join(said)] if training else []
    parts += ["Inference:", table(heads, map(_cells, inference))] if inference else []
    parts += ["What failed:", "\n".join(failed)] if failed else []
    parts += [f"There was no time for: {'; '.join(late)}."] if late else []
    return "\n\n".join(part for part in parts if part)


def _cells(row: Row) -> tuple[object, ...]:
    speed = f"{row['batch'] / row['median']:,.0f}"
    return f"`{row['preset']}`", row["batch"], row["variant"], milliseconds(row), speed


def _faster(row: Row, reference: dict[str, float]) -> str:
    return f"{reference[row['preset']] / row['median']:.1f}" if row["preset"] in reference else "–"


def _name(row: Row) -> str:
    return f"{row['kind']} of `{row['preset']}`, batch {row['batch']}, {row.get('variant', row['way'])}"


BENCHMARK = Benchmark("gpu", show)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure within the time that there is, or lay out what was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("presets", nargs="*", help="these alone")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--minutes", type=float, default=12.0, help="how long there is, %(default)g where left out")
    parser.add_argument("--out", type=Path, default=Path("gpu.jsonl"), help="the file of the rows, %(default)s")
    parser.add_argument("--no-onnx", action="store_true", help="leave ONNX Runtime out")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--quick", action="store_true", help="one small model and batches of 2, to see that it runs")
    parser.add_argument("--table", type=Path, help="measure nothing: put the rows of this file into the page")
    given = parser.parse_args(arguments)
    if given.table:
        where, rows = read(given.table)
        BENCHMARK.keep(rows, where)
        BENCHMARK.publish()
        return
    budget, log = Budget(given.minutes, 2 if given.quick else ROUNDS), Log(given.out)
    why_not = "--no-onnx" if given.no_onnx else without_onnx(given.device)
    if why_not:
        print(f"ONNX Runtime is left out: {why_not}.", flush=True)
    ways = [way for way in COST if not (way == "ONNX" and why_not) and not (way == "compiled" and given.no_compile)]
    cases = quick(ways) if given.quick else plan(given.presets, ways=ways)
    with tempfile.TemporaryDirectory() as folder:
        make = Maker(given.device, Path(folder), **(SMALL if given.quick else {}))
        spend(cases, make, log, budget, make.free)
    print(show(read(given.out)[1]))


def quick(ways: Sequence[str]) -> list[Case]:
    """Return one case of every kind and way."""
    kinds = [("training", "eager"), ("training", "compiled"), *(("inference", way) for way in COST)]
    return [Case(kind, "stawm-digits", 2, way, 0.0) for kind, way in kinds if way in ways]


if __name__ == "__main__":
    main()
