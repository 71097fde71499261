"""What int8 changes: every preset whose weights ship, at its full size, in int8 beside the model itself.

``STAWM_DATA=ROOT python -m benchmarks.int8`` exports each with int8 in convolutions and without, and runs it over the
test images of its own data. Ranges are measured on training images, as `stawm export --precision int8` does.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

import stawm
from benchmarks.measure import Row
from benchmarks.results import Benchmark, command, table
from stawm.cli.shown import CALIBRATED, JUDGED, labels_of, normalised, some
from stawm.export import Bounds, inspect
from stawm.export.graphs.plan import Plan
from stawm.export.proof.behaviour import Expected, Trial, answer, expect, judge
from stawm.export.run.host import HostRunner
from stawm.export.run.providers import open_session
from stawm.export.run.walk import Named
from stawm.heads.recall import RecallHead
from stawm.models.model import Model
from stawm.storage.pretrained import resolve_weights
from stawm.storage.shipped import shipped_names
from stawm.training import data
from stawm.training.provenance import source_with_folders

PAGE = Path(__file__).parents[1] / "docs" / "int8.md"
ANY = Bounds(agreement=0, worse=1, pose=float("inf"), canvas=1)
"""Bounds of the export itself: what a graph does is found out afterwards, also where it is too little."""
BOUNDS = Bounds()
FORMS = ("int8, convolutions too", "int8, convolutions in fp32")


def rows_of(name: str, model: Model, trial: Trial, calibration: torch.Tensor, folder: Path) -> Iterator[Row]:
    """Export a model in float32 and in int8, and yield what each comes to."""
    assert trial.images is not None
    few: Any = {"images": trial.images[:16], "bounds": ANY, "batches": (1, 3)}
    whole = stawm.export.to_onnx(model, folder / "fp32.onnx", batches=(1, 3))
    info = inspect(folder / "fp32.onnx").info
    expected = expect(model, Plan("rollout", info.glimpses, info.fields, False), trial)
    theirs, count = expected.answers, len(trial.images)
    yield {"preset": name, "form": "fp32", "MB": whole.size / 1e6, "images": count, "error": _error(theirs, trial)}
    for number, form in enumerate(FORMS):
        path = folder / f"{number}.onnx"
        report = stawm.export.to_onnx(model, path, precision="int8", calibration=None if number else calibration, **few)
        found = figures(_run(path, expected), theirs, trial)
        yield {"preset": name, "form": form, "MB": report.size / 1e6, "images": count, **found}


def figures(ours: Named, theirs: Named, trial: Trial) -> Row:
    """Return how far what a graph gives is from what its model gives, and which checks of an export that fails."""
    found: Row = {"error": _error(ours, trial), "failed": [c.name for c in judge(ours, theirs, trial) if not c.ok]}
    if "logits" in ours:
        mine, model = ours["logits"], theirs["logits"]
        found["same"] = (mine.argmax(dim=1) == model.argmax(dim=1)).double().mean().item()
        found["apart"] = (mine.exp() - model.exp()).abs().max().item()
    if "pose" in ours:
        far = (ours["pose"] - theirs["pose"]).abs().flatten(1).amax(dim=1)
        found["poses"] = (far <= trial.bounds.pose).double().mean().item()
    if "canvas" in ours:
        far = (ours["canvas"] - theirs["canvas"]).square().flatten(1).mean(dim=1).sqrt()
        found["canvases"] = (far <= trial.bounds.canvas).double().mean().item()
    return found


def _run(path: Path, expected: Expected) -> Named:
    threads = torch.get_num_threads()
    return answer(HostRunner(open_session(path.read_bytes(), "cpu", allow_fallback=False, threads=threads)), expected)


def _error(given: Named, trial: Trial) -> float | None:
    if trial.labels is None or "logits" not in given:
        return None
    return (given["logits"].argmax(dim=1) != trial.labels).double().mean().item()


def measured() -> list[str]:
    """Return the presets whose weights ship, but for those that are asked questions: no cues are tried here."""
    configs = {name: stawm.config(name) for name in shipped_names()}
    return [n for n, config in configs.items() if not any(isinstance(h, RecallHead.Config) for h in config.heads)]


def measure(quick: bool) -> list[Row]:
    """Measure what ships, on the test images of its own data; told to be quick, an untrained model on noise."""
    rows: list[Row] = []
    for name in ["untrained"] if quick else measured():
        if quick:
            model = stawm.build("stawm-digits", seed=0)
            shown, labels = torch.rand(40, *model.config.image), torch.arange(40) % 10
            calibration = shown[20:]
        else:
            model, noted = stawm.load(resolve_weights(name)), stawm.inspect(resolve_weights(name)).provenance
            source, fields = source_with_folders(noted["data"], os.environ["STAWM_DATA"]), noted.get("data_fields", {})
            sets = data.load(source, image=model.config.image, resize=model.config.resize, **fields)
            test = some(sets.test, JUDGED)
            shown, labels = normalised(model, test), labels_of(model, test)
            calibration = normalised(model, some(sets.train, CALIBRATED))
        with tempfile.TemporaryDirectory() as folder:
            for row in rows_of(name, model, Trial(images=shown, labels=labels), calibration, Path(folder)):
                rows.append(row)
                print(row, flush=True)
        if not quick:
            BENCHMARK.keep(rows)  # which takes minutes a preset, and may be broken off
    return rows


def show(rows: list[Row]) -> str:
    """Lay the rows out."""
    cells = []
    for r in rows:
        shares = [_percent(r.get(name)) for name in ("error", "same", "poses", "canvases")]
        apart = f"{r['apart']:.2g}" if "apart" in r else ""
        verdict = ", ".join(r["failed"]) + " **failed**" if r.get("failed") else "" if r["form"] == "fp32" else "passed"
        cells.append((f"`{r['preset']}`", r["form"], f"{r['MB']:.1f}", *shares, apart, verdict))
    heads = (
        f"preset | graph | MB | error | same class | poses within {BOUNDS.pose:g} | "
        f"canvases within {BOUNDS.canvas:g} | probabilities apart by at most | verdict"
    )
    return table(heads, cells)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2f} %"


BENCHMARK = Benchmark("int8", show, PAGE)

if __name__ == "__main__":
    command(BENCHMARK, measure)
