"""The graphs of every preset: nodes, what is needed of them, and bytes.

``python -m benchmarks.graphs`` exports and verifies them all, and puts the table into ``docs/export.md``.
"""

import argparse
import tempfile
from pathlib import Path
from typing import NamedTuple

import onnx
import onnxruntime as ort

import stawm
from benchmarks.results import publish

PAGE = Path(__file__).parents[1] / "docs" / "export.md"


class Row(NamedTuple):
    """One preset.

    Attributes:
        preset: Its name.
        nodes: Of the rollout.
        needed: What ONNX Runtime's basic optimisations leave of them.
        halves: Nodes of the rollout in half precision.
        size: Bytes of the rollout.
        half_size: Bytes of the rollout in half precision.
        steps: Nodes of init, glimpse and read; empty in a baseline.
    """

    preset: str
    nodes: int
    needed: int
    halves: int
    size: int
    half_size: int
    steps: tuple[int, ...]

    @property
    def surplus(self) -> float:
        """How many more nodes there are than needed, as a share."""
        return self.nodes / self.needed - 1


def needed(path: Path) -> int:
    """Count what is left when ONNX Runtime has taken out what changes no value."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path.with_suffix(".basic.onnx"))
    options.log_severity_level = 3
    ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return len(onnx.load(path.with_suffix(".basic.onnx")).graph.node)


def measure(preset: str, folder: Path) -> Row:
    """Export a preset in its default form, in half precision, and as steps."""
    model = stawm.build(preset, seed=0)
    whole = stawm.export.to_onnx(model, folder / "m.onnx", batches=(1, 3))
    half = stawm.export.to_onnx(model, folder / "half.onnx", precision="fp16", batches=(1, 3))
    steps = {}
    if model.config.glimpses is not None:
        steps = stawm.export.to_onnx(model, folder / "steps", graph="step", batches=(1, 3)).nodes
    nodes, halves = whole.nodes["rollout"], half.nodes["rollout"]
    return Row(preset, nodes, needed(folder / "m.onnx"), halves, whole.size, half.size, tuple(steps.values()))


def table(rows: list[Row]) -> str:
    """Lay the rows out for the page."""
    lines = [
        "| preset | nodes | needed | surplus | MB | nodes, fp16 | MB, fp16 | init + glimpse + read |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in rows:
        steps = " + ".join(map(str, r.steps)) or "–"
        sizes = f"{r.size / 1e6:.1f} | {r.halves} | {r.half_size / 1e6:.1f}"
        lines.append(f"| `{r.preset}` | {r.nodes} | {r.needed} | {r.surplus:.1%} | {sizes} | {steps} |")
    return "\n".join(lines)


def main() -> None:
    """Measure every preset and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("presets", nargs="*", help="print these alone")
    args = parser.parse_args()
    rows = []
    for preset in args.presets or stawm.list_names("preset", origin="stawm"):
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(preset, Path(folder)))
            print(rows[-1], flush=True)
    if not args.presets:
        publish("graphs", table(rows), PAGE)


if __name__ == "__main__":
    main()
