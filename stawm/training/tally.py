"""What is added up in the course of an epoch."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass
class Tally:
    """Sums over the steps of an epoch, on the training device, so that adding waits for nothing.

    Attributes:
        sums: Of each part of the loss, weighted by the images of its step.
        seen: How many images were seen.
        seconds: How long it took, also before the run was broken off.
    """

    sums: dict[str, Tensor] = field(default_factory=dict)
    seen: int = 0
    seconds: float = 0.0
    _since: float = field(default_factory=time.perf_counter)

    def add(self, parts: Mapping[str, Tensor], images: int) -> None:
        """Add a step."""
        now = time.perf_counter()
        self.seconds, self._since = self.seconds + now - self._since, now
        self.seen += images
        for name, part in parts.items():
            self.sums[name] = self.sums.get(name, torch.zeros_like(part)) + part * images

    def pause(self) -> None:
        """Leave out the time since the last step."""
        self._since = time.perf_counter()

    @property
    def speed(self) -> float:
        """Images a second."""
        return self.seen / max(self.seconds, 1e-9)

    def state(self) -> dict[str, Any]:
        """Return plain values and tensors to go on from."""
        return {"sums": self.sums, "seen": self.seen, "seconds": self.seconds}
