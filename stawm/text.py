"""Text that is safe to show, whoever wrote it, and values that are strict JSON.

Names of classes, presets and files come from files. What in them steers a terminal, turns the direction of writing or
begins a line is replaced by its escape, so that a name is always one line and looks like what it is.
"""

import copy
import dataclasses
import html
import math
import re
import unicodedata
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, TypeVar

T = TypeVar("T")
_UNUSUAL = re.compile(r"[^ -~]")


def one_line(text: str) -> str:
    r"""Return a text in which every sign that is not printed is replaced by its escape, line breaks among them.

    Examples:
        >>> print(one_line("cat\n\x1b[31mdog\u202e"))
        cat\n\x1b[31mdog\u202e
    """
    return _UNUSUAL.sub(lambda found: _shown(found[0]), text)


def lines(text: str) -> str:
    """Return the same of a text of several lines: line breaks and tabs stay."""
    return _UNUSUAL.sub(lambda found: found[0] if found[0] in "\n\t" else _shown(found[0]), text)


def _shown(sign: str) -> str:
    printed = sign.isprintable() or unicodedata.category(sign) == "Zs"
    return sign if printed else sign.encode("unicode_escape").decode("ascii")


def cleaned(report: T) -> T:
    """Return a copy of a report in which each text is one line; what is no report, text or collection stays itself."""
    if isinstance(report, str):
        return one_line(report)
    if isinstance(report, PurePath):
        return type(report)(one_line(str(report)))
    found: Any = report
    if isinstance(report, Mapping):
        found = {cleaned(key): cleaned(value) for key, value in report.items()}
    elif isinstance(report, tuple):
        values = [cleaned(value) for value in report]
        found = type(report)(*values) if hasattr(report, "_fields") else tuple(values)
    elif isinstance(report, list):
        found = [cleaned(value) for value in report]
    elif dataclasses.is_dataclass(report) and not isinstance(report, type):
        found = copy.copy(report)
        for field in dataclasses.fields(report):
            object.__setattr__(found, field.name, cleaned(getattr(report, field.name)))
    return found


class Readable:
    """A report that a notebook shows as it is printed: laid out, not as the code that would make it."""

    def _repr_html_(self) -> str:
        return preformatted(str(cleaned(self)))


def preformatted(said: str) -> str:
    """Return a text as HTML that keeps its lines and is nothing but text.

    Examples:
        >>> preformatted("a < b")
        '<pre>a &lt; b</pre>'
    """
    return f"<pre>{html.escape(lines(said))}</pre>"


def strict(value: Any) -> Any:
    """Return JSON values in which a number that is none, NaN or infinite, is null, as strict readers want it."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: strict(inner) for key, inner in value.items()}
    if isinstance(value, tuple):
        return tuple(strict(inner) for inner in value)
    return [strict(inner) for inner in value] if isinstance(value, list) else value
