"""Names to components: register, look up, list, describe, plug in.

The registry knows names, not models: an entry is a name of one of six kinds and a target that is
imported only when somebody asks for it. Three sources fill it: the built-in catalogue
(`stawm/catalog.py`), the decorator `register`, and the entry points of other packages in the
group ``stawm.components``.
"""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from stawm.errors import ConfigError, UnknownNameError

ENTRY_POINT_GROUP = "stawm.components"
PLUGIN_SWITCH = "STAWM_PLUGINS"
T = TypeVar("T")
_NAME = re.compile(r"[a-z0-9]+([-_.][a-z0-9]+)*")


class Kind(StrEnum):
    """The kinds of component that can be registered."""

    MEMORY = "memory"
    BACKBONE = "backbone"
    CANVAS = "canvas"
    LOCATOR = "locator"
    HEAD = "head"
    PRESET = "preset"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One registered name.

    Attributes:
        kind: What sort of component it is.
        name: Lower case, words joined by hyphens.
        target: The component, or ``"package.module:Name"`` to import when it is asked for.
        summary: One sentence for listings.
        cites: Keys into ``stawm/references.bib``.
        origin: The distribution that brought it.
        takes_argument: Whether the name is used as ``name:argument`` (such as ``timm:resnet18``).
    """

    kind: Kind
    name: str
    target: Any
    summary: str
    cites: tuple[str, ...] = ()
    origin: str = "stawm"
    takes_argument: bool = False

    def load(self) -> Any:
        """Return the component, importing it where the target is still a path."""
        if not isinstance(self.target, str):
            return self.target
        module, _, attribute = self.target.partition(":")
        loaded = import_module(module)
        for part in attribute.split("."):
            loaded = getattr(loaded, part)
        return loaded


@dataclass(frozen=True, slots=True)
class BrokenPlugin:
    """An entry point of another package that cannot be used, and the reason."""

    kind: str
    name: str
    origin: str
    reason: str

    def __str__(self) -> str:
        """Say which plugin it is and what is wrong with it."""
        return f"{self.kind} {self.name!r} from {self.origin}: {self.reason}"


_entries: dict[tuple[Kind, str], Entry] = {}


def as_kind(kind: Kind | str) -> Kind:
    """Return the `Kind` of that name.

    Raises:
        UnknownNameError: There is no such kind.
    """
    try:
        return Kind(kind)
    except ValueError:
        legal = ", ".join(Kind)
        raise UnknownNameError(f"No kind named {kind!r}. The kinds are: {legal}.") from None


def declare(entry: Entry) -> None:
    """Add an entry.

    Raises:
        ConfigError: The name is malformed, or another component has it already.
    """
    if not _NAME.fullmatch(entry.name):
        raise ConfigError([f"{entry.name!r} is no legal name: lower case letters and digits joined by hyphens."])
    present = _builtin().get((entry.kind, entry.name)) or _entries.get((entry.kind, entry.name))
    if present is not None and _identity(present) != _identity(entry):
        raise ConfigError(
            [f"The {entry.kind} name {entry.name!r} is taken by {_identity(present)} ({present.origin}); choose another."]
        )
    _entries[entry.kind, entry.name] = entry


def register(
    kind: Kind | str, name: str, *, summary: str | None = None, cites: Sequence[str] = (), origin: str | None = None
) -> Callable[[T], T]:
    """Register a component class (or a preset's mapping) under a name.

    Args:
        kind: ``"memory"``, ``"backbone"``, ``"canvas"``, ``"locator"``, ``"head"`` or ``"preset"``.
        name: The name, lower case with hyphens.
        summary: One sentence for listings; the first line of the docstring where it is left out.
        cites: BibTeX keys, or whole BibTeX entries, of what the component implements.
        origin: The distribution that brings it; the top-level package of the class where left out.

    Raises:
        ConfigError: The name is malformed, or another component has it already. Running the same
            class statement again, as notebooks do, is not a clash.
        UnknownNameError: There is no such kind.

    Examples:
        >>> import stawm
        >>> @stawm.register("preset", "my-digits", summary="Digits, looked at twice.")
        ... def my_digits():
        ...     return {"preset": "stawm-digits", "glimpses": 2}
        >>> stawm.config("my-digits").glimpses
        2
    """
    resolved = as_kind(kind)

    def add(target: T) -> T:
        doc = (getattr(target, "__doc__", None) or "").strip().splitlines()
        module = getattr(target, "__module__", "__main__")
        declare(
            Entry(
                kind=resolved,
                name=name,
                target=target,
                summary=summary or (doc[0] if doc else ""),
                cites=tuple(cites),
                origin=origin or module.partition(".")[0],
            )
        )
        return target

    return add


def find(kind: Kind | str, name: str) -> Entry:
    """Look an entry up by kind and name.

    Args:
        kind: The kind of component.
        name: The name; for an entry that takes an argument, ``name:argument``.

    Raises:
        UnknownNameError: It is not there. The message names the nearest names, of this kind and
            of others, and the plugins that could not be used.
    """
    kind = as_kind(kind)
    stem, colon, argument = name.partition(":")
    entry = entries(kind).get(stem)
    if entry is None or bool(colon and argument) != entry.takes_argument:
        raise UnknownNameError(_unknown(kind, name))
    return entry


def entries(kind: Kind | str) -> dict[str, Entry]:
    """Return all usable entries of a kind by name: built-in, registered and plugged in."""
    kind = as_kind(kind)
    plugged, _ = _plugins()
    found = {**plugged, **_builtin(), **_entries}
    return {name: entry for (k, name), entry in found.items() if k is kind}


def broken_plugins() -> tuple[BrokenPlugin, ...]:
    """Return the plugins that were found but cannot be used, each with its reason."""
    return _plugins()[1]


def list_names(
    kind: Kind | str = Kind.PRESET,
    pattern: str | Sequence[str] = "*",
    *,
    exclude: str | Sequence[str] = (),
    origin: str | None = None,
) -> list[str]:
    """List registered names in natural order.

    Args:
        kind: The kind to list.
        pattern: Wildcards (``*``, ``?``, ``[...]``), one or several; a name that matches any is kept.
        exclude: Wildcards of names to leave out.
        origin: Keep only what this distribution brought.

    Returns:
        The names, with numbers in them compared as numbers.

    Raises:
        UnknownNameError: There is no such kind.

    Examples:
        >>> import stawm
        >>> stawm.list_names("preset", "stawm-mnist-draw-*")
        ['stawm-mnist-draw-4', 'stawm-mnist-draw-6', 'stawm-mnist-draw-8']
        >>> stawm.list_names("canvas", exclude="add*")
        ['bernoulli']
    """
    keep, drop = _as_tuple(pattern), _as_tuple(exclude)
    names = [name for name, entry in entries(kind).items() if origin in (None, entry.origin)]
    names = [n for n in names if _matches(n, keep) and not _matches(n, drop)]
    return sorted(names, key=natural_key)


def nearest(name: str, candidates: Iterable[str], limit: int = 5) -> list[str]:
    """Return the candidates most like ``name``, best first.

    Case and the choice of hyphen or underscore do not count. Every candidate that is one slip of a
    character away is among them, however many there are.
    """
    wanted = _normal(name)
    reach = max(1, len(wanted) // 3)
    scored = sorted((edit_distance(wanted, _normal(c)), natural_key(c), c) for c in candidates)
    return [c for rank, (distance, _, c) in enumerate(scored) if distance <= 1 or (rank < limit and distance <= reach)]


def edit_distance(a: str, b: str) -> int:
    """Count the insertions, deletions, substitutions and swaps of neighbours between two strings."""
    before, row = list(range(len(b) + 1)), list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        earlier, before, row = before, row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y)))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                row[j] = min(row[j], earlier[j - 2] + 1)
    return row[-1]


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key that compares the numbers in names as numbers."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.findall(r"\d+|\D+", name)]


def did_you_mean(names: Sequence[str]) -> str:
    """Phrase suggestions as a sentence, or as nothing where there are none."""
    return f" Did you mean {' or '.join(repr(n) for n in names)}?" if names else ""


def _unknown(kind: Kind, name: str) -> str:
    same = entries(kind)
    stem = name.partition(":")[0]
    message = [f"No {kind} named {name!r}."]
    if stem in same and same[stem].takes_argument:
        message.append(f"Write {stem!r} with what it takes: '{stem}:NAME'.")
    near = nearest(stem, [n for n in same if n != name])
    if near:
        message.append(did_you_mean(near).strip())
    for other in Kind:
        if other is not kind:
            message += [f"{n!r} is a {other}, not a {kind}." for n in nearest(stem, entries(other), limit=1)]
    if broken_plugins():
        message.append("Plugins that cannot be used: " + "; ".join(map(str, broken_plugins())) + ".")
    message.append(f"`stawm list {kind}` shows them all.")
    return " ".join(message)


def _identity(entry: Entry) -> str:
    if isinstance(entry.target, str):
        return entry.target
    return f"{getattr(entry.target, '__module__', '?')}:{getattr(entry.target, '__qualname__', repr(entry.target))}"


@cache
def _builtin() -> dict[tuple[Kind, str], Entry]:
    from stawm.catalog import CATALOG

    return {(entry.kind, entry.name): entry for entry in CATALOG}


def _plugins() -> tuple[dict[tuple[Kind, str], Entry], tuple[BrokenPlugin, ...]]:
    if os.environ.get(PLUGIN_SWITCH, "1") == "0":
        return {}, ()
    return _read_plugins(tuple(entry_points(group=ENTRY_POINT_GROUP)))


@cache
def _read_plugins(points: tuple[EntryPoint, ...]) -> tuple[dict[tuple[Kind, str], Entry], tuple[BrokenPlugin, ...]]:
    """Import each plugin once; a plugin that fails is set aside with its reason."""
    found: dict[tuple[Kind, str], Entry] = {}
    broken = []
    for point in points:
        kind, _, name = point.name.partition(".")
        origin = f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown distribution"
        try:
            entry = _plugin_entry(point, Kind(kind), name, origin)
            taken = _builtin().get((entry.kind, name)) or found.get((entry.kind, name))
            if taken is not None:
                raise ConfigError([f"the name is taken by {_identity(taken)} ({taken.origin})"])
            found[entry.kind, name] = entry
        except Exception as error:
            broken.append(BrokenPlugin(kind, name, origin, f"{type(error).__name__}: {error}"))
    return found, tuple(broken)


def _plugin_entry(point: EntryPoint, kind: Kind, name: str, origin: str) -> Entry:
    if not _NAME.fullmatch(name):
        raise ConfigError([f"{name!r} is no legal name"])
    target = point.load()
    doc = (getattr(target, "__doc__", None) or "").strip().splitlines()
    cites = tuple(getattr(target, "cites", ()))
    return Entry(kind=kind, name=name, target=target, summary=doc[0] if doc else "", cites=cites, origin=origin)


def _as_tuple(patterns: str | Sequence[str]) -> tuple[str, ...]:
    return (patterns,) if isinstance(patterns, str) else tuple(patterns)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(" ", "-")
