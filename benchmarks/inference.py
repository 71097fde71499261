"""Inference on the CPU: the authors' eager loop against ours, eager and exported, interleaved in one run.

``python -m benchmarks.inference`` measures, writes ``benchmarks/results/inference.json`` and puts the table
into ``docs/benchmarks.md``.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

import stawm
from benchmarks.authors_loop import AuthorsLoop
from benchmarks.measure import Timing, as_dict, interleaved, keep, machine, publish
from stawm.heads.model import Stawm

CASES = (("stawm-mnist-8", 128, 21), ("stawm-mnist-8", 1, 61), ("stawm-cifar-mnv2", 32, 9), ("stawm-cifar-mnv2", 1, 21))
GOALS = {("stawm-mnist-8", 128): 12.0, ("stawm-mnist-8", 1): 5.0, ("stawm-cifar-mnv2", 32): 10.0}
REFERENCE = "authors' loop"


def variants(model: Stawm, images: torch.Tensor, folder: Path) -> dict[str, Callable[[], object]]:
    """Make what is measured: the reference, ours eager, ours exported."""
    path = folder / f"{model.config.name}.onnx"
    if not path.exists():
        stawm.export.to_onnx(model, path, outputs=["logits"], batches=(1, 3))
    onnx = stawm.export.OnnxModel(path, device="cpu", threads=torch.get_num_threads())
    reference = AuthorsLoop(model)
    return {
        REFERENCE: lambda: reference(images),
        "stawm, eager": lambda: model(images),
        "stawm, ONNX Runtime": lambda: onnx(images),
    }


def row(preset: str, batch: int, timings: dict[str, Timing]) -> dict[str, object]:
    """Return one case: medians, spread, and ratios to the reference."""
    base = timings[REFERENCE].median
    return {
        "preset": preset,
        "batch": batch,
        "goal": GOALS.get((preset, batch)),
        "timings": {name: as_dict(t) for name, t in timings.items()},
        "speed": {name: base / t.median for name, t in timings.items()},
    }


def table(rows: list[dict]) -> str:
    """Lay the rows out for the page."""
    lines = [
        "| preset | batch | variant | median (min to max), ms | times the authors' loop | goal |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for case in rows:
        for name, t in case["timings"].items():
            spread = f"{t['median'] * 1e3:.1f} ({t['lowest'] * 1e3:.1f} to {t['highest'] * 1e3:.1f})"
            goal = f"{case['goal']:.0f}" if case["goal"] and "ONNX" in name else ""
            lines.append(
                f"| `{case['preset']}` | {case['batch']} | {name} | {spread} | {case['speed'][name]:.1f} | {goal} |"
            )
    said = ", ".join(f"{key} {value}" for key, value in machine().items())
    return "\n".join([*lines, "", f"Measured with `python -m benchmarks.inference` on: {said}."])


@torch.inference_mode()
def main() -> None:
    """Measure every case and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=float, default=1.0, help="how many times the usual number of rounds")
    parser.add_argument("--threads", type=int, help="threads for every variant; PyTorch's choice where left out")
    parser.add_argument("--quick", action="store_true", help="two rounds, nothing written: does it run?")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for preset, batch, rounds in CASES:
            model = stawm.build(preset, seed=0).eval()
            images = torch.randn(batch, *model.config.image, generator=torch.Generator().manual_seed(1))
            made = variants(model, images, Path(folder))
            timings = interleaved(made, 2 if args.quick else max(3, round(rounds * args.rounds)))
            rows.append(row(preset, batch, timings))
            print(preset, batch, {name: f"{ratio:.2f}" for name, ratio in rows[-1]["speed"].items()}, flush=True)
    if not args.quick:
        print(keep("inference", rows))
        publish("inference", table(rows))


if __name__ == "__main__":
    main()
