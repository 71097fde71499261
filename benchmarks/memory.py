"""The memory alone, forward and backward: as a matrix, as rows, and as it chooses by itself.

``python -m benchmarks.memory`` measures over n writes and the width m, shows where the forms cross, and fits
how time and memory grow.
"""

import gc
import math
from collections.abc import Callable, Sequence

import torch

from benchmarks.measure import Row, as_dict, interleaved, milliseconds, seconds
from benchmarks.results import Benchmark, command, table
from benchmarks.turns import forget_peak, resident
from stawm.nn.memories.hebb_rosenblatt import HebbRosenblatt

WRITES = (1, 4, 16, 64, 128, 256, 512)
WIDTHS = (64, 256, 1024, 4096)
BATCH = 4
FORMS = ("dense", "factored", "auto")
MOST = 3e9
"""Bytes that a case may keep for its gradient; matrices that need more are left out."""
BUDGET = 1.0
"""Seconds for the rounds of one variant."""


def kept_bytes(form: str, n: int, m: int, batch: int = BATCH) -> float:
    """Return what autograd keeps of n writes at least: the matrices W_0 ... W_n, or the rows e and f."""
    dense = form == "dense" or (form == "auto" and n >= 2 * m)
    return 4.0 * batch * ((n + 1) * m * m if dense else 2 * n * m)


def step(form: str, n: int, m: int) -> Callable[[], None]:
    """Make n writes, one read, and the gradient of everything."""
    memory = HebbRosenblatt(HebbRosenblatt.Config(form=form, constrained=True, normalise=0.9), memory_size=m)
    generator = torch.Generator().manual_seed(0)
    E = torch.rand(BATCH, n, m, generator=generator, requires_grad=True)
    Q = torch.rand(BATCH, 1, m, generator=generator, requires_grad=True)

    def run() -> None:
        answers, _ = memory.unroll(E, Q, [n])
        torch.autograd.grad(answers.sum(), (E, Q, *memory.parameters()))

    return run


def peak_of(run: Callable[[], object]) -> int:
    """Return the bytes that one run takes at most above what there is."""
    gc.collect()
    forget_peak()
    before = resident("VmRSS")
    run()
    return resident("VmHWM") - before


def measure(quick: bool) -> list[Row]:
    """Measure every case that fits."""
    rows = []
    for m in (64,) if quick else WIDTHS:
        for n in (1, 4) if quick else WRITES:
            forms = [form for form in FORMS if kept_bytes(form, n, m) <= MOST]
            made = {form: step(form, n, m) for form in forms}
            longest = max(seconds(run) for run in made.values())
            timings = interleaved(made, 2 if quick else max(3, min(15, int(BUDGET / longest / 2))))
            rows.append(
                {
                    "n": n,
                    "m": m,
                    "variants": {f: {**as_dict(timings[f]), "bytes": peak_of(run)} for f, run in made.items()},
                }
            )
            print(m, n, {form: f"{t.median * 1e3:.2f} ms" for form, t in timings.items()}, flush=True)
    return rows


def show(rows: list[Row]) -> str:
    """Lay the rows out, with where the forms cross and how they grow."""
    cells = [
        (row["m"], row["n"], *(_cell(row["variants"].get(form)) for form in FORMS), _ratio(row["variants"]))
        for row in rows
    ]
    heads = " | ".join(("m | n", *(f"{form}: ms (min to max), MB" for form in FORMS), "dense / factored, time"))
    return "\n\n".join([table(heads, cells), "\n".join(crossings(rows)), "\n".join(growth(rows))])


def _cell(found: Row | None) -> str:
    return "too large" if found is None else f"{milliseconds(found)}, {found['bytes'] / 1e6:,.1f}"


def _ratio(found: Row) -> str:
    return f"{found['dense']['median'] / found['factored']['median']:.2f}" if "dense" in found else ""


def crossings(rows: list[Row]) -> list[str]:
    """Say for each width from how many writes on the matrix was the faster form."""
    said = []
    for m in dict.fromkeys(row["m"] for row in rows):
        both = [row for row in rows if row["m"] == m and "dense" in row["variants"]]
        slower = [r["n"] for r in both if r["variants"]["dense"]["median"] >= r["variants"]["factored"]["median"]]
        faster = [r["n"] for r in both if r["n"] > max(slower, default=0)]
        where = (
            f"from {min(faster)} writes on" if faster else f"at no number of writes up to {max(r['n'] for r in both)}"
        )
        said.append(f"- m = {m}: the matrix is faster {where}; `auto` takes it from {2 * m} on.")
    return said


def growth(rows: list[Row]) -> list[str]:
    """Fit time and bytes to a·nᵅ·mᵝ for each form, over the larger half of the cases by work."""
    said = []
    for form in ("dense", "factored"):
        found = [(row["n"], row["m"], row["variants"][form]) for row in rows if form in row["variants"]]
        large = sorted(found, key=lambda case: case[0] * case[1])[len(found) // 2 :]
        fits = [fit([(n, m, case[key]) for n, m, case in large if case[key] > 0]) for key in ("median", "bytes")]
        (a, b), (c, d) = fits
        said.append(f"- {form}: time grows as n^{a:.2f} m^{b:.2f}, memory as n^{c:.2f} m^{d:.2f}.")
    return said


def fit(cases: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    """Return α and β of value ≈ a·nᵅ·mᵝ, by least squares of the logarithms; no numbers where there are too few."""
    logs = [tuple(map(math.log, case)) for case in cases]
    if any(len({row[i] for row in logs}) < 2 for i in (0, 1)):
        return math.nan, math.nan
    rows = torch.tensor(logs, dtype=torch.float64)
    design = torch.cat([rows[:, :2], torch.ones(len(rows), 1, dtype=torch.float64)], dim=1)
    alpha, beta, _ = torch.linalg.lstsq(design, rows[:, 2:]).solution[:, 0].tolist()
    return alpha, beta


BENCHMARK = Benchmark("memory", show)

if __name__ == "__main__":
    command(BENCHMARK, measure)
