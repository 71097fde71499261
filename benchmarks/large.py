"""Images that are larger than memory: time and memory of `stawm.explore` on made TIFF files, by their size.

``python -m benchmarks.large`` makes each file, and looks at it in a process of its own.
"""

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile

import stawm
from benchmarks.measure import Row, Timing, as_dict, milliseconds, seconds
from benchmarks.results import Benchmark, command, goal, table
from benchmarks.turns import forget_peak, resident

SIDES = (2_000, 20_000)
TILE = 256
KINDS = 8
"""How many different tiles a file is made of; all its levels are made of them too, so that no mean has to be taken."""
ROUNDS = 5
MOST_MEMORY, MOST_TIME = 300, 2.0
"""Megabytes above start, and how many times as long as for the smallest."""


def write_tiff(path: Path, side: int) -> None:
    """Write a tiled, compressed TIFF with a pyramid, tile by tile."""
    y, x = np.mgrid[:TILE, :TILE] / TILE * 2 * np.pi
    kinds = []
    for kind in range(KINDS):
        wave = np.stack([np.sin(kind * x + y + c) * np.cos((kind + c) * y) for c in range(3)], axis=-1)
        kinds.append(zlib.compress(((wave + 1) * 127).astype(np.uint8).tobytes(), 1))
    sides = [side]
    while sides[-1] > TILE:
        sides.append(-(-sides[-1] // 2))
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        for number, own in enumerate(sides):
            file.write(
                _tiles(kinds, own),
                shape=(own, own, 3),
                dtype=np.uint8,
                tile=(TILE, TILE),
                photometric="rgb",
                compression="zlib",
                subifds=len(sides) - 1 if number == 0 else None,
                subfiletype=int(number > 0),
            )


def _tiles(kinds: list[bytes], side: int) -> Iterator[bytes]:
    across = -(-side // TILE)
    return (kinds[(3 * row + column) % KINDS] for row in range(across) for column in range(across))


def explore(path: Path) -> dict[str, float]:
    """Look at a file in this process; return what it took."""
    model = stawm.build("stawm-photo", seed=0)
    gc.collect()
    forget_peak()
    before = resident("VmRSS")
    taken = [seconds(lambda: stawm.explore(model, path)) for _ in range(ROUNDS + 1)][1:]
    pixels = stawm.explore(model, path).pixels
    return {"above": resident("VmHWM") - before, "pixels": pixels, **as_dict(Timing.of(taken))}


def measure(quick: bool) -> list[Row]:
    """Make and look at a file of each size."""
    rows = []
    for side in (500, 1_000) if quick else SIDES:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "made.tif")
            made = seconds(lambda p=path, s=side: write_tiff(p, s))
            command = [sys.executable, "-m", "benchmarks.large", "--explore", str(path)]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            rows.append({"side": side, "bytes": path.stat().st_size, "made": made, **json.loads(said.splitlines()[-1])})
    return rows


def show(rows: list[Row]) -> str:
    """Lay the rows out."""
    cells = [
        (
            f"{row['side']:,} x {row['side']:,}",
            f"{row['bytes'] / 1e6:,.0f}",
            f"{row['pixels']:,}",
            milliseconds(row),
            f"{row['median'] / rows[0]['median']:.2f}",
            f"{row['above'] / 1e6:,.0f}",
        )
        for row in rows
    ]
    laid = table("pixels | file, MB | pixels read | median (min to max), ms | times the first | above start, MB", cells)
    last = rows[-1]
    goals = [
        goal("memory above start, MB", last["above"] / 1e6, MOST_MEMORY, at_most=True),
        goal("times as long as the smallest", last["median"] / rows[0]["median"], MOST_TIME, at_most=True),
    ]
    return "\n\n".join([laid, *goals])


BENCHMARK = Benchmark("large", show)

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--explore", type=Path)
    args, rest = parser.parse_known_args()
    if args.explore is not None:
        print(json.dumps(explore(args.explore)))
    else:
        command(BENCHMARK, measure, rest)
