"""What `register` and `list_names` take: the forms of their arguments."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from stawm.errors import ConfigError, shown


def wrong_forms(
    name: Any, summary: Any, cites: Any, origin: Any, recipes: Any, replaced_by: Any, removed_in: Any
) -> list[str]:
    """Return what is of no legal type among the arguments of `register`."""
    rules = [
        ("name", name, isinstance(name, str), "a string"),
        ("summary", summary, summary is None or isinstance(summary, str), "a string"),
        ("cites", cites, _are_strings(cites), "a list of strings"),
        ("origin", origin, origin is None or isinstance(origin, str), "a string"),
        ("recipes", recipes, recipes is None or isinstance(recipes, Mapping), "a mapping"),
        ("replaced_by", replaced_by, replaced_by is None or isinstance(replaced_by, str), "a string"),
        ("removed_in", removed_in, removed_in is None or isinstance(removed_in, str), "a string"),
    ]
    return [f"register: {key} must be {words}; got {shown(value)}." for key, value, legal, words in rules if not legal]


def _are_strings(given: Any) -> bool:
    return isinstance(given, (list, tuple, set, frozenset)) and all(isinstance(each, str) for each in given)


def as_patterns(patterns: Any) -> tuple[str, ...]:
    """Return wildcards, one or several, as a tuple.

    Raises:
        ConfigError: They are no strings.
    """
    if not isinstance(patterns, str) and not _are_strings(patterns):
        raise ConfigError([f"Names are listed by wildcards, a string or a list of strings; got {shown(patterns)}."])
    return (patterns,) if isinstance(patterns, str) else tuple(patterns)


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a name matches one of some wildcards."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)
