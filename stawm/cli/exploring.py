"""The command ``stawm explore``: a model looks at an image that is too large to be loaded."""

import argparse
from collections.abc import Callable
from pathlib import Path

from stawm.cli import values
from stawm.cli.graphs import MODEL
from stawm.cli.printing import show


def add_parser(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command to a command line.

    Args:
        add: Adds a command, given what it runs, its name and words for it, and returns its parser.
    """
    parser = add(explore, "explore", "look at an image that is larger than memory, without loading it")
    parser.add_argument("model", help=MODEL)
    parser.add_argument("image", type=Path, help="a TIFF whose pixels are stored in tiles, best with a pyramid")
    parser.add_argument(
        "--glimpses", type=values.at_least(1), metavar="N", help="how many to take; the model's number if left out"
    )
    parser.add_argument("--picture", type=values.picture, metavar="FILE", help="also draw where it looked")


def explore(args: argparse.Namespace) -> None:
    """Look at a file, and draw where."""
    import stawm
    from stawm.storage.pretrained import find_model

    found = stawm.explore(find_model(args.model), args.image, glimpses=args.glimpses)
    show(args, found)
    if args.picture:
        from stawm import viz

        viz.save(viz.exploration(found), args.picture)
