"""Several runs that differ in their seeds alone, and what they come to together."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from stawm.errors import ConfigError
from stawm.models.resolve import ModelSpec
from stawm.training.data import Splits
from stawm.training.endings import say
from stawm.training.options import RunOptions
from stawm.training.recipes import RecipeSpec
from stawm.training.report import flat
from stawm.training.trainer import Result, make_plan, train

SHARES = ("error", "calibration_error")
"""What is written in per cent."""


class Figure(NamedTuple):
    """One measure over several runs.

    Attributes:
        mean: Its mean.
        deviation: Its standard deviation as a sample's, with n - 1 below; None of a single run.
        each: Its value in each run, in the order of the seeds.
    """

    mean: float
    deviation: float | None
    each: tuple[float, ...]


@dataclass(frozen=True)
class SeededRuns:
    """What runs of several seeds came to.

    Attributes:
        results: The result of each seed.
    """

    results: Mapping[int, Result]

    @property
    def figures(self) -> dict[str, Figure]:
        """What was measured on the test images, by its name; what not every run has is left out."""
        measured = [flat(result.evaluation.as_dict()) for result in self.results.values()]
        shared = [name for name in measured[0] if name != "images" and all(name in each for each in measured)]
        return {name: _figure([each[name] for each in measured]) for name in shared}

    def as_dict(self) -> dict[str, Any]:
        """Return figures and runs as plain JSON values."""
        return {
            "seeds": list(self.results),
            "figures": {name: figure._asdict() for name, figure in self.figures.items()},
            "runs": {
                str(seed): {"checkpoint": str(result.checkpoint), "test": result.evaluation.as_dict()}
                for seed, result in self.results.items()
            },
        }

    def __str__(self) -> str:
        """Write a line a measure: mean, standard deviation, and each seed's value."""
        first = next(iter(self.results.values()))
        lines = [f"seeds {', '.join(map(str, self.results))}, each on {first.evaluation.images:,} images"]
        for name, (mean, deviation, each) in self.figures.items():
            around = "" if deviation is None else f" +- {_write(name, deviation)}"
            values = ", ".join(_write(name, value) for value in each)
            lines.append(f"{name.replace('_', ' ')} {_write(name, mean)}{around} ({values})")
        return "\n".join([*lines, *(f"seed {seed}: {result.verdict}" for seed, result in self.results.items())])


def train_seeds(
    model: ModelSpec,
    /,
    *,
    data: str | Splits,
    out: str | PathLike[str],
    seeds: Sequence[int],
    recipe: RecipeSpec = "fast",
    options: RunOptions | Mapping[str, Any] | None = None,
    **overrides: Any,
) -> SeededRuns:
    """Train a model once for each of several seeds; runs that were begun go on, and finished ones are only read.

    Args:
        model: As in `stawm.training.train`.
        data: Likewise.
        out: The folder that the runs' folders are in: ``seed-0``, ``seed-1``, ...
        seeds: The seeds; each once.
        recipe: As in `stawm.training.train`.
        options: Likewise, but for the seed.
        **overrides: Likewise.

    Raises:
        ConfigError: The seeds are none, or not each once, or a seed is given beside them.
        StawmError: A run cannot be made, or diverged; those before it are kept.

    Examples:
        Three runs, of which the last line of the printed report names the folders::

            print(train_seeds("stawm-digits", data="digits", out="runs/digits", seeds=(0, 1, 2), cpu=True))
    """
    seeds = _checked(seeds, options, overrides)
    whole = vars(options) if isinstance(options, RunOptions) else dict(options or {})
    chosen = {seed: {**whole, "seed": seed} for seed in seeds}
    for fields in chosen.values():
        quiet = make_plan(model, recipe, fields, overrides).options.quiet
    results = {}
    for seed, fields in chosen.items():
        folder = Path(out) / f"seed-{seed}"
        if not quiet:
            say(f"seed {seed} in {folder}")
        results[seed] = train(model, data=data, out=folder, recipe=recipe, options=fields, **overrides)
    return SeededRuns(results)


def _checked(seeds: Sequence[int], options: Any, overrides: Mapping[str, Any]) -> list[int]:
    given = list(seeds)
    if not given or len(set(given)) < len(given):
        raise ConfigError([f"seeds must be one or more different integers; got {given!r}."])
    beside = "seed" in overrides or (isinstance(options, Mapping) and "seed" in options)
    if beside or (isinstance(options, RunOptions) and options.seed != RunOptions().seed):
        raise ConfigError(["seed is given beside seeds: give one of both."])
    return given


def _figure(values: Sequence[float]) -> Figure:
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return Figure(statistics.fmean(values), deviation, tuple(values))


def _write(name: str, value: float) -> str:
    return f"{value:.2%}" if name in SHARES else f"{value:.5g}"
