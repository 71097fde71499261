"""When a model has looked enough: thresholds on calibrated confidence, glimpse by glimpse, and what they promise."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from stawm.arrays import Array, to_numpy
from stawm.configuration.limits import SIZES
from stawm.errors import shown
from stawm.text import Readable

KEY = "stawm.stopping"
"""The entry of a file that keeps thresholds."""
COLDEST, HOTTEST = 0.01, 100.0
"""What a temperature may be."""
SHARES = ("error", "error_of_all", "calibration_error", "uncalibrated")
"""The figures that are shares."""
BOUND = {"added", "certainty"}
"""What files of before do not have."""


@dataclass(frozen=True, kw_only=True)
class Stopping(Readable):
    """When a model stops looking at an image, `stawm.training.tune_stop`'s result.

    The confidence after a glimpse is the greatest class probability of softmax(logits / temperature). An image is done
    after the first glimpse whose confidence is above its threshold.

    Attributes:
        thresholds: One for each glimpse: 1 never stops there, and the last is 0, which always does.
        temperatures: What the logits after each glimpse are divided by, so that confidence is accuracy.
        weights: The hash over the weights of the model that this holds for.
        data: The held-out images, in words.
        images: How many there were.
        error: The error on them, each part judged by thresholds that were chosen on the others.
        error_of_all: The error after all glimpses.
        mean_glimpses: How many glimpses an image took on average, judged in the same way.
        calibration_error: By how much confidence and accuracy differ where images stop, averaged over answers in bins.
        uncalibrated: The same without temperatures.
        added: By how much, as a share, the error of new images of the kind is at most above that of all glimpses.
        certainty: The probability with which it is. Files of before have neither.
    """

    thresholds: tuple[float, ...]
    temperatures: tuple[float, ...]
    weights: str
    data: str
    images: int
    error: float
    error_of_all: float
    mean_glimpses: float
    calibration_error: float
    uncalibrated: float
    added: float | None = None
    certainty: float | None = None

    def sure(self, logits: Array, glimpses: Array) -> tuple[np.ndarray, np.ndarray]:
        """Return the confidence in answers, and which images are done, both of shape (b,).

        Args:
            logits: The answers, as logarithms of probabilities, of shape (b, classes).
            glimpses: How many glimpses each image was given, of shape (b,); with more than there are thresholds for
                it is done.
        """
        logits = to_numpy(logits)
        at = np.minimum(to_numpy(glimpses), len(self.thresholds)) - 1
        divisors, least = (np.array(x)[at] for x in (self.temperatures, self.thresholds))
        scaled = logits.astype(np.float64) / divisors[:, None]
        found = 1 / np.exp(scaled - scaled.max(axis=1, keepdims=True)).sum(axis=1)  # the greatest of softmax
        return found.astype(logits.dtype), found > least

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        said = asdict(self) | {"thresholds": [*self.thresholds], "temperatures": [*self.temperatures]}
        return {name: value for name, value in said.items() if value is not None}

    def __str__(self) -> str:
        n = len(self.thresholds)
        numbers = {"thresholds": self.thresholds, "temperatures": self.temperatures}
        bound = [] if self.added is None else [f"with a certainty of {self.certainty:g} at most {self.added:.3%} more"]
        rows = [f"{name:<12} " + "  ".join(f"{x:.4g}" for x in values) for name, values in numbers.items()]
        return "\n".join(
            [
                f"{self.mean_glimpses:.2f} of {n} glimpses on average, error {self.error:.2%} (all {n}: "
                f"{self.error_of_all:.2%}), on {self.images:,} images of {self.data}",
                *bound,
                f"calibration error {self.calibration_error:.2%}, without temperatures {self.uncalibrated:.2%}",
                *rows,
            ]
        )


def from_mapping(given: Any) -> Stopping:
    """Return what JSON of a file says.

    Raises:
        ValueError: It is not what `Stopping.as_dict` gives; the message says what is wrong.
    """
    names = Stopping.__dataclass_fields__
    if not isinstance(given, Mapping) or {*given} | BOUND != {*names} or len(BOUND & {*given}) == 1:
        raise ValueError(f"thresholds to stop by have {', '.join(names)}; got {shown(given)}")
    thresholds, temperatures = given["thresholds"], given["temperatures"]
    n = len(thresholds) if isinstance(thresholds, list) else 0
    rules = [
        (_are_numbers(thresholds, 0, 1) and 0 < n <= SIZES["glimpses"], "thresholds must be numbers from 0 to 1"),
        (_are_numbers(thresholds, 0, 1) and thresholds[-1:] == [0], "the last of the thresholds must be 0"),
        (
            _are_numbers(temperatures, COLDEST, HOTTEST) and len(temperatures) == n,
            f"temperatures must be {n} numbers from {COLDEST:g} to {HOTTEST:g}",
        ),
        (_are_numbers([given[name] for name in SHARES], 0, 1), f"{', '.join(SHARES)} must be shares"),
        (_are_numbers([given[name] for name in BOUND & {*given}], 0, 1), "added and certainty must be shares"),
        (_are_numbers([given["mean_glimpses"]], 1, n), f"mean_glimpses must be from 1 to {n}"),
        (_are_numbers([given["images"]], 1, math.inf) and isinstance(given["images"], int), "images must be a count"),
        (all(isinstance(given[name], str) for name in ("weights", "data")), "weights and data must be strings"),
    ]
    if faults := [fault for holds, fault in rules if not holds]:
        raise ValueError(f"of thresholds to stop by, {faults[0]}; got {shown(given)}")
    return Stopping(**{**given, "thresholds": (*thresholds,), "temperatures": (*temperatures,)})


def _are_numbers(given: Any, low: float, high: float) -> bool:
    return isinstance(given, list) and all(
        isinstance(x, (int, float)) and not isinstance(x, bool) and low <= x <= high for x in given
    )
