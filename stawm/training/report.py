"""What a run says of itself: a progress bar for people, a log of one JSON object a line for programs, TensorBoard."""

import contextlib
import importlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from stawm.errors import StawmError
from stawm.models.model import Model
from stawm.models.pixels import to_unit
from stawm.storage.file import write_atomically
from stawm.training import state as states
from stawm.training.data import ImageSet, batches
from stawm.training.endings import say
from stawm.training.folder import BOARD, LOG, PICTURES
from stawm.training.run import Numbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BOARD_EVERY = 20
"""Steps from one point on TensorBoard to the next."""
LEFT_OUT = {"epoch", "step", "seconds", "images", "loss_weights"}
"""What of an epoch's entry is not drawn as a curve."""
ROWS = 8
"""How many images are shown: always the same ones, the first."""


class Log:
    """A file of one JSON object a line."""

    def __init__(self, path: Path, history: Sequence[Mapping[str, Any]]) -> None:
        """Write what is known of a run that goes on; what it will say again, and a torn last line, are dropped."""
        self.path = path
        write_atomically(path, "".join(json.dumps(entry) + "\n" for entry in history).encode())

    def write(self, entry: Mapping[str, Any]) -> None:
        """Add one line."""
        with self.path.open("a") as file:
            file.write(json.dumps(entry, allow_nan=False) + "\n")


class Board:
    """What TensorBoard shows of a run."""

    def __init__(self, out: Path, step: int) -> None:
        """Open the board of a run that goes on at a step; what was shown of later ones is hidden."""
        from torch.utils.tensorboard import SummaryWriter

        self.out = out
        self.writer = SummaryWriter(str(out / BOARD), purge_step=step + 1 if step else None)

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
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        folder = self.out / PICTURES
        folder.mkdir(exist_ok=True)
        for name, figure in draw_pictures(model, images, f"{model.config.name} after epoch {entry['epoch']}").items():
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


def draw_pictures(model: Model, images: ImageSet, title: str) -> dict[str, "Figure"]:
    """Return the pictures that a model has, by name; a baseline, which takes no glimpses, has none.

    Without attention there is nothing to show of where it looks.
    """
    from stawm import viz

    if model.config.glimpses is None:
        return {}
    raw, labels = next(batches(images, ROWS))
    pixels = to_unit(raw)
    known = labels if model.config.class_names else None
    looks = getattr(model.config, "locator", None) is not None
    found = {"looks": viz.looks(model, pixels, known, title=title)} if looks else {}
    return found | {"drawings": viz.drawings(model, pixels, title=title)} if model.config.draws else found


def check_packages(pictures: int) -> None:
    """Check that what a run reports with is installed.

    Raises:
        StawmError: It is not.
    """
    for name in ("tensorboard", *(("matplotlib",) if pictures else ())):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise StawmError(
                f"Training reports with {name}, and {error.name} is missing: pip install 'stawm[train]'"
            ) from error


class Lines:
    """A plain line an epoch, for where the standard error is no terminal: the log of a job, say."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self.shown = ""

    def step(self, step: int, losses: Mapping[str, float], speed: float) -> None:
        """Note what the last step gave."""
        self.shown = f"{_losses(losses)}  {speed:,.0f} images/s"

    def measured(self, entry: Mapping[str, Any]) -> None:
        """Write what was measured after an epoch."""
        say(f"epoch {entry['epoch']}/{self.epochs}  {self.shown}{_measured(entry)}")

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass


def make_display(epochs: int, steps_per_epoch: int, done: int = 0, *, quiet: bool = False) -> "Display | Lines":
    """Return what shows progress: a bar on a terminal or in a notebook, otherwise, whatever FORCE_COLOR says, lines."""
    console = Console(stderr=True)
    moves = console.is_jupyter or (getattr(sys.stderr, "isatty", bool)() and not console.is_dumb_terminal)
    return Display(epochs, steps_per_epoch, done, quiet=quiet) if moves or quiet else Lines(epochs)


def _losses(losses: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.3g}" for name, value in losses.items() if name != "total")


def _measured(entry: Mapping[str, Any]) -> str:
    forms = {"error": "{:.2%}", "mse": "{:.4f}", "bound": "{:.2f} nats"}
    return "".join(
        f"  {name} {form.format(entry[name])}" for name, form in forms.items() if entry.get(name) is not None
    )


class Display:
    """A progress bar over all steps: epoch, losses, error, images a second, time left."""

    def __init__(self, epochs: int, steps_per_epoch: int, done: int = 0, *, quiet: bool = False) -> None:
        self.epochs, self.steps_per_epoch = epochs, steps_per_epoch
        self.bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[loss]}{task.fields[measured]}"),
            TextColumn("{task.fields[speed]:,.0f} images/s, left"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=quiet,
        )
        self.task = self.bar.add_task(
            self._epoch(done), total=epochs * steps_per_epoch, completed=done, loss="", measured="", speed=0
        )

    def _epoch(self, step: int) -> str:
        return f"epoch {min(step // self.steps_per_epoch + 1, self.epochs)}/{self.epochs}"

    def step(self, step: int, losses: Mapping[str, float], speed: float) -> None:
        """Show what the last step gave."""
        self.bar.update(self.task, completed=step, description=self._epoch(step), loss=_losses(losses), speed=speed)

    def measured(self, entry: Mapping[str, Any]) -> None:
        """Show what was measured after an epoch."""
        self.bar.update(self.task, measured=_measured(entry))

    def __enter__(self) -> "Display":
        self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.bar.stop()


class Report:
    """All that a run says, in the one process of several that speaks."""

    def __init__(
        self, out: Path, display: Display | Lines, history: Sequence[Mapping[str, Any]], step: int, pictures: int
    ) -> None:
        self.out, self.display, self.pictures = out, display, pictures
        self.log = Log(out / LOG, history)
        self.board = Board(out, step)
        self.next = step

    def step(self, step: int, numbers: Numbers, speed: float) -> None:
        """Say what a step gave."""
        self.display.step(step, numbers.losses, speed)
        if step >= self.next:
            self.next = step + BOARD_EVERY
            shown = {**numbers.watched, "images_per_second": speed}
            with states.writing(self.out / states.FOLDER):
                self.board.numbers({f"loss/{name}": value for name, value in numbers.losses.items()} | shown, step)

    def epoch(self, entry: Mapping[str, Any], model: Model, images: ImageSet) -> None:
        """Say what was measured after an epoch, and draw a picture where one is due."""
        self.display.measured(entry)
        with states.writing(self.out / states.FOLDER):
            self.log.write(entry)
            self.board.epoch(entry)
            if self.pictures and entry["epoch"] % self.pictures == 0:
                self._draw(model, images, entry)

    def _draw(self, model: Model, images: ImageSet, entry: Mapping[str, Any]) -> None:
        """Draw, but never end a run for a picture: one that cannot be made is left out, and the later ones too."""
        try:
            self.board.draw(model, images, entry)
        except OSError:  # the disk, which is the run's matter
            raise
        except Exception as error:
            self.pictures = 0
            say(f"No pictures are made of this run, which goes on without them: {error}")

    def __enter__(self) -> "Report":
        self.display.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.display.__exit__(kind, error, at)
        self.board.close()
