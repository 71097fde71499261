"""What the command line takes."""

import argparse
import json
import re
import sys
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn

from stawm._version import __version__
from stawm.catalog.suggest import did_you_mean, nearest
from stawm.cli import asking, commands, drawing, explaining, exploring, graphs, stopping, trying, values, web
from stawm.configuration import field_hints, field_meanings
from stawm.errors import ConfigError
from stawm.models.resizing import Resize
from stawm.training.options import NAMES, RunOptions

OVERRIDE = re.compile(r"([A-Za-z_][\w.-]*)=(.*)", re.DOTALL)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
PYTHONS = {"None": None, "True": True, "False": False}
DATA = (
    "digits, mnist:ROOT, fashion-mnist:ROOT, emnist:ROOT, cifar10:ROOT, celeba:ROOT, folder:PATH, "
    "figure-ground:ROOT,PATH, clutter:ROOT, or what else `stawm list data` shows; data.FIELD=VALUE changes its fields"
)
RULES = typing.get_args(Resize)
GRAMMAR = "Fields are changed by key=value, and dotted keys reach inside: memory.delta=0.3 glimpses=6."
RECIPE = f"{GRAMMAR} So are those of the recipe: recipe.epochs=5."
EPILOG = "STAWM_TRACEBACK=1 in the environment shows where a failure of another package came from."
OUT = "a picture (.png, .svg, .pdf, ...), or .gif for an animation (default: drawing.png)"


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line, and takes no option by its first letters."""

    intermixed = False
    """Whether options may stand between a command's files."""
    overrides = False
    """Whether a command takes ``key=value``."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given, allow_abbrev=False)
        self.color = False  # Python 3.14 colours help by control codes, which what is printed is cleaned of

    def overrides_in(self, rest: Sequence[str], args: argparse.Namespace) -> dict[str, Any]:
        """Return what is left of a command line as overrides.

        Raises:
            ConfigError: It is an unknown option, of another form, or of a name that the command takes otherwise.
        """
        unknown = [item for item in rest if item.startswith("-") or not self._takes(item)]
        if unknown:
            meant = self._meant(unknown[0])
            raise ConfigError([f"{self.prog} does not know {unknown[0]!r}.{meant} See {self.prog} --help."])
        found = parse_overrides(rest)
        taken = [key for key in found if key in vars(args)]
        if taken:
            advice = f"is an argument or option of its own; see {self.prog} --help."
            raise ConfigError([f"{key!r} {advice}" for key in taken])
        return found

    def _takes(self, item: str) -> bool:
        """Whether a word may be an override; where there is data, its fields may be."""
        return self.overrides or ("--data" in self._option_string_actions and item.startswith("data."))

    def _meant(self, item: str) -> str:
        if not item.startswith("-"):
            return ""
        flag, known = item.partition("=")[0], list(self._option_string_actions)
        return did_you_mean([name for name in known if name.startswith(flag)] or nearest(flag, known, limit=3))

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[argparse.Namespace, list[str]]:
        """Parse what is known, and return the rest too."""
        args = _alone(sys.argv[1:] if args is None else args)
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


def _alone(args: Sequence[str]) -> list[str]:
    """Return a command line where ``--resize`` by itself does not take the next word."""
    follows = zip(args, [*args, ""][1:], strict=True)
    return ["--resize=" if word == "--resize" and after not in RULES else word for word, after in follows]


def _rule(word: str) -> str | bool:
    if word not in ("", *RULES):
        raise argparse.ArgumentTypeError(f"must be {' or '.join(RULES)}, or nothing; got {word!r}")
    return word or True


def parse_overrides(items: Sequence[str]) -> dict[str, Any]:
    """Return ``key=value`` arguments as a mapping.

    Raises:
        ConfigError: An argument is of another form.

    Examples:
        >>> parse_overrides(["memory.delta=0.3", "image=3,32,32", "backbone=conv"])
        {'memory.delta': 0.3, 'image': [3, 32, 32], 'backbone': 'conv'}
    """
    matches = {item: OVERRIDE.fullmatch(item) for item in items}
    faults = [f"{item!r} is not of the form key=value. {GRAMMAR}" for item, match in matches.items() if match is None]
    if faults:
        raise ConfigError(faults)
    return {match[1]: parse_value(match[2]) for match in matches.values() if match}


def parse_value(text: str) -> Any:
    """Return a value as JSON or Python write it, a list where commas separate values, else the text itself.

    Examples:
        >>> [parse_value(text) for text in ("0.3", ".3", "null", "None", "true", "[cat,dog]", "3,32,32", "conv")]
        [0.3, 0.3, None, None, True, ['cat', 'dog'], [3, 32, 32], 'conv']
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    if text in PYTHONS:
        return PYTHONS[text]
    if NUMBER.fullmatch(text):
        return float(text)
    if text.startswith("{"):
        return text
    inner = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    return [parse_value(part.strip()) for part in inner.split(",")] if "," in text or inner != text else text


def make_parser() -> Parser:
    """Return the parser of all commands."""
    parser = Parser(prog="stawm", description="Recurrent visual attention with a working memory.", epilog=EPILOG)
    parser.add_argument("--version", action="version", version=f"stawm {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)

    def add(run: Callable[[argparse.Namespace], None], name: str, words: str, *, overrides: str = "") -> Parser:
        added = subparsers.add_parser(name, help=words, description=f"{words}. {overrides}")
        added.overrides = bool(overrides)
        added.set_defaults(run=run, parser=added)
        words = "import a file of Python first, which registers components or presets"
        added.add_argument("--import", dest="scripts", action="append", default=[], metavar="FILE", help=words)
        if name != "cite":
            added.add_argument("--json", action="store_true", help="print JSON")
        return added

    _demo(add(commands.demo, "demo", "train, export and show a small model, in about a minute", overrides=RECIPE))
    _listing(add(commands.list_names, "list", "list registered names"))
    _describe(add(commands.describe, "describe", "describe a preset or a component"))
    _preset(add(commands.cite, "cite", "print BibTeX for what a model uses", overrides=GRAMMAR))
    _train(add(commands.train, "train", "train a model", overrides=RECIPE))
    _eval(add(commands.evaluate, "eval", "measure a model on images"))
    _draw(add(drawing.draw, "draw", "picture what a model draws of images"))
    _explain(add(explaining.explain, "explain", "say which glimpses speak for which class"))
    _ask(add(asking.ask, "ask", "ask a model about images, after it looked at them"))
    _diagnose(add(commands.diagnose, "diagnose", "examine the health of a model's memory on images"))
    _tune_stop(add(stopping.tune_stop, "tune-stop", "find when a model is sure enough to stop looking, and keep it"))
    graphs.add_parsers(add)
    exploring.add_parser(add)
    trying.add_parser(add)
    web.add_arguments(add(web.web, "web", "write a page for browsers on which models look"))
    _inspect(add(commands.inspect, "inspect", "show what is in a checkpoint or an ONNX file"))
    add(commands.env, "env", "print versions, devices, providers and plug-ins, as reports of bugs need them")
    return parser


def _preset(parser: Parser) -> None:
    parser.add_argument("preset", help="a preset's name; `stawm list preset` shows them")


def _model(parser: Parser) -> None:
    parser.add_argument("model", help=graphs.MODEL)


def _data(parser: Parser, *, required: bool = True) -> None:
    parser.add_argument("--data", metavar="DATA", required=required, help=DATA)
    words = "bring images of another size to the model's: crop or squeeze; if left out as the model keeps it"
    parser.add_argument("--resize", default=False, help=words, **_taken(field_hints(RunOptions)["resize"]))
    parser.add_argument("--download", action="store_true", help="fetch a set that is not there")
    words = "of a set without a test part, the share that is looked at (default: 0.2, drawn at random; 1 for all)"
    parser.add_argument("--held-out", type=float, default=RunOptions().held_out, metavar="SHARE", help=words)


def _demo(parser: Parser) -> None:
    parser.add_argument("--data", metavar="DATA", default="digits", help=f"{DATA} (default: digits, which come along)")
    parser.add_argument("--out", type=values.folder, default="demo", help="the folder to write to (default: demo)")


def _listing(parser: Parser) -> None:
    words = "memory, backbone, canvas, locator, policy, head, data, preset or recipe; all but recipes if left out"
    parser.add_argument("kind", nargs="?", help=words)
    parser.add_argument("pattern", nargs="*", default=[], help="wildcards of names to keep")
    parser.add_argument("--exclude", action="append", default=[], metavar="PATTERN", help="wildcards to leave out")


def _describe(parser: Parser) -> None:
    parser.add_argument("name")
    parser.add_argument("--kind", help="where several kinds share the name")


def _train(parser: Parser) -> None:
    _preset(parser)
    parser.add_argument("--data", metavar="DATA", required=True, help=DATA)
    parser.add_argument(
        "--out", type=values.folder, required=True, help="the run's folder; a run broken off there goes on"
    )
    parser.add_argument("--recipe", default="fast", help="fast (the default), paper, authors, ...: `stawm list recipe`")
    hints, meanings, usual = field_hints(RunOptions), field_meanings(RunOptions), vars(RunOptions())
    for name in NAMES:
        words = meanings.get(name, "").removesuffix(".") + (f" (default: {usual[name]})" if usual[name] else "")
        taken = {"default": argparse.SUPPRESS, "help": words.replace("%", "%%"), **_taken(hints[name])}
        parser.add_argument(option(name), **taken)
    parser.add_argument("--seeds", type=_seeds, metavar="N,N,...", help="train once for each seed, in OUT/seed-N")


def _seeds(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be integers with commas between them; got {text!r}") from None


def option(name: str) -> str:
    """Return the command line's option for a field.

    Examples:
        >>> option("train_images")
        '--train-images'
    """
    return f"--{name.replace('_', '-')}"


def _taken(hint: Any) -> dict[str, Any]:
    """Return how argparse takes a field: a switch, one of some words, or a value of its plain type."""
    plain, *others = (arg for arg in _plain_types(hint) if arg is not type(None))
    if plain is bool and others:
        return {"type": _rule, "metavar": "HOW"}
    if plain is bool:
        return {"action": "store_true"}
    if typing.get_origin(plain) is Literal:
        return {"choices": typing.get_args(plain)}
    return {"type": plain, "metavar": {int: "N", float: "X"}.get(plain, "WEIGHTS")}


def _plain_types(hint: Any) -> list[Any]:
    if typing.get_origin(hint) is Literal or not typing.get_args(hint):
        return [hint]
    args = typing.get_args(hint)[:1] if typing.get_origin(hint) is typing.Annotated else typing.get_args(hint)
    return [plain for arg in args for plain in _plain_types(arg)]


def _eval(parser: Parser) -> None:
    parser.add_argument("model", help=f"an ONNX file, the folder of a step graph, or {graphs.MODEL}")
    _data(parser)
    parser.add_argument(
        "--validation", type=values.at_least(0), default=0, metavar="N", help="measure on the last N training images"
    )
    words = "average the answers of so many scan paths of each image, where a policy draws them"
    parser.add_argument("--samples", type=values.at_least(1), metavar="N", help=words)
    parser.add_argument("--picture", type=values.picture, metavar="FILE", help="also draw what was measured")
    parser.add_argument(
        "--looks", type=values.picture, metavar="FILE", help="also draw where it looked at some of the images"
    )


def _draw(parser: Parser) -> None:
    _some_images(parser)
    parser.add_argument("--out", type=values.picture_or_animation, default="drawing.png", metavar="FILE", help=OUT)
    ways = parser.add_mutually_exclusive_group()
    for way, words in drawing.WAYS.items():
        ways.add_argument(way, dest="way", action="store_const", const=way.removeprefix("--"), help=words)
    parser.add_argument("--beside", action="append", default=[], metavar="MODEL", help="another model to show with it")
    words = "of which sketch --traverse sets a number, from 1; of all if left out"
    parser.add_argument("--glimpse", type=values.at_least(1), metavar="N", help=words)


def _explain(parser: Parser) -> None:
    _some_images(parser)
    parser.add_argument("--out", type=values.picture, metavar="FILE", help="also draw it: a picture (.png, .svg, ...)")


def _ask(parser: Parser) -> None:
    _some_images(parser, model=f"an ONNX file, the folder of a step graph, or {graphs.MODEL}")
    asking.add_arguments(parser)


def _some_images(parser: Parser, model: str = graphs.MODEL) -> None:
    parser.intermixed = True
    parser.add_argument("model", help=model)
    parser.add_argument("images", nargs="*", type=Path, metavar="IMAGE", help="files of images")
    _data(parser, required=False)
    parser.add_argument(
        "--count",
        type=values.at_least(1),
        metavar="N",
        help="how many images at most (default: 4 of a set, all of the files)",
    )
    parser.add_argument(
        "--seed",
        type=values.at_least(0),
        metavar="N",
        help="draw images of a set at random; the first ones if left out",
    )


def _diagnose(parser: Parser) -> None:
    _model(parser)
    _data(parser)
    parser.add_argument(
        "--images", type=values.at_least(1), default=256, metavar="N", help="how many images to look at (default: 256)"
    )
    parser.add_argument(
        "--picture", type=values.picture, metavar="FILE", help="also draw the measures over the glimpses"
    )


def _tune_stop(parser: Parser) -> None:
    parser.add_argument("model", help=f"the folder of a step graph that is not in fp32, or {graphs.MODEL}")
    _data(parser)
    goals = parser.add_mutually_exclusive_group(required=True)
    words = "the greatest error, say 0.5%%, or +0.05%% for so much above that of all glimpses"
    goals.add_argument("--error", type=stopping.error, metavar="E", help=words)
    goals.add_argument("--glimpses", type=float, metavar="MEAN", help="the greatest mean number of glimpses, say 2.5")
    words = "with which probability new images keep the error (default: 0.95; 0.5 takes what is counted)"
    parser.add_argument("--certainty", type=float, metavar="P", help=words)
    words = "tune on the last N training images, 0 for the test images (default: those held out from its training)"
    parser.add_argument("--validation", type=values.at_least(0), metavar="N", help=words)
    words = "change the images as in training, which brings those it was trained on nearer to new ones"
    parser.add_argument("--augment", action="store_true", help=words)
    words = "the checkpoint, or the graph's folder, to write; in place of the one that is given if left out"
    parser.add_argument("--out", type=Path, metavar="FILE", help=words)


def _inspect(parser: Parser) -> None:
    parser.add_argument("file", help=f"an ONNX file, a folder of step graphs, or {graphs.MODEL}")
