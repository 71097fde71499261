"""One table of formats: how large, how fast, how often wrong, and whether they answer as the model does."""

import copy
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stawm.catalog.suggest import did_you_mean, nearest
from stawm.errors import ExportError, InputError
from stawm.export.formats.formats import FORMATS, Job, NotInstalledError, Ready
from stawm.export.graphs import fields
from stawm.export.graphs.plan import Plan, count_glimpses
from stawm.export.graphs.prepared import example_inputs
from stawm.export.proof.behaviour import Bounds, Expected, Trial, answer, as_trial, expect, judge
from stawm.export.run.walk import Named
from stawm.export.table import table
from stawm.export.write.quantising import check_calibration
from stawm.models.model import Model
from stawm.text import Readable

BATCHES = (1, 32)
"""The sizes of the batches that are timed."""
ROUNDS = 15
PAUSE = 0.03
"""Seconds before each turn, in which the threads of the one before it go to sleep."""
REFERENCE = "PyTorch"


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was found of one format; None where it could not be found.

    Attributes:
        format: Its name.
        megabytes: The size of what would be shipped, in 10^6 bytes.
        milliseconds: The median time of a run, by the size of the batch.
        images_per_second: By the largest of these batches.
        error: The share of images that are classified wrongly, where labels were given.
        agreement: The share of images whose class is PyTorch's.
        gap: The largest difference from PyTorch, of any number that is given.
        ok: Whether it answers as PyTorch does, within the bounds.
        note: What is missing, or what is wrong.
    """

    format: str
    megabytes: float | None = None
    milliseconds: Mapping[int, float] | None = None
    images_per_second: float | None = None
    error: float | None = None
    agreement: float | None = None
    gap: float | None = None
    ok: bool | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Bench(Readable):
    """A model in every format.

    Attributes:
        model: The name of its preset.
        images: How many images it was judged by.
        made: Whether these were made for it, as none were given.
        rows: A row for each format.
    """

    model: str
    images: int
    made: bool
    rows: tuple[Row, ...]

    @property
    def failures(self) -> tuple[Row, ...]:
        """The formats that do not answer as PyTorch does."""
        return tuple(row for row in self.rows if row.ok is False)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        rows = [asdict(row) | {"milliseconds": _keyed(row.milliseconds)} for row in self.rows]
        return {"model": self.model, "images": self.images, "made": self.made, "rows": rows}

    def __str__(self) -> str:
        sizes = sorted({size for row in self.rows for size in row.milliseconds or ()})
        heads = (
            "format",
            "MB",
            *(f"ms at {size}" for size in sizes),
            "images/s",
            "error",
            "agreement",
            "largest gap",
            "",
        )
        kind = "made images" if self.made else "images"
        return f"{self.model}, judged by {self.images:,} {kind}\n\n" + table(
            heads, [_cells(row, sizes) for row in self.rows]
        )


def _keyed(times: Mapping[int, float] | None) -> dict[str, float] | None:
    return None if times is None else {str(size): value for size, value in times.items()}


def _cells(row: Row, sizes: Sequence[int]) -> list[str]:
    times = row.milliseconds or {}
    numbers: list[tuple[float | None, str]] = [
        (row.megabytes, "{:.1f}"),
        *((times.get(size), "{:.2f}") for size in sizes),
        (row.images_per_second, "{:,.0f}"),
        (row.error, "{:.2%}"),
        (row.agreement, "{:.2%}"),
        (row.gap, "{:.1e}"),
    ]
    verdict = {True: "ok", False: "FAILED", None: ""}[row.ok]
    cells = ["-" if value is None else form.format(value) for value, form in numbers]
    return [row.format, *cells, ": ".join(filter(None, (verdict, row.note)))]


def bench(
    model: Model,
    *,
    images: Tensor | None = None,
    labels: Tensor | None = None,
    calibration: Tensor | None = None,
    bounds: Bounds | None = None,
    formats: Sequence[str] | None = None,
    rounds: int = ROUNDS,
    threads: int | None = None,
) -> Bench:
    """Bring a model into every format, and measure them in turn on the CPU.

    Args:
        model: The model; it is left as it is.
        images: Real images, normalised, (b, c, h, w), that formats are judged by; some are made where left out.
        labels: Their classes, for the error.
        calibration: Images for int8's ranges; without them its convolutions stay in fp32.
        bounds: How far a format may be from PyTorch.
        formats: Their names; all where left out.
        rounds: How often each is timed, in turn with the others.
        threads: How many threads a run takes; PyTorch's number where left out.

    Raises:
        InputError: An argument is not legal.

    Examples:
        >>> import stawm
        >>> from stawm.export import bench
        >>> found = bench(stawm.build("stawm-digits", glimpses=1, seed=0), formats=["ONNX fp32"], rounds=1)
        >>> [row.format for row in found.rows], found.failures
        (['PyTorch', 'ONNX fp32'], ())
    """
    if not isinstance(model, Model):
        raise InputError(f"bench takes a model that stawm.build or stawm.load made; got {type(model).__name__}.")
    trial = as_trial(model, images, labels, bounds)
    if calibration is not None:
        check_calibration(model, "int8", calibration)
    chosen = _chosen(formats)
    whole = copy.deepcopy(model).to("cpu", torch.float32).eval().requires_grad_(False)
    plan = Plan("rollout", count_glimpses(whole, None), fields.choose(whole, None), False)
    expected = expect(whole, plan, trial)
    with tempfile.TemporaryDirectory() as folder:
        job = Job(
            model=whole,
            plan=plan,
            folder=Path(folder),
            calibration=calibration,
            threads=threads or torch.get_num_threads(),
        )
        made = {name: _made(name, job) for name in chosen}
        times = _timed({n: found.run for n, found in made.items() if isinstance(found, Ready)}, whole, plan, rounds)
        rows = tuple(_row(name, found, times.get(name, {}), expected, trial) for name, found in made.items())
    count = len(next(iter(expected.answers.values())))
    return Bench(model=model.config.name, images=count, made=images is None, rows=rows)


def _chosen(asked: Sequence[str] | None) -> list[str]:
    """Return the formats that are asked for, PyTorch first.

    Raises:
        InputError: There is no such format.
    """
    known = {name.lower(): name for name in FORMATS}
    for name in asked or ():
        if str(name).lower() not in known:
            hint = did_you_mean(nearest(str(name), list(FORMATS)))
            raise InputError(f"There is no format {name!r}.{hint} There are {', '.join(FORMATS)}.")
    return list(dict.fromkeys((REFERENCE, *(known[name.lower()] for name in asked or FORMATS))))


def _made(name: str, job: Job) -> Ready | Row:
    """Bring a model into a format; where that fails, return the row that says why."""
    try:
        return FORMATS[name](job)
    except NotInstalledError as missing:
        return Row(format=name, note=f"not installed: {missing}")
    except InputError as error:  # such as int8 that needs images
        return Row(format=name, note=str(error))
    except Exception as error:  # runtimes and compilers raise errors of all kinds, and the other rows still count
        said = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        return Row(format=name, ok=False, note=f"{type(error).__name__}: {said.strip()[:200]}")


def _timed(
    runs: Mapping[str, Callable[..., object]], model: Model, plan: Plan, rounds: int
) -> dict[str, dict[int, float]]:
    """Return the median milliseconds of every run by batch, all in turn, each after a run that does not count."""
    times: dict[str, dict[int, float]] = {name: {} for name in runs}
    for size in BATCHES:
        given = example_inputs(model, plan, size, 0)
        taken: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(rounds):
            for name, run in runs.items():
                time.sleep(PAUSE)
                run(given)
                start = time.perf_counter()
                run(given)
                taken[name].append(time.perf_counter() - start)
        for name, found in taken.items():
            times[name][size] = statistics.median(found) * 1e3
    return times


def _row(name: str, made: Ready | Row, times: Mapping[int, float], expected: Expected, trial: Trial) -> Row:
    """Judge a format by what it gives."""
    if isinstance(made, Row):
        return made
    try:
        ours = answer(made.run, expected)
    except Exception as error:  # whatever a runtime raises
        return Row(format=name, ok=False, note=f"cannot run: {' '.join(str(error).split())[:200]}")
    theirs = expected.answers
    faults = [check for check in judge(ours, theirs, trial) if not check.ok]
    size = BATCHES[-1]
    return Row(
        format=name,
        megabytes=made.size / 1e6,
        milliseconds=dict(times),
        images_per_second=size / times[size] * 1e3,
        error=None if trial.labels is None else 1 - _share(ours, trial.labels.cpu()),
        agreement=_share(ours, theirs["logits"].argmax(dim=1)) if "logits" in theirs else None,
        gap=max((ours[key] - theirs[key]).abs().max().item() for key in theirs),
        ok=not faults,
        note="; ".join(f"{check.name}: {check.detail}" for check in faults),
    )


def _share(ours: Named, classes: Tensor) -> float:
    return (ours["logits"].argmax(dim=1) == classes).double().mean().item()


def check(found: Bench) -> None:
    """Raise an ExportError where a format does not answer as PyTorch does."""
    if found.failures:
        raise ExportError(f"{', '.join(row.format for row in found.failures)} does not answer as PyTorch does.")
