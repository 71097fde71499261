"""TensorBoard: the numbers and the pictures of a run, beside pictures as files."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from torch.utils.tensorboard import SummaryWriter

from stawm.heads.model import Model
from stawm.training import pictures
from stawm.training.data import ImageSet

FOLDER = "tensorboard"
PICTURES = "pictures"
LEFT_OUT = {"epoch", "step", "seconds", "images"}
"""What of an epoch's entry is no curve."""


class Board:
    """What TensorBoard shows of a run."""

    def __init__(self, out: Path, step: int) -> None:
        """Open the board of a run that goes on at a step; what was shown of later ones is hidden.

        Args:
            out: The run's folder.
            step: How many steps were made.
        """
        self.out = out
        self.writer = SummaryWriter(str(out / FOLDER), purge_step=step + 1 if step else None)

    def numbers(self, numbers: Mapping[str, float], step: int) -> None:
        """Show what a step gave."""
        for name, value in numbers.items():
            self.writer.add_scalar(f"train/{name}", value, step)

    def epoch(self, entry: Mapping[str, Any]) -> None:
        """Show what was measured after an epoch."""
        for name, value in flat({key: value for key, value in entry.items() if key not in LEFT_OUT}).items():
            self.writer.add_scalar(f"epoch/{name}", value, entry["step"])
        self.writer.flush()

    def draw(self, model: Model, images: ImageSet, entry: Mapping[str, Any]) -> None:
        """Draw the pictures of a model, to the board and to files."""
        folder = self.out / PICTURES
        folder.mkdir(exist_ok=True)
        for name, figure in pictures.draw(model, images, f"{model.config.name} after epoch {entry['epoch']}").items():
            canvas = FigureCanvasAgg(figure)
            canvas.draw()
            pixels = np.asarray(canvas.buffer_rgba())[..., :3]
            figure.savefig(folder / f"epoch-{entry['epoch']:03d}-{name}.png")
            self.writer.add_image(name, pixels, entry["step"], dataformats="HWC")

    def close(self) -> None:
        """Close the board; of a disk that is full the run has said it already."""
        with contextlib.suppress(OSError):
            self.writer.close()


def flat(entry: Mapping[str, Any], above: str = "") -> dict[str, float]:
    """Return the numbers of an entry, those inside it as ``outer/inner``."""
    found: dict[str, float] = {}
    for key, value in entry.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{above}{key}/")
        elif isinstance(value, (int, float)):
            found[above + key] = value
    return found
