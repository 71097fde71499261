"""How a run ends before its end: interrupts, and errors of what it stands on, each in one sentence."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import torch

from stawm.errors import StawmError
from stawm.training import state as states

NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")
"""What PyTorch's allocators say where there is no memory left."""


class Interrupted(KeyboardInterrupt):
    """A run was stopped from outside, by Ctrl-C or a signal; the message says how to go on."""

    def __init__(self, message: str, number: int = signal.SIGINT) -> None:
        self.number = number
        super().__init__(message)


def say(line: str) -> None:
    """Write a line for people to the standard error; what its encoding lacks is escaped."""
    stream = sys.stderr
    if stream is None:  # as of a program without a console
        return
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()


def goes_on(out: Path) -> str:
    """Say what of a run is kept, and how it goes on."""
    kept = states.latest(out / states.FOLDER)
    if kept is None:
        return "No state was saved yet: the same command starts it anew."
    return f"{kept} is kept: the same command goes on from there, and ends as if nothing had happened."


@contextlib.contextmanager
def telling(out: Path, *, alone: bool) -> Iterator[None]:
    """Let whatever ends a run before its end say so in a sentence.

    Args:
        out: The run's folder.
        alone: Whether this is the only process; of several, their launcher ends them.

    Raises:
        Interrupted: Ctrl-C, or the signal to terminate.
        StawmError: There is no memory left.
    """
    received: list[int] = []
    with _terminating(received) if alone else contextlib.nullcontext():
        try:
            yield
        except KeyboardInterrupt as error:
            number = received[0] if received else signal.SIGINT
            word = "interrupted" if number == signal.SIGINT else "terminated"
            raise Interrupted(f"{word}. {goes_on(out)}", number) from error
        except (MemoryError, RuntimeError) as error:
            if not _is_no_memory(error):
                raise
            raise StawmError(
                f"There is not enough memory for this run ({_shortened(error)}). Take a smaller recipe.batch, fewer "
                f"glimpses or a smaller model. {goes_on(out)}"
            ) from error


@contextlib.contextmanager
def compiling() -> Iterator[None]:
    """Say in a sentence that a model cannot be compiled.

    Raises:
        StawmError: It cannot.
    """
    from torch._dynamo.exc import TorchDynamoException
    from torch._inductor.exc import InductorError

    try:
        yield
    except (TorchDynamoException, InductorError) as error:
        raise StawmError(
            f"torch.compile cannot compile this model here ({_shortened(error)}): train without --compile, or see "
            "that there is a compiler (on a CPU one for C++, by the variable CXX)."
        ) from error


@contextlib.contextmanager
def recording() -> Iterator[None]:
    """Say in a sentence that a step cannot be recorded as a CUDA graph.

    Raises:
        StawmError: It cannot.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise StawmError(
            f"A step of this model cannot be recorded on this GPU ({_shortened(error)}): train without --capture."
        ) from error


@contextlib.contextmanager
def _terminating(received: list[int]) -> Iterator[None]:
    """Treat the signal to terminate as Ctrl-C, where nobody else treats it already."""

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    in_charge = threading.current_thread() is threading.main_thread()
    if not in_charge or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _is_no_memory(error: BaseException) -> bool:
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(said in str(error) for said in NO_MEMORY)


def _shortened(error: BaseException) -> str:
    """Return the first line of a message that may go on for pages, and the second where the first only announces it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return " ".join(lines[: 1 + lines[0].endswith(":")])[:300]
