"""Inference on a GPU: every preset's graph, verified there, against PyTorch eager and compiled.

``python -m benchmarks.gpu`` verifies and measures, writes ``benchmarks/results/gpu.json`` and puts the table
into ``docs/benchmarks.md``. With ``--device cpu --quick`` it shows that it runs, on a machine without a GPU.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import stawm
from benchmarks.measure import as_dict, interleaved, keep, machine, publish
from stawm.export import OnnxModel
from stawm.heads.model import Model

BATCHES = (1, 32, 128, 512)
ROUNDS = 31
Variants = dict[str, Callable[[], object]]


def onnx_variants(model: Model, images: torch.Tensor, folder: Path, device: str) -> Variants:
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
            made[name] = _synchronised(lambda onnx=onnx: onnx(images), device)
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


def measure(preset: str, device: str, batches: tuple[int, ...], rounds: int, compiled: bool) -> list[dict[str, Any]]:
    """Measure one preset at every size of batch."""
    rows = []
    model = stawm.build(preset, seed=0).eval()
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        for batch in batches:
            images = torch.randn(batch, *model.config.image, generator=torch.Generator().manual_seed(1)).to(device)
            made = onnx_variants(model.cpu(), images, Path(folder), device)
            made |= torch_variants(model, images, device, compiled)
            timings = interleaved(made, rounds)
            for name, timing in timings.items():
                rows.append({"preset": preset, "batch": batch, "variant": name, **as_dict(timing)})
            print(preset, batch, {name: f"{t.median * 1e3:.2f} ms" for name, t in timings.items()}, flush=True)
            torch._dynamo.reset()
    return rows


def table(rows: list[dict[str, Any]], device: str) -> str:
    """Lay the rows out for the page."""
    lines = [
        "| preset | batch | variant | latency, ms: median (min to max) | images/s |",
        "| --- | --- | --- | --- | --- |",
    ]
    for r in rows:
        spread = f"{r['median'] * 1e3:.2f} ({r['lowest'] * 1e3:.2f} to {r['highest'] * 1e3:.2f})"
        speed = f"{r['batch'] / r['median']:,.0f}"
        lines.append(f"| `{r['preset']}` | {r['batch']} | {r['variant']} | {spread} | {speed} |")
    said = machine() | ({"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda} if device == "cuda" else {})
    where = ", ".join(f"{key} {value}" for key, value in said.items())
    return "\n".join([*lines, "", f"Measured with `python -m benchmarks.gpu` on: {where}."])


def main() -> None:
    """Measure every preset and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("presets", nargs="*", help="these alone")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="batches of 1 and 3, two rounds, nothing written")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    args = parser.parse_args()
    batches, rounds = ((1, 3), 2) if args.quick else (BATCHES, ROUNDS)
    rows: list[dict[str, Any]] = []
    for preset in args.presets or stawm.list_names("preset", origin="stawm"):
        rows += measure(preset, args.device, batches, rounds, not args.no_compile)
    if args.quick or args.device == "cpu":
        print(table(rows, args.device))
        return
    print(keep("gpu", rows))
    publish("gpu", table(rows, args.device))


if __name__ == "__main__":
    main()
