"""The command ``stawm``: parses, calls the public functions, prints.

What a program would read is printed as JSON with ``--json``. Bad input ends with what is wrong, a fault a line, and
status 1.
"""

import os
import sys
from collections.abc import Sequence

from stawm.cli.notices import notices
from stawm.cli.parser import make_parser
from stawm.errors import StawmError

EXTRA = {"accelerate": "train", "huggingface_hub": "hub", "matplotlib": "train", "tensorboard": "train"}
"""Which extra brings a package that a command may lack."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments; those of the process where left out.

    Returns:
        The exit status: 0, or 1 where something given was wrong.
    """
    args, rest = make_parser().parse_known_args(argv)
    try:
        args.overrides = args.parser.overrides_in(rest, args)
        with notices(quiet=getattr(args, "json", False)):
            args.run(args)
        sys.stdout.flush()
    except StawmError as error:
        faults = getattr(error, "faults", ())
        count = [f"{len(faults)} things are wrong:"] if len(faults) > 1 else []
        return _fail(*count, *str(error).splitlines())
    except ModuleNotFoundError as error:
        extra = EXTRA.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        return _fail(f"this needs {error.name}: pip install 'stawm[{extra}]'")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        _fail("interrupted")
        return 130
    return 0


def _fail(*lines: str) -> int:
    print("stawm: " + "\n  ".join(lines), file=sys.stderr)
    return 1
