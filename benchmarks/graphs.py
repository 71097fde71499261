"""The graphs of every preset: nodes, what is needed of them, and bytes.

``python -m benchmarks.graphs`` exports and verifies them all, and puts the table into ``docs/export.md``;
``python -m benchmarks.graphs PRESET ...`` some of them, and the rows of the others stay.
"""

import argparse
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import onnx
import onnxruntime as ort

import stawm
from benchmarks.results import publish
from stawm.errors import InputError

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
        steps: Nodes of init, glimpse and read; empty in a model that has no steps.
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
    with suppress(InputError):  # of a model that has none
        steps = stawm.export.to_onnx(model, folder / "steps", graph="step", batches=(1, 3)).nodes
    nodes, halves = whole.nodes["rollout"], half.nodes["rollout"]
    return Row(preset, nodes, needed(folder / "m.onnx"), halves, whole.size, half.size, tuple(steps.values()))


def line(r: Row) -> str:
    """Lay a row out."""
    steps = " + ".join(map(str, r.steps)) or "–"
    sizes = f"{r.size / 1e6:.1f} | {r.halves} | {r.half_size / 1e6:.1f}"
    return f"| `{r.preset}` | {r.nodes} | {r.needed} | {r.surplus:.1%} | {sizes} | {steps} |"


def known(page: Path = PAGE) -> dict[str, str]:
    """Return the rows that the page has, by their presets."""
    _, _, rest = page.read_text().partition("<!-- graphs -->")
    rows = [row for row in rest.partition("<!-- end graphs -->")[0].splitlines() if row.startswith("| `")]
    return {row.split("`")[1]: row for row in rows}


def table(rows: Mapping[str, str]) -> str:
    """Lay out the rows of presets that there are, in the order of the catalogue.

    Args:
        rows: By the presets' names.
    """
    lines = [
        "| preset | nodes | needed | surplus | MB | nodes, fp16 | MB, fp16 | init + glimpse + read |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    return "\n".join(lines + [rows[name] for name in stawm.list_names("preset", origin="stawm") if name in rows])


def main() -> None:
    """Measure presets, each into its row of the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("presets", nargs="*", help="measure these alone; the rows of others stay")
    args = parser.parse_args()
    for preset in args.presets or stawm.list_names("preset", origin="stawm"):
        with tempfile.TemporaryDirectory() as folder:
            row = measure(preset, Path(folder))
        print(row, flush=True)
        publish("graphs", table(known() | {preset: line(row)}), PAGE)


if __name__ == "__main__":
    main()
