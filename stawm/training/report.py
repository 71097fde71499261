"""What a run says of itself: a progress bar for people, a log of one JSON object a line for programs."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class Log:
    """A file of one JSON object a line."""

    def __init__(self, path: Path, history: list[dict[str, Any]]) -> None:
        """Write what is known of a run that goes on; drop what it will say again."""
        self.path = path
        path.write_text("".join(json.dumps(entry) + "\n" for entry in history))

    def write(self, entry: Mapping[str, Any]) -> None:
        """Add one line."""
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")


class Display:
    """A progress bar over all steps: epoch, losses, error, images a second, time left."""

    def __init__(self, epochs: int, steps_per_epoch: int, done: int = 0, *, quiet: bool = False) -> None:
        """Make the bar; a quiet one shows nothing."""
        self.epochs, self.steps_per_epoch = epochs, steps_per_epoch
        self.bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[loss]}{task.fields[measured]}"),
            TextColumn("{task.fields[speed]:,.0f} images/s, left"),
            TimeRemainingColumn(),
            console=Console(),
            disable=quiet,
        )
        self.task = self.bar.add_task(
            self._epoch(done), total=epochs * steps_per_epoch, completed=done, loss="", measured="", speed=0
        )

    def _epoch(self, step: int) -> str:
        return f"epoch {min(step // self.steps_per_epoch + 1, self.epochs)}/{self.epochs}"

    def step(self, step: int, losses: Mapping[str, float], speed: float) -> None:
        """Show what the last step gave."""
        shown = "  ".join(f"{name} {value:.3g}" for name, value in losses.items() if name != "total")
        self.bar.update(self.task, completed=step, description=self._epoch(step), loss=shown, speed=speed)

    def measured(self, entry: Mapping[str, Any]) -> None:
        """Show what was measured after an epoch."""
        error, mse = entry.get("error"), entry.get("mse")
        shown = ("" if error is None else f"  error {error:.2%}") + ("" if mse is None else f"  mse {mse:.4f}")
        self.bar.update(self.task, measured=shown)

    def __enter__(self) -> "Display":
        """Show the bar."""
        self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Leave the bar as it is."""
        self.bar.stop()
