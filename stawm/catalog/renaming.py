"""Names that were changed: the old one goes on for a while, says which the new one is, and until when it stays."""

import sys
import warnings
from collections.abc import Callable

from stawm.catalog.entry import Entry, is_name
from stawm.errors import ConfigError

Lookup = Callable[[str], Entry | None]
INSIDE = ("stawm", "jaxtyping", "beartype")
"""Packages whose lines are not the user's: our own, and what may check our types."""


def todays(entry: Entry, look_up: Lookup) -> Entry | None:
    """Return what a name that was changed stands for today, also where it was changed several times.

    Args:
        entry: What stands under the old name.
        look_up: Returns what stands under another name of the kind; None where nothing does.

    Returns:
        The entry; None where the new name is not there.

    Raises:
        ConfigError: The names lead round in a circle.
    """
    found, seen = entry, [entry.name]
    while found is not None and found.replaced_by is not None:
        if found.replaced_by in seen:
            raise ConfigError([f"The {entry.kind} names lead nowhere: {' to '.join([*seen, found.replaced_by])}."])
        seen.append(found.replaced_by)
        found = look_up(found.replaced_by)
    return found


def warn_of(old: Entry, name: str) -> None:
    """Warn that a name was changed, at the line outside stawm that used the old one."""
    package = old.origin.partition(" ")[0]
    until = f"the old name will be gone in {package} {old.removed_in}."
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in INSIDE:
        frame, level = frame.f_back, level + 1
    warnings.warn(f"The {old.kind} {old.name!r} is called {name!r} now; {until}", DeprecationWarning, stacklevel=level)


def rename_faults(name: str, replaced_by: str | None, removed_in: str | None) -> list[str]:
    """Return what is wrong with the change of a name, each fault in a sentence."""
    if (replaced_by is None) != (removed_in is None):
        return [f"register: replaced_by and removed_in go together; {name!r} has one of them."]
    if replaced_by is not None and (replaced_by == name or not is_name(replaced_by)):
        return [f"register: {name!r} cannot be replaced by {replaced_by[:100]!r}: it must be another legal name."]
    return []
