"""The processes of a run: Accelerate, set up by stawm alone, and what the first process does for all."""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from stawm.errors import InputError, StawmError

if TYPE_CHECKING:
    from accelerate import Accelerator

PREFIX = "ACCELERATE_"
KEPT = frozenset({"ACCELERATE_USE_CPU", "ACCELERATE_TORCH_DEVICE", "ACCELERATE_CPU_AFFINITY", "ACCELERATE_DEBUG_MODE"})
"""Which of Accelerate's variables count: they choose a device, and change no number on it."""
HARMLESS = frozenset({"ACCELERATE_USE_XPU", "ACCELERATE_USE_IPEX"})
"""What its launcher sets of its own accord."""
OFF = frozenset({"", "0", "1", "no", "false", "default", "none"})
"""What its launcher sets variables to where nothing was asked for."""


def make_accelerator(cpu: bool) -> "Accelerator":
    """Return Accelerate's view of this process and its device, whatever the environment asks for beside these.

    Raises:
        InputError: The environment asks for another way of training, or this process uses Accelerate otherwise.
        StawmError: Accelerate is not installed.
    """
    try:
        from accelerate import Accelerator, DistributedDataParallelKwargs
        from accelerate.utils import GradientAccumulationPlugin
    except ModuleNotFoundError as error:
        raise StawmError(f"Training needs {error.name}: pip install 'stawm[train]'") from error
    _refuse_other_ways()
    try:
        with _hidden():
            return Accelerator(
                cpu=cpu,
                mixed_precision="no",
                dynamo_backend="no",
                gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),
                # Lets processes agree on weights that get no gradient, as some do in models of few glimpses.
                kwargs_handlers=[DistributedDataParallelKwargs(static_graph=True)],
            )
    except ValueError as error:
        raise InputError(
            f"Accelerate is set up otherwise in this process ({error}): train in a process of its own."
        ) from error


def ignored_settings() -> list[str]:
    """Return what the environment asks of Accelerate in vain, as ``NAME=value``."""
    return [f"{name}={value}" for name, value in _hidden_variables().items() if value.lower() not in OFF]


def in_first(accelerator: "Accelerator", call: Callable[[], object]) -> None:
    """Call something in the first process; what it raises is raised in all of them.

    Raises:
        StawmError: The call raises one.
    """
    from accelerate.utils import broadcast_object_list

    failed: list[StawmError | None] = [None]
    if accelerator.is_main_process:
        try:
            call()
        except StawmError as error:
            if accelerator.num_processes == 1:
                raise
            failed = [error]
    broadcast_object_list(failed)
    if failed[0] is not None:
        raise failed[0]


def _refuse_other_ways() -> None:
    wanted = [
        name
        for name, value in os.environ.items()
        if name.startswith(f"{PREFIX}USE_") and name not in KEPT | HARMLESS and value.lower() in ("true", "1", "yes")
    ]
    if wanted:
        raise InputError(
            f"stawm trains in plain data-parallel processes, and the environment asks for more: {', '.join(wanted)}. "
            "Leave that out of `accelerate launch`, or unset it."
        )


def _hidden_variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(PREFIX) and name not in KEPT}


@contextlib.contextmanager
def _hidden() -> Iterator[None]:
    """Take away what the environment asks of Accelerate, and put it back."""
    hidden = _hidden_variables()
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ |= hidden
