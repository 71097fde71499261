"""Text in pictures: as it is spelled, in letters that some font has, and no longer than its place is wide.

Names of classes come from files. Nothing in them is mathematics, control codes are shown as escapes, letters that no
installed font has as their code points, and what is too long loses its middle.
"""

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

from matplotlib.font_manager import FontProperties, fontManager, get_font
from matplotlib.textpath import text_to_path

from stawm.text import one_line

FONT = "DejaVu Sans"
"""Comes with matplotlib: Latin, Greek, Cyrillic, Arabic and many signs."""
BOXES = re.compile("last ?resort|blank|fallback|tofu", re.IGNORECASE)
"""Fonts that have a box for every letter."""
INCH = 72
"""Points, in which matplotlib measures text."""
PLAIN: dict[str, Any] = {"parse_math": False, "usetex": False}
"""A dollar sign is a dollar sign, whatever is set for other figures."""


def style(said: str) -> dict[str, Any]:
    """Return how matplotlib is to set a text that `spelled` gave."""
    return {**PLAIN, "fontfamily": [FONT, *_families(said)]}


def spelled(said: str) -> str:
    """Return a text in one line and in signs that the installed fonts have; others are written as U+732B."""
    said = one_line(said)
    return "".join(sign if ord(sign) in _signs(_path(FONT)) or _family(sign) else f"U+{ord(sign):04X}" for sign in said)


@cache
def _families(said: str) -> tuple[str, ...]:
    lacking = dict.fromkeys(sign for sign in said if ord(sign) not in _signs(_path(FONT)))
    return tuple(dict.fromkeys(family for sign in lacking if (family := _family(sign))))


@cache
def _family(sign: str) -> str | None:
    """Return the first installed font that has a sign."""
    return next((name for name, path in _installed().items() if ord(sign) in _signs(path)), None)


@cache
def _installed() -> dict[str, str]:
    there = sorted(fontManager.ttflist, key=lambda entry: entry.name)
    return {entry.name: entry.fname for entry in there if not BOXES.search(entry.name)}


@cache
def _path(family: str) -> str:
    return fontManager.findfont(family)


@cache
def _signs(path: str) -> frozenset[int]:
    try:
        return frozenset(get_font(path).get_charmap())
    except (OSError, RuntimeError):  # a font that cannot be read has no signs
        return frozenset()


def width(said: str, size: float) -> float:
    """Return how many inches a text takes."""
    font = FontProperties(family=style(said)["fontfamily"], size=size)
    return text_to_path.get_text_width_height_descent(said, font, False)[0] / INCH


def shortened(said: str, inches: float, size: float) -> str:
    """Return a text that is no wider than its place: where it is, its middle becomes an ellipsis."""
    if width(said, size) <= inches:
        return said
    least, most = 0, len(said) - 1  # how many signs are kept
    while least < most:
        middle = (least + most + 1) // 2
        least, most = (middle, most) if width(_without_middle(said, middle), size) <= inches else (least, middle - 1)
    return _without_middle(said, least)


def _without_middle(said: str, kept: int) -> str:
    return f"{said[: kept - kept // 2]}…{said[len(said) - kept // 2 :]}"


@lru_cache(maxsize=64)
def fitting(names: tuple[str, ...], inches: float, size: float) -> tuple[str, ...]:
    """Return names as they are written where there is so much room, each of them told from the others.

    Names that would look alike get their number in front.
    """
    written = [shortened(spelled(name), inches, size) for name in names]
    alike = {name for name in written if written.count(name) > 1}
    numbered = [f"{k} {spelled(name)}" if written[k] in alike else written[k] for k, name in enumerate(names)]
    return tuple(_numbered(name, inches, size) if written[k] in alike else name for k, name in enumerate(numbered))


def _numbered(name: str, inches: float, size: float) -> str:
    number, _, rest = name.partition(" ")
    return f"{number} {shortened(rest, max(0.0, inches - width(number + ' ', size)), size)}"


def wrapped(said: str, inches: float, size: float) -> str:
    """Return a text in lines that are no wider than their place."""
    lines: list[str] = []
    for word in said.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width(longer, size) <= inches:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(shortened(line, inches, size) for line in lines)


def widest(names: Sequence[str], size: float) -> float:
    """Return how many inches the widest of some names takes."""
    return max((width(spelled(name), size) for name in names), default=0.0)
