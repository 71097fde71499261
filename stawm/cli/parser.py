"""What the command line takes."""

import argparse
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from stawm._version import __version__
from stawm.cli import commands, drawing, graphs
from stawm.errors import ConfigError

OVERRIDE = re.compile(r"([A-Za-z_][\w.-]*)=(.*)", re.DOTALL)
DATA = "digits, mnist:ROOT, fashion-mnist:ROOT, cifar10:ROOT, celeba:ROOT, folder:PATH or figure-ground:ROOT,PATH"
GRAMMAR = "Fields are changed by key=value, and dotted keys reach inside: memory.decay=0.3 recipe.epochs=5."


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line."""

    intermixed = False
    """Whether options may stand between a command's files."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[argparse.Namespace, list[str]]:
        """Parse what is known, and return the rest too."""
        if not self.intermixed:
            return super().parse_known_args(args, namespace)
        self.intermixed = False  # it parses twice, through this method
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self.intermixed = True

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and end with status 1."""
        self.exit(1, f"{self.prog}: {message} (see {self.prog} --help)\n")


def parse_overrides(items: Sequence[str], allowed: bool, prog: str) -> dict[str, Any]:
    """Return ``key=value`` arguments as a mapping.

    Raises:
        ConfigError: An argument is of another form, or the command takes none.

    Examples:
        >>> parse_overrides(["memory.delta=0.3", "image=3,32,32", "backbone=conv"], True, "stawm train")
        {'memory.delta': 0.3, 'image': [3, 32, 32], 'backbone': 'conv'}
    """
    found = {}
    for item in items:
        match = OVERRIDE.fullmatch(item)
        if match is None or not allowed:
            raise ConfigError([f"{prog} does not know {item!r}.{' ' + GRAMMAR if allowed else ''} See {prog} --help."])
        found[match[1]] = parse_value(match[2])
    return found


def parse_value(text: str) -> Any:
    """Return a value as JSON says, a list where commas separate values, else the text itself."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return [parse_value(part) for part in text.split(",")] if "," in text and text[0] not in "[{" else text


def make_parser() -> Parser:
    """Return the parser of all commands."""
    parser = Parser(prog="stawm", description="Recurrent visual attention with a working memory.")
    parser.add_argument("--version", action="version", version=f"stawm {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)

    def add(run: Callable[[argparse.Namespace], None], name: str, words: str, *, overrides: bool = False) -> Parser:
        added = subparsers.add_parser(name, help=words, description=f"{words}. {GRAMMAR if overrides else ''}")
        added.set_defaults(run=run, takes_overrides=overrides, prog=added.prog)
        if name != "cite":
            added.add_argument("--json", action="store_true", help="print JSON")
        return added

    _demo(add(commands.demo, "demo", "train, export and show a small model, in about a minute", overrides=True))
    _listing(add(commands.list_names, "list", "list registered names"))
    _describe(add(commands.describe, "describe", "describe a preset or a component"))
    _preset(add(commands.cite, "cite", "print BibTeX for what a model uses", overrides=True))
    _train(add(commands.train, "train", "train a model", overrides=True))
    _eval(add(commands.evaluate, "eval", "measure a model on images"))
    _draw(add(drawing.draw, "draw", "picture what a model draws of images"))
    _diagnose(add(commands.diagnose, "diagnose", "examine the health of a model's memory on images"))
    graphs.add_parsers(subparsers)
    _inspect(add(commands.inspect, "inspect", "show what a checkpoint or an ONNX file says of itself"))
    return parser


def _preset(parser: Parser) -> None:
    parser.add_argument("preset", help="a preset's name; `stawm list preset` shows them")


def _checkpoint(parser: Parser) -> None:
    parser.add_argument(
        "checkpoint", type=Path, help="a model that stawm.save or stawm train wrote, or a preset with weights"
    )


def _data(parser: Parser, *, required: bool = True) -> None:
    parser.add_argument("--data", metavar="DATA", required=required, help=DATA)
    parser.add_argument("--resize", action="store_true", help="bring images of another size to the model's")
    parser.add_argument("--download", action="store_true", help="fetch a set that is not there")


def _demo(parser: Parser) -> None:
    parser.add_argument("--data", metavar="DATA", default="digits", help=f"{DATA} (default: digits, which come along)")
    parser.add_argument("--out", type=Path, default=Path("demo"), help="the folder to write to (default: demo)")


def _listing(parser: Parser) -> None:
    parser.add_argument("kind", nargs="?", help="memory, backbone, canvas, locator, head or preset; all if left out")
    parser.add_argument("pattern", nargs="*", default=[], help="wildcards of names to keep")
    parser.add_argument("--exclude", action="append", default=[], metavar="PATTERN", help="wildcards to leave out")


def _describe(parser: Parser) -> None:
    parser.add_argument("name")
    parser.add_argument("--kind", help="where several kinds share the name")


def _train(parser: Parser) -> None:
    _preset(parser)
    _data(parser)
    parser.add_argument("--out", type=Path, required=True, help="the run's folder; a run broken off there goes on")
    parser.add_argument("--recipe", default="fast", help="fast (our own, the default) or paper (its Appendix D)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--validation", type=int, default=0, metavar="N", help="measure on the last N training images")
    parser.add_argument("--train-images", type=int, metavar="N", help="learn from the first N training images alone")
    parser.add_argument(
        "--start",
        type=Path,
        metavar="CHECKPOINT",
        help="begin with its weights, or those that ship for a preset, not with random ones",
    )
    parser.add_argument(
        "--transfer-passes",
        type=int,
        metavar="K",
        help="of a frozen model, how often glimpses are computed beforehand (default: 1; paper: 0, in each step)",
    )
    parser.add_argument(
        "--save-every", type=float, default=5.0, metavar="MINUTES", help="how often to save the state (default: 5)"
    )
    parser.add_argument(
        "--pictures", type=int, default=5, metavar="EPOCHS", help="how often to draw pictures (default: 5; 0: never)"
    )
    parser.add_argument("--compile", action="store_true", help="compile the model with torch.compile")
    parser.add_argument("--cpu", action="store_true", help="leave a GPU alone")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def _eval(parser: Parser) -> None:
    _checkpoint(parser)
    _data(parser)
    parser.add_argument("--validation", type=int, default=0, metavar="N", help="measure on the last N training images")
    parser.add_argument("--picture", type=Path, help="also draw what was measured")
    parser.add_argument("--looks", type=Path, help="also draw where it looked at some of the images")


def _draw(parser: Parser) -> None:
    parser.intermixed = True
    parser.add_argument("model", help="a checkpoint of a model that draws, or a preset that weights ship for")
    parser.add_argument("images", nargs="*", type=Path, metavar="IMAGE", help="files of images")
    _data(parser, required=False)
    parser.add_argument("--out", type=Path, default=Path("drawing.png"), help=".png, or .gif for an animation")
    parser.add_argument("--count", type=int, help="how many images at most (default: 4 of a set, all of the files)")
    parser.add_argument("--seed", type=int, help="draw images of a set at random; the first ones if left out")


def _diagnose(parser: Parser) -> None:
    _checkpoint(parser)
    _data(parser)
    parser.add_argument("--images", type=int, default=256, help="how many images to look at (default: 256)")
    parser.add_argument("--picture", type=Path, help="also draw the measures over the glimpses")


def _inspect(parser: Parser) -> None:
    parser.add_argument("file", type=Path)
