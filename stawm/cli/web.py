"""The command ``stawm web``: a page on which models look."""

import argparse
import contextlib
import shlex
import webbrowser
from pathlib import Path
from typing import Any, Literal

from stawm.cli import values
from stawm.cli.graphs import MODEL, add_calibrating, add_judging, bounds_of
from stawm.cli.printing import show, show_lines
from stawm.cli.shown import shown

PORT = 8000
WEIGHTS: dict[str, Literal["fp32", "fp16"]] = {"fp32": "fp16", "int8": "fp32"}
"""How weights are stored unless it is said otherwise, by precision: in int8 they are small already."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("models", nargs="+", metavar="MODEL", help=MODEL)
    parser.add_argument("--out", type=values.folder, default=Path("site"), help="the folder to write (default: site)")
    words = "how weights are stored: fp16 is half the size, and computes in fp32 (default: fp16; in int8 fp32)"
    parser.add_argument("--weights", choices=("fp16", "fp32"), help=words)
    words = "what it computes with: int8 is a quarter of the size, and refused where it changes answers (default: fp32)"
    parser.add_argument("--precision", choices=("fp32", "int8"), default="fp32", help=words)
    add_judging(parser)
    add_calibrating(parser)
    parser.add_argument("--title", default="", help="what the page is called")
    words = "pictures to try the models on, in place of the ten digits that come along"
    parser.add_argument("--pictures", type=Path, nargs="+", default=[], metavar="IMAGE", help=words)
    words = "how sure models are when they stop, till somebody moves the slider (default: as it was tuned, else 0.9)"
    parser.add_argument("--until", type=values.certainty, metavar="P", help=words)
    words = "where the link to the project leads (default: the home page that the installed package names, if any)"
    parser.add_argument("--project-url", metavar="URL", help=words)
    parser.add_argument("--serve", action="store_true", help="serve the page on this machine, and open it")
    words = f"where it is served (default: {PORT}; 0 for any that is free)"
    parser.add_argument("--port", type=values.at_least(0), default=PORT, metavar="N", help=words)


def web(args: argparse.Namespace) -> None:
    """Write a site, and serve it if asked for."""
    from stawm.storage.pretrained import find_model
    from stawm.web.serving import address, open_server
    from stawm.web.site import check_site, write_site

    check_site(args.out)
    site = write_site(
        [find_model(model) for model in args.models],
        args.out,
        weights=args.weights or WEIGHTS[args.precision],
        precision=args.precision,
        trial=lambda model: _trial(model, args),
        title=args.title,
        pictures=args.pictures,
        until=args.until,
        command=command_of(args),
        project_url=args.project_url,
    )
    show(args, site)
    if not args.serve:
        return
    with open_server(site.path, args.port) as server:
        show_lines([f"{address(server)} (stop with Ctrl-C)"])
        webbrowser.open(address(server))
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


def _trial(model: Any, args: argparse.Namespace) -> dict[str, Any]:
    """Return what the graph of a model is judged by and measured on."""
    return {**shown(model, args)._asdict(), "bounds": bounds_of(args)}


def command_of(args: argparse.Namespace) -> str:
    """Return the command that makes a site again, without where on this machine its files are.

    Examples:
        >>> parser = argparse.ArgumentParser()
        >>> add_arguments(parser)
        >>> command_of(parser.parse_args(["/there/m.safetensors", "--weights", "fp32"]))
        'stawm web m.safetensors --weights fp32'
    """
    words = [Path(model).name if Path(model).is_absolute() else model for model in args.models]
    words += ["--weights", args.weights] if args.weights and args.weights != WEIGHTS[args.precision] else []
    words += ["--precision", args.precision] if args.precision != "fp32" else []
    words += ["--data", args.data.partition(":")[0]] if args.data else []
    words += ["--title", args.title] if args.title else []
    words += ["--pictures", *(path.name for path in args.pictures)] if args.pictures else []
    words += ["--until", f"{args.until:g}"] if args.until else []
    words += ["--project-url", args.project_url] if args.project_url else []
    return f"stawm web {shlex.join(words)}"
