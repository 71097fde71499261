"""How speed grows: with the batch, in inference and in training, and with a second process in training.

``python -m benchmarks.scaling`` measures. Two processes have one thread each, one has two; both train on the
same batch, which two processes share.
"""

import multiprocessing
import os
import socket
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import distributed

import stawm
from benchmarks.measure import Row, as_dict, interleaved
from benchmarks.results import Benchmark, command, table
from benchmarks.training import data, our_run, our_step
from benchmarks.turns import Step, in_turns

PRESET = "stawm-mnist-8"
BATCHES = (1, 4, 16, 64, 256, 1024)
SHARED_BATCH = 128
ROUNDS = 7


def inference_step(preset: str, batch: int) -> Callable[[], object]:
    """Make a forward pass."""
    model = stawm.build(preset, seed=0).eval()
    images = model.normalise(data(model, batch)[0].float() / 255)

    @torch.inference_mode()
    def run() -> object:
        return model(images)

    return run


def one_process(preset: str, batch: int, precision: str, threads: int) -> Step:
    """Make a step of one process with so many threads."""
    torch.set_num_threads(threads)
    return our_step(preset, batch, precision)


def two_processes(preset: str, batch: int, precision: str) -> Step:
    """Make a step that a second process has half of, with a thread each."""
    port = _free_port()
    context = multiprocessing.get_context("spawn")
    context.Process(target=_second, args=(preset, batch, precision, port), daemon=True).start()
    return _half(preset, batch, precision, 0, port)


def _second(preset: str, batch: int, precision: str, port: int) -> None:
    step = _half(preset, batch, precision, 1, port)
    while True:  # until the first process ends, and this one with it
        step()


def _half(preset: str, batch: int, precision: str, rank: int, port: int) -> Step:
    torch.set_num_threads(1)
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in place.items()}
    run = our_run(preset, precision)
    raw, labels = data(run.model, batch // 2)

    def step() -> None:
        distributed.barrier()
        run.one_step(raw, labels, 1_000_000)

    return step


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def measure(quick: bool) -> list[Row]:
    """Measure batches, then processes."""
    preset, batches, rounds = ("stawm-digits", (1, 2), 1) if quick else (PRESET, BATCHES, ROUNDS)
    rows = []
    for batch in batches:
        made: dict[str, Callable[[], object]] = {"inference": inference_step(preset, batch)}
        for precision in ("fp32", "bf16"):
            made[f"training, {precision}"] = our_step(preset, batch, precision)
        timings = interleaved(made, rounds)
        rows.append(_row(preset, batch, {name: as_dict(t) for name, t in timings.items()}))
        print(preset, batch, {name: f"{batch / t.median:,.0f} images/s" for name, t in timings.items()}, flush=True)
    shared, precisions = (2, ("fp32",)) if quick else (SHARED_BATCH, ("fp32", "bf16"))
    return [*rows, _processes(preset, shared, precisions, rounds)]


def _processes(preset: str, batch: int, precisions: Sequence[str], rounds: int) -> Row:
    made = {}
    for precision in precisions:
        for threads in (1, 2):
            name = f"training, {precision}, 1 process of {threads} thread{'s' * (threads - 1)}"
            made[name] = partial(one_process, preset, batch, precision, threads)
        made[f"training, {precision}, 2 processes of 1 thread"] = partial(two_processes, preset, batch, precision)
    return _row(preset, batch, {name: as_dict(m.timing) for name, m in in_turns(made, rounds).items()})


def _row(preset: str, batch: int, variants: Row) -> Row:
    return {"preset": preset, "batch": batch, "variants": variants}


def show(rows: list[Row]) -> str:
    """Lay out the batches beside the first, and the processes beside one of two threads."""
    *batches, processes = rows
    heads = "preset | batch | " + " | ".join(f"{n}: images/s" for n in batches[0]["variants"])
    cells = [
        (
            f"`{row['preset']}`",
            row["batch"],
            *(f"{row['batch'] / found['median']:,.0f}" for found in row["variants"].values()),
        )
        for row in batches
    ]
    batch, beside = processes["batch"], []
    for name, found in processes["variants"].items():
        single = processes["variants"][f"{name.rpartition(', ')[0]}, 1 process of 1 thread"]
        speeds = [batch / found[key] for key in ("median", "highest", "lowest")]
        spread = f"{speeds[0]:,.0f} ({speeds[1]:,.0f} to {speeds[2]:,.0f})"
        beside.append((f"`{processes['preset']}`", batch, name, spread, f"{single['median'] / found['median']:.2f}"))
    second = table("preset | batch | processes | images/s, median (slowest to fastest) | times one thread", beside)
    return f"{table(heads, cells)}\n\n{second}"


BENCHMARK = Benchmark("scaling", show)

if __name__ == "__main__":
    command(BENCHMARK, measure)
