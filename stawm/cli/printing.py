"""Everything that a command prints goes through here: cleaned, in any encoding, as text or as strict JSON."""

import codecs
import contextlib
import json
import os
import sys
import unicodedata
import warnings
from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import Any

from stawm import text

SPELLED = {
    "²": "^2",
    "ᵀ": "^T",
    "₀": "0",
    "∂": "d",
    "±": "+-",
    "≤": "<=",
    "≥": ">=",
    "→": "->",
    "–": "-",
    "·": "*",
    "…": "...",
}
"""How signs of ours are written where an encoding lacks them; Greek letters are written by their names."""


def _spell(error: UnicodeError) -> tuple[str, int]:
    """Write what an encoding lacks in letters that it has: δ as delta, everything else as its escape."""
    assert isinstance(error, UnicodeEncodeError)
    return "".join(_spelled(sign) for sign in error.object[error.start : error.end]), error.end


def _spelled(sign: str) -> str:
    _, is_greek, letter = unicodedata.name(sign, "").partition("GREEK SMALL LETTER ")
    _, is_capital, capital = unicodedata.name(sign, "").partition("GREEK CAPITAL LETTER ")
    if is_greek or is_capital:
        return letter.lower() or capital.capitalize()
    return SPELLED.get(sign) or sign.encode("unicode_escape").decode("ascii")


codecs.register_error("stawm.spelled", _spell)


class Plain:
    """A stream that gets text without anything that steers a terminal, in signs that its encoding has."""

    def __init__(self, stream: Any) -> None:
        self.rich_proxied_file = stream  # by this name rich finds where its own control codes go

    def write(self, said: str) -> int:
        """Write text."""
        encoding = getattr(self.rich_proxied_file, "encoding", None) or "utf-8"
        plain = text.lines(said).encode(encoding, "stawm.spelled").decode(encoding)
        self.rich_proxied_file.write(plain)
        return len(said)

    def writelines(self, said: Sequence[str]) -> None:
        """Write several texts."""
        for part in said:
            self.write(part)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


@contextlib.contextmanager
def plainly() -> Iterator[None]:
    """Clean all that is printed on both streams, and say warnings in one line."""
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *_, **__: f"stawm: warning: {text.one_line(str(message))}\n"
    out: Any = sys.stdout and Plain(sys.stdout)  # None where the process has no such stream
    err: Any = sys.stderr and Plain(sys.stderr)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            yield
    finally:
        warnings.formatwarning = before


def show(args: Namespace, found: Any, *more: str) -> None:
    """Print what was found, as JSON or laid out for reading, there with more lines below it, and at once."""
    if args.json:
        show_json(found.as_dict())
    else:
        print(text.cleaned(found), *map(text.one_line, more), sep="\n", flush=True)


def show_json(found: Any) -> None:
    """Print JSON: in ASCII, and null for numbers that are none."""
    print(json.dumps(text.strict(found), allow_nan=False), flush=True)


def show_lines(lines: Sequence[str]) -> None:
    """Print lines, each of which stays one."""
    print(*map(text.one_line, lines), sep="\n", flush=True)


def give_up(stream: Any) -> None:
    """Let what a stream could not take go nowhere, so that the end of the process does not try again."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        broken = stream.fileno()
        os.dup2(os.open(os.devnull, os.O_WRONLY), broken)
