"""Scenes: how many of them are made in a second, one process on one core and on two.

``python -m benchmarks.scenes`` measures. What scenes are made of are numbers at random of MNIST's size and count of
bright pixels, since what is in an image changes nothing in the work.
"""

from collections.abc import Callable

import torch

from benchmarks.measure import Row, as_dict, interleaved
from benchmarks.results import Benchmark, command, goal, table
from stawm.training.data.scene_config import SceneConfig
from stawm.training.data.scenes import Scenes, Things

THREADS = (1, 2)
WANTED = 20_000
"""Scenes of 100x100 a second on two cores."""
CASES: dict[str, tuple[int, SceneConfig]] = {
    "a digit anywhere": (60, SceneConfig(pieces=0)),
    "a digit among 4 pieces": (60, SceneConfig(pieces=4)),
    "a digit among 8 pieces": (100, SceneConfig(pieces=8)),
    "two digits among 8 pieces": (100, SceneConfig(pieces=8, digits=2, target="pair")),
}


def things(count: int) -> Things:
    """Return grey images of 28x28 of ten classes."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 28, 28), generator=generator, dtype=torch.uint8)
    return Things(images, torch.randint(0, 10, (count,), generator=generator), 10)


def on_threads(scenes: Scenes, threads: int) -> Callable[[], int]:
    """Make scenes with so many threads."""

    def run() -> int:
        torch.set_num_threads(threads)
        return sum(len(made) for made in scenes.stream([slice(None)]))

    return run


def measure(quick: bool) -> list[Row]:
    """Measure each kind of scene with each number of threads."""
    rows, before = [], torch.get_num_threads()
    for name, (side, config) in CASES.items():
        scenes = Scenes(config, things(64 if quick else 4096), (side, side))
        timings = interleaved({str(n): on_threads(scenes, n) for n in THREADS}, 1 if quick else 7)
        kept = {n: as_dict(timing) for n, timing in timings.items()}
        rows.append({"case": name, "side": side, "count": len(scenes), "threads": kept})
        print(name, {n: f"{len(scenes) / timing.median:,.0f} scenes/s" for n, timing in timings.items()}, flush=True)
    torch.set_num_threads(before)
    return rows


def show(rows: list[Row]) -> str:
    """Lay the rows out."""
    cells, goals = [], []
    for row in rows:
        for threads, taken in row["threads"].items():
            median, slowest, fastest = (f"{row['count'] / taken[key]:,.0f}" for key in ("median", "highest", "lowest"))
            cells.append((row["case"], f"{row['side']}x{row['side']}", threads, f"{median} ({slowest} to {fastest})"))
        if row["side"] == 100:
            fastest_way = min(taken["median"] for taken in row["threads"].values())
            goals.append(goal(f"{row['case']}, scenes a second on two cores", row["count"] / fastest_way, WANTED))
    heads = "scene | size | threads | scenes/s, median (slowest to fastest)"
    return table(heads, cells) + "\n\n" + "\n".join(goals)


BENCHMARK = Benchmark("scenes", show)

if __name__ == "__main__":
    command(BENCHMARK, measure)
