"""The command ``stawm trial``: a memory on tasks at its own interface, beside the built-in rules and controls."""

import argparse
import json
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.progress import Progress

from stawm.cli import values
from stawm.cli.printing import show
from stawm.errors import ConfigError

WAY = "The memory is changed by key=value, say memory.delta=0.3; keys that begin with recipe change the training."


def add_parser(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command to a command line.

    Args:
        add: Adds a command, given what it runs, its name and words for it, and returns its parser.
    """
    parser = add(trial, "trial", "train a memory on tasks of its own, beside the built-in ones", overrides=WAY)
    parser.add_argument("kind", choices=["memory"], help="what is tried")
    parser.add_argument("name", help="a registered memory (`stawm list memory` shows them), or package.module:Class")
    words = "a task to try it on; may be given several times (default: all)"
    parser.add_argument("--task", action="append", default=[], metavar="TASK", help=words)
    words = "where chance comes from (default: 0)"
    parser.add_argument("--seed", type=values.at_least(0), default=0, metavar="N", help=words)
    words = "also write trial.json and trial.png into this folder"
    parser.add_argument("--out", type=values.folder, metavar="FOLDER", help=words)


def trial(args: argparse.Namespace) -> None:
    """Try a memory, and show the page."""
    from stawm.configuration import make
    from stawm.trial import Recipe, try_memory
    from stawm.trial.memory import chosen_tasks, memory_class
    from stawm.trial.running import steps

    if args.out:
        from stawm import viz
    fields = grouped(args.overrides)
    cls, recipe = memory_class(args.name), make(Recipe, fields["recipe"], "The recipe")
    with Progress(console=Console(stderr=True), disable=args.json) as bar:
        line = bar.add_task("", total=steps(chosen_tasks(args.task), recipe))
        given: dict[str, Any] = {"tasks": args.task, "recipe": recipe, "seed": args.seed, **fields["memory"]}
        found = try_memory(cls, tick=lambda task: bar.update(line, advance=1, description=task), **given)
    show(args, found)
    if args.out:
        from stawm.storage.file import write_atomically
        from stawm.trial import picture

        args.out.mkdir(parents=True, exist_ok=True)
        write_atomically(args.out / "trial.json", (json.dumps(found.as_dict(), indent=1) + "\n").encode())
        viz.save(picture(found), args.out / "trial.png")


def grouped(overrides: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what is changed of the memory and of the recipe.

    Raises:
        ConfigError: A key begins with neither.

    Examples:
        >>> grouped({"memory.eta": 0.1, "recipe.steps": 9})
        {'memory': {'eta': 0.1}, 'recipe': {'steps': 9}}
    """
    found: dict[str, dict[str, Any]] = {"memory": {}, "recipe": {}}
    for key, value in overrides.items():
        part, dot, field = key.partition(".")
        if part not in found or not dot:
            raise ConfigError([f"{key!r} is neither memory.FIELD nor recipe.FIELD, which are what a trial changes."])
        found[part][field] = value
    return found
