"""Where a training step's time goes, part by part, and how near each part is to what the machine can do.

``python -m benchmarks.profile`` measures. Each part runs alone, forward and backward, on inputs of the size that
it has in the step. Its limit is the larger of its FLOPs over the machine's measured rate of matrix products and
its least bytes over the measured rate of copying; see `benchmarks.parts`.
"""

import torch

from benchmarks.measure import Row, as_dict, interleaved, seconds
from benchmarks.parts import Part, parts_of
from benchmarks.results import Benchmark, command, goal, table
from benchmarks.training import batch_of, data, our_run, step_of

PRESETS = ("stawm-mnist-8", "stawm-cifar-mnv2", "stawm-mnist-draw-8")
ROUNDS = 7
MOST = 5.0
HELD_BACK = {
    "context CNN": "its first layers have few channels, and batch normalisation and ReLU are passes over memory",
    "glimpse CNN": "depthwise convolutions, batch normalisation and ReLU6 are passes of their own over memory, which "
    "only a compiler could join",
    "projections": "autocast makes a copy of the weights in bfloat16, and the products are small",
    "LSTMs": "one glimpse waits for the other, so each product has a batch's rows only, and the gates between them "
    "are a dozen passes over small arrays",
    "emitters": "the products are small",
    "sampling": "`grid_sample` gathers single pixels, which no rate of copying allows for",
    "what and where": "what x where stays in float32, whose products are slower",
    "memory": "a loop over the writes of small products and many calls",
    "heads and loss": "small products and many calls",
    "clipping and optimiser": "the gradient's norm is taken weight by weight, before the update may begin",
}


def rates(quick: bool) -> dict[str, float]:
    """Return the machine's rates: FLOPs a second of matrix products in both precisions, and bytes a second copied."""
    side, rounds = (256, 1) if quick else (2048, 9)
    found = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        a, b = torch.rand(side, side).to(dtype), torch.rand(side, side).to(dtype)
        found[name] = 2 * side**3 / min(seconds(lambda a=a, b=b: a @ b) for _ in range(rounds))
    source = torch.rand(2**20 if quick else 2**25)
    target = torch.empty_like(source)
    found["copy"] = 2 * source.nbytes / min(seconds(lambda: target.copy_(source)) for _ in range(rounds))
    return found


def measure(quick: bool) -> list[Row]:
    """Measure the parts of a bf16 step, in turn with the whole of it."""
    rows = []
    for preset in ("stawm-digits",) if quick else PRESETS:
        batch = 2 if quick else batch_of(preset)
        run = our_run(preset, "bf16")
        raw, _ = data(run.model, batch)
        parts = parts_of(run, run.model.normalise(raw.float() / 255))
        made = {part.name: part.run for part in parts} | {"step": step_of(run, batch)}
        timings = interleaved(made, 1 if quick else ROUNDS)
        rows.append(
            {
                "preset": preset,
                "batch": batch,
                "rates": rates(quick),
                "step": as_dict(timings["step"]),
                "parts": [_part(part, as_dict(timings[part.name])) for part in parts],
            }
        )
        print(preset, {name: f"{t.median * 1e3:.2f} ms" for name, t in timings.items()}, flush=True)
    return rows


def _part(part: Part, timing: Row) -> Row:
    return {"name": part.name, "times": part.times, "flops": part.flops, "bytes": part.bytes, **timing}


def limit(part: Row, machine: dict[str, float]) -> float:
    """Return the seconds that all runs of a part take at least, at the machine's measured rates."""
    precision = "fp32" if part["name"] in ("memory", "what and where", "sampling") else "bf16"
    return part["times"] * max(part["flops"] / machine[precision], part["bytes"] / machine["copy"])


def show(rows: list[Row]) -> str:
    """Lay out each preset's parts."""
    return "\n\n".join(_profile(row) for row in rows)


def _profile(row: Row) -> str:
    step, parts, machine = row["step"]["median"], row["parts"], row["rates"]
    cells, lost = [], {}
    for part in parts:
        taken, least = part["times"] * part["median"], limit(part, machine)
        lost[part["name"]] = max(0.0, taken - least)
        work = (f"{part['times'] * part['flops'] / 1e9:.3g}", f"{part['times'] * part['bytes'] / 1e6:,.0f}")
        shares = (f"{taken * 1e3:.1f}", f"{taken / step:.0%}", *work, f"{least * 1e3:.2f}", f"{least / taken:.0%}")
        cells.append((part["name"], part["times"], *shares))
    together = sum(part["times"] * part["median"] for part in parts)
    cells.append(("all parts", "", f"{together * 1e3:.1f}", f"{together / step:.0%}", "", "", "", ""))
    heads = "part | runs | ms | of the step | GFLOP | MB | limit, ms | of the limit"
    worst = max(lost, key=lambda name: lost[name])
    memory = next(part for part in parts if part["name"] == "memory")
    share = 100 * memory["times"] * memory["median"] / step
    return "\n".join(
        [
            f"`{row['preset']}`, batch {row['batch']}, bf16: a step takes {step * 1e3:.0f} ms. The machine makes "
            f"{machine['fp32'] / 1e9:,.0f} GFLOP/s in float32 and {machine['bf16'] / 1e9:,.0f} in bfloat16, and "
            f"reads and writes {machine['copy'] / 1e9:.1f} GB/s.",
            "",
            table(heads, cells),
            "",
            f"- Most is lost in: {worst}, {lost[worst] * 1e3:.0f} ms above its limit; {HELD_BACK[worst]}.",
            goal("the memory's own share of the step", share, MOST, at_most=True, unit=" %"),
        ]
    )


BENCHMARK = Benchmark("profile", show)

if __name__ == "__main__":
    command(BENCHMARK, measure)
