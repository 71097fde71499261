"""Classes by name: which class of a model is meant by a class of a set.

A set and a model number their classes each in its own order, so numbers are compared only where one of them has no
names.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from stawm.errors import InputError
from stawm.models.config import SharedConfig

SHOWN = 20
"""How many names a message lists."""
NUMBERED = re.compile(r"(\d+)\s+-\s+(.+)")
"""A number and a name together, as torchvision writes them: ``0 - zero``."""
GAPS = re.compile(r"[\s_-]+")


def match(known: Sequence[str], asked: Sequence[str]) -> tuple[int | None, ...]:
    """Return the place of each name in a list of known names; None for a name that is not there.

    Names are compared as they are written. A name that is not there so is compared without regard to case, gaps
    (``T_shirt``, ``t-shirt``) and leading zeros, and ``0 - zero`` may be called ``0`` or ``zero``. Where several known
    names would do, or one would be taken twice, none is.

    Examples:
        >>> match(("0", "1", "2", "10"), ("0", "1", "10", "02"))
        (0, 1, 3, 2)
        >>> match(("cat", "dog"), ("Dog", "bird"))
        (1, None)
    """
    if tuple(known) == tuple(asked):
        return tuple(range(len(known)))
    exact, loose = _places(known, lambda name: (name,)), _places(known, _spellings)
    found: list[int | None] = [_only(exact.get(name, ())) for name in asked]
    taken = {place for place in found if place is not None}
    for i, name in enumerate(asked):
        if found[i] is None:
            found[i] = _only({place for key in _spellings(name) for place in loose.get(key, ())} - taken)
    counts = {place: found.count(place) for place in found if place is not None}
    return tuple(place if place is not None and counts[place] == 1 else None for place in found)


def places(config: SharedConfig, names: Sequence[str], what: str = "the images") -> tuple[int, ...] | None:
    """Return the model's number of each class of a set.

    Args:
        config: The model.
        names: The names of the set's classes, in the order of their numbers; empty where they have none.
        what: What the set is called in a message.

    Returns:
        One number for each name; None where the set's own numbers hold, as the model or the set has no names, or the
        model neither classifies nor answers questions.

    Raises:
        InputError: A class of the set is none of the model's; where the model has no names, there are not as many.
    """
    if config.answers is None or not names:
        return None
    if not config.class_names:
        if len(names) != config.answers:
            head = "classification" if config.classifies else "recall"
            raise InputError(
                f"{_capital(what)} are of {len(names)} classes, the model tells {config.answers} apart and has no "
                f"names for them: build it with heads.{head}.classes={len(names)}, or with class_names."
            )
        return None
    found = match(config.class_names, names)
    if None in found:
        lost = [name for name, place in zip(names, found, strict=True) if place is None]
        raise InputError(
            f"{_capital(what)} are of {len(names)} classes ({listed(names)}), {config.name} knows "
            f"{len(config.class_names)} ({listed(config.class_names)}). These are none of the model's: {listed(lost)}. "
            "Call the classes (of a folder of images, the folders in it) as the model does and leave out the others, "
            "or train a model on these images."
        )
    return tuple(place for place in found if place is not None)


def note_on_places(config: SharedConfig, names: Sequence[str]) -> str | None:
    """Say that classes are compared by their numbers, where the model classifies and one side has no names."""
    if config.answers is None or (names and config.class_names):
        return None
    sides = [side for side, its in (("the model", config.class_names), ("the set", names)) if not its]
    have = "has" if len(sides) == 1 else "have"
    return f"classes are compared by their numbers: {' and '.join(sides)} {have} no names for them"


def listed(names: Iterable[str]) -> str:
    """Return names as a list in words, the first ones of many.

    Examples:
        >>> listed(["cat", "dog"])
        'cat, dog'
    """
    names = list(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _places(names: Sequence[str], keys: Callable[[str], Iterable[str]]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = defaultdict(set)
    for place, name in enumerate(names):
        for key in keys(name):
            found[key].add(place)
    return found


def _only(places: Iterable[int]) -> int | None:
    places = set(places)
    return places.pop() if len(places) == 1 else None


def _spellings(name: str) -> set[str]:
    parts = NUMBERED.fullmatch(name.strip())
    return {_plain(part) for part in (name, *(parts.groups() if parts else ()))}


def _plain(name: str) -> str:
    plain = GAPS.sub(" ", unicodedata.normalize("NFKC", name).casefold()).strip()
    return plain.lstrip("0") or "0" if plain.isdecimal() else plain


def _capital(what: str) -> str:
    return what[:1].upper() + what[1:]
