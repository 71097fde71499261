"""Anytime inference: each image is looked at for as long as it needs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np

from stawm.arrays import Array, alike, namespace, to_numpy
from stawm.errors import InputError
from stawm.export.run.walk import Named, Run, Walk, asked, of_glimpse
from stawm.export.serve.arguments import check_until
from stawm.models.stopping import Stopping

UNTIL = 0.9
"""The probability at which an image is done where none is asked for, and none was tuned."""
Until: TypeAlias = float | Literal["tuned"] | None
"""The probability at which an image is done, or as it was tuned; left out, as it was tuned, else `UNTIL`."""
Rule: TypeAlias = Callable[[Named, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""From logits and confidence, and the glimpses that each image was given, to the confidence and which are done."""


@dataclass(frozen=True)
class Looked:
    """What looking came to: tensors of PyTorch on the CPU, and from `stawm.runtime` arrays of NumPy.

    Attributes:
        logits: The answer of each image after its last glimpse, of shape (b, classes).
        confidence: The probability of its most probable class; where tuned thresholds were used, the calibrated one.
        glimpses: How many glimpses each image was given.
    """

    logits: Array
    confidence: Array
    glimpses: Array

    @property
    def labels(self) -> Array:
        """The most probable class of each image."""
        return self.logits.argmax(1)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {name: getattr(self, name).tolist() for name in ("labels", "confidence", "glimpses")}

    @classmethod
    def join(cls, parts: Sequence["Looked"]) -> "Looked":
        """Put batches together."""
        logits, confidence, glimpses = (
            namespace(parts[0].logits).concatenate([getattr(part, name) for part in parts])
            for name in ("logits", "confidence", "glimpses")
        )
        return cls(logits, confidence, glimpses)


@runtime_checkable
class Looker(Protocol):
    """Takes glimpses of images, of which those that are done leave, and others may take their places."""

    def begin(self, rows: np.ndarray) -> None:
        """Look at some of the images from now on too."""
        ...

    def look(self, rows: np.ndarray, taken: np.ndarray) -> Named:
        """Take a glimpse of each image that is looked at; return logits and confidence as arrays.

        Args:
            rows: Which images these are.
            taken: How many glimpses each was given already.
        """
        ...

    def keep(self, stay: np.ndarray) -> None:
        """Go on with some of those images only."""
        ...


class Steps:
    """Looks by a step graph."""

    def __init__(self, run: Run, takes: Mapping[str, Sequence[str]], inputs: Named) -> None:
        """Keep what is looked at.

        Args:
            run: Runs a part of a step graph.
            takes: The inputs of each part.
            inputs: The images, and for all glimpses random numbers and how they are steered.
        """
        self.run, self.takes, self.images = run, takes, inputs["image"]
        self.cues = asked(takes, inputs)
        self.own = {name: value for name, value in inputs.items() if name != "image" and name not in self.cues}
        self.walk: Walk | None = None

    def begin(self, rows: np.ndarray) -> None:
        """Look at some of the images from now on too."""
        places = alike(rows, self.images)
        cues = {name: cue[places] for name, cue in self.cues.items()}
        begun = Walk(self.run, self.takes, self.images[places], cues)
        if self.walk is None:
            self.walk = begun
        else:
            self.walk.join(begun)

    def look(self, rows: np.ndarray, taken: np.ndarray) -> Named:
        """Take a glimpse of each image that is looked at; return logits and confidence as arrays."""
        assert self.walk is not None
        rows, taken = alike(rows, self.images), alike(taken, self.images)
        self.walk.look(of_glimpse({name: value[rows, taken][:, None] for name, value in self.own.items()}, 0))
        found = self.walk.read()
        return {name: to_numpy(found[name]) for name in ("logits", "confidence")}

    def keep(self, stay: np.ndarray) -> None:
        """Go on with some of those images only."""
        assert self.walk is not None
        self.walk.keep(stay)


def rule(until: Any, tuned: Stopping | None) -> Rule:
    """Return when an image is done.

    Args:
        until: The probability of the most probable class at which it is, or ``"tuned"``. Left out, it is as it was
            tuned, if it was.
        tuned: The thresholds of the model, where it has any.

    Raises:
        InputError: It is no probability above 0, or nothing was tuned.
    """
    if until == "tuned" and tuned is None:
        raise InputError(
            "No thresholds were tuned for this model: tune some with stawm tune-stop, or give a probability."
        )
    if until in (None, "tuned") and tuned is not None:
        return lambda found, taken: tuned.sure(found["logits"], taken)
    certain = UNTIL if until is None else check_until(until)

    return lambda found, taken: (found["confidence"], found["confidence"] >= certain)


def look(looker: Looker, images: int, glimpses: int, sure: Rule, lanes: int | None = None) -> Looked:
    """Look at images until each is done; those that are leave, and where half of the places are free others come.

    Args:
        looker: Takes the glimpses.
        images: How many images there are.
        glimpses: The most glimpses.
        sure: When an image is done.
        lanes: How many images are looked at at a time; all of them where left out.
    """
    lanes = images if lanes is None else lanes
    here, taken, begun = np.arange(0), np.arange(0), 0
    rows: list[np.ndarray] = []
    parts: list[Looked] = []
    while len(here) or begun < images:
        if begun < images and len(here) <= lanes // 2:
            new = np.arange(begun, min(images, begun + lanes - len(here)))
            looker.begin(new)
            here, taken, begun = np.concatenate([here, new]), np.concatenate([taken, 0 * new]), begun + len(new)
        found = looker.look(here, taken)
        taken = taken + 1
        confidence, enough = sure(found, taken)
        done = enough | (taken >= glimpses)
        rows.append(here[done])
        parts.append(Looked(found["logits"][done], confidence[done], taken[done]))
        if done.any():
            here, taken = here[~done], taken[~done]
            if len(here) or begun < images:
                looker.keep(~done)
    order = np.concatenate(rows).argsort()
    together = Looked.join(parts)
    return Looked(together.logits[order], together.confidence[order], together.glimpses[order])
