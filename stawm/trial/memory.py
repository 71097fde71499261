"""A memory on trial: any class that keeps the contract, on all tasks, beside the built-in rules and controls."""

import importlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from stawm import registry
from stawm.catalog.suggest import did_you_mean, nearest
from stawm.configuration import Config, make
from stawm.errors import InputError, UnknownNameError, shown
from stawm.nn.memories.base import Memory
from stawm.nn.testing import ContractError, check_memory
from stawm.training.provenance import hardware
from stawm.trial import kept
from stawm.trial.learner import Recipe
from stawm.trial.page import Trial
from stawm.trial.running import measure
from stawm.trial.tasks import TASKS, Task


def try_memory(
    memory: str | type[Memory[Any]],
    *,
    tasks: Sequence[str] = (),
    recipe: Recipe | None = None,
    seed: int = 0,
    tick: Callable[[str], None] = lambda task: None,
    **fields: Any,
) -> Trial:
    """Train a memory on tasks at its own interface, check its contract, and set it beside the built-in ones.

    Args:
        memory: A registered name, ``package.module:Class``, or the class.
        tasks: The names of tasks; all of them where left out.
        recipe: How it is trained; the usual recipe where left out, which figures are kept of.
        seed: Where all chance comes from.
        tick: Called after each step of training with the name of the task.
        **fields: Fields of the memory's configuration.

    Raises:
        InputError: There is no such class or task, it is no memory, or the loss is not finite.
        UnknownNameError: No memory of that name is registered.
        ConfigError: A field does not exist or is not legal.
    """
    start, chosen = time.perf_counter(), chosen_tasks(tasks)
    cls = memory_class(memory) if isinstance(memory, str) else checked(memory, "The class")
    config = make(cls.Config, fields, f"The memory {cls.__name__}")
    usual = recipe or Recipe()
    found = measure(lambda m: cls(config, memory_size=m), tasks=chosen, recipe=usual, seed=seed, tick=tick)
    return Trial(
        memory=kept.label(config.name, fields),
        measured=tuple(found),
        broken=broken(cls, config),
        recipe=usual,
        seed=seed,
        hardware=hardware(torch.device("cpu")),
        seconds=time.perf_counter() - start,
    )


def broken(cls: type[Memory[Any]], config: Config) -> dict[str, str]:
    """Return which of the checks that every memory has to hold a class fails, and how.

    They write what and where as one, so a memory that takes them apart is checked as it is without that.
    """
    plain: Any = config.replace(bind="self") if getattr(config, "bind", "self") != "self" else config
    try:
        check_memory(cls, config=plain, seeds=(0,), export=False)
    except ContractError as error:
        return dict(error.broken)
    return {}


def chosen_tasks(names: Sequence[str]) -> list[Task]:
    """Return the tasks of some names, all of them where none is given.

    Raises:
        InputError: There is no such task.
    """
    known = {task.name: task for task in TASKS}
    for name in names:
        if name not in known:
            hint = did_you_mean(nearest(name, [*known]))
            raise InputError(f"There is no task {shown(name)}.{hint} There are {', '.join(known)}.")
    return [task for name, task in known.items() if not names or name in names]


def memory_class(name: str) -> type[Memory[Any]]:
    """Return the class of a registered name, or that of ``package.module:Class``.

    Raises:
        InputError: It cannot be imported, or is no memory.
        UnknownNameError: No memory of that name is registered.
    """
    module, colon, attribute = name.partition(":")
    if not colon:
        try:
            return checked(registry.find(registry.Kind.MEMORY, name).load(), name)
        except UnknownNameError as error:
            raise UnknownNameError(f"{error} A class of your own is given as package.module:Class.") from None
    try:
        sys.path.insert(0, os.getcwd())  # noqa: PTH109  (a path of strings)
        found = importlib.import_module(module)
    except Exception as error:
        raise InputError(f"{shown(module)} cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
    if not hasattr(found, attribute):
        hint = did_you_mean(nearest(attribute, [key for key in vars(found) if not key.startswith("_")]))
        raise InputError(f"The module {module} has no class {shown(attribute)}.{hint}")
    return checked(getattr(found, attribute), name)


def checked(cls: Any, name: str) -> type[Memory[Any]]:
    """Return a class if it is a memory.

    Raises:
        InputError: It is none, or has no configuration.
    """
    if not (isinstance(cls, type) and issubclass(cls, Memory)):
        raise InputError(f"{name} must be a class derived from stawm.nn.memories.base.Memory; got {shown(cls)}.")
    if not issubclass(getattr(cls, "Config", object), Config):
        raise InputError(f"{name} must have a Config derived from stawm.Config.")
    return cls
