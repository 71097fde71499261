"""What every head can be told: what it is called in its model, and how much its losses weigh."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from stawm.configuration import NON_NEGATIVE, Config
from stawm.errors import shown

LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
"""What a label may be: it begins the names of fields, which are read as attributes."""
TAKEN = "noise"
"""What graphs begin the names of random numbers with."""
CUE = "cue"
"""What the questions of a head are called among the inputs of a graph; those of a head with a label are LABEL_cue."""
NOISES = ("latent", "mask", "pose", "place")
"""The fields of `stawm.heads.output.Noise`, for what needs no PyTorch."""
TRACE = ("pose", "inverse_pose", "glimpses", "memory_input", "log_prob", "baseline")
"""The fields of `stawm.heads.output.Trace`, likewise."""
RESERVED = (*TRACE, "trace", "extra", "confidence", "corners", "shares", "image")
"""What no head may call a field: outputs and graphs have these of their own."""


@dataclass(frozen=True, kw_only=True)
class HeadConfig(Config):
    """What every head of the package can be told; a head of your own can too, if its ``Config`` derives from this."""

    label: str | None = None
    """What the head is called beside another one of its kind; its fields and losses then begin with it."""
    weight: Annotated[float, NON_NEGATIVE] = 1.0
    """What its losses are multiplied by, those that have a weight of their own (β) too."""

    def faults(self) -> list[str]:
        """Return what is wrong with the label."""
        if self.label is None or (LABEL.fullmatch(self.label) and self.label != TAKEN):
            return []
        return [
            f"{self.name}: label must be a letter, then letters, digits and underscores, and not {TAKEN!r}; "
            f"got {shown(self.label)}."
        ]


def legal_cues(cues: int | None, size: int | None, batch: int) -> str:
    """Say what a head may be asked about so many images: one of so many questions, or vectors of a size."""
    if size is None:
        return f"numbers from 0 to {(cues or 0) - 1}, of shape (k,) or ({batch}, k)"
    return f"vectors of {size} numbers, of shape (k, {size}) or ({batch}, k, {size})"


def label_of(config: Any) -> str | None:
    """Return the label of a head, given its configuration; None where it has none."""
    return config.label if isinstance(config, HeadConfig) else None


def called(config: Any) -> str:
    """Return what a head is called in its model, given its configuration: its label, or the name of its kind."""
    return label_of(config) or config.name


def prefix(config: Any) -> str:
    """Return what the names of a head's fields and losses begin with, given its configuration; mostly nothing."""
    label = label_of(config)
    return f"{label}_" if label else ""


def weight_of(config: Any) -> float:
    """Return what a head's losses are multiplied by, given its configuration."""
    return config.weight if isinstance(config, HeadConfig) else 1.0
