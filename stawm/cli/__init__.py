"""The command ``stawm``: parses, calls the public functions, prints.

What a program would read is printed as JSON with ``--json``. Bad input ends with what is wrong, a fault a line, and
status 1. So does what fails outside of stawm, a full disk or a missing compiler, in one sentence; the environment's
``STAWM_TRACEBACK=1`` shows where.
"""

import contextlib
import errno
import os
import sys
from collections.abc import Sequence

from stawm import text
from stawm.cli import printing
from stawm.cli.parser import make_parser
from stawm.errors import StawmError
from stawm.lazy import explained


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments; those of the process where left out.

    Returns:
        The exit status: 0, or 1 where something given was wrong.
    """
    output = sys.stdout
    with printing.plainly():
        try:
            args, rest = make_parser().parse_known_args(argv)
            args.overrides = args.parser.overrides_in(rest, args)
            args.run(args)
            print(end="", flush=True)
        except BrokenPipeError:
            printing.give_up(output)
        except KeyboardInterrupt:
            _fail("interrupted")
            return 130
        except Exception as error:
            said = _explain(error)
            if said is None or os.environ.get("STAWM_TRACEBACK"):
                raise
            if isinstance(error, OSError) and error.errno == errno.ENOSPC and error.filename is None:
                printing.give_up(output)
            return _fail(*said)
    return 0


def _explain(error: Exception) -> list[str] | None:
    """Return what is wrong, a fault a line; None where it is a fault of stawm's own."""
    if isinstance(error, ModuleNotFoundError):
        error = explained(error)
    if isinstance(error, StawmError):
        faults = getattr(error, "faults", ())
        return [f"{len(faults)} things are wrong:", *faults] if len(faults) > 1 else str(error).split("\n")
    if isinstance(error, OSError) and error.strerror:
        return [f"{error.filename}: {error.strerror}" if error.filename else error.strerror]
    if isinstance(error, MemoryError):
        return ["there is not enough memory"]
    package = type(error).__module__.partition(".")[0]
    if package in ("builtins", "stawm"):
        return None
    said = next((line for line in str(error).splitlines() if line.strip()), "no reason given")
    return [f"{package} fails with {type(error).__name__}: {said.strip()}"]


def _fail(*lines: str) -> int:
    with contextlib.suppress(OSError):  # nobody is left to be told
        print("stawm: " + "\n  ".join(map(text.one_line, lines)), file=sys.stderr)
    return 1
