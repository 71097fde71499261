"""What the registry holds: names by kind, and where to import them from."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import import_module
from importlib.metadata import EntryPoint
from typing import Any

NAME_FORM = "lower case letters and digits, words joined by single hyphens"
LONGEST = 100
"""How many characters a name has at most."""
_WORDS = "[a-z0-9]+(-[a-z0-9]+)*"
_NAME = re.compile(_WORDS, re.ASCII)
_NAME_AND_TAG = re.compile(rf"{_WORDS}(\.{_WORDS})?", re.ASCII)


class Kind(StrEnum):
    """The kinds of component that can be registered."""

    MEMORY = "memory"
    BACKBONE = "backbone"
    CANVAS = "canvas"
    LOCATOR = "locator"
    POLICY = "policy"
    HEAD = "head"
    DATA = "data"
    PRESET = "preset"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One registered name.

    Attributes:
        kind: What sort of component it is.
        name: Lower case, words joined by hyphens; of a preset's variant followed by a dot and its tag.
        target: The component, or where to import it from when it is asked for; nothing for a name that was changed.
        summary: One sentence for listings.
        cites: Keys into ``stawm/references.bib``, or whole BibTeX entries.
        origin: The distribution that brought it, with its version where it is not stawm.
        takes_argument: Whether the name is used as ``name:argument`` (such as ``timm:resnet18``).
        recipes: How a preset is trained, by the recipe's name: the recipe's fields, or the name of another preset
            that the recipe trains in its place.
        replaced_by: The name that took this one's place: this one still works, with a warning, and is not listed.
        removed_in: The version of its distribution in which this name will be gone.
    """

    kind: Kind
    name: str
    target: Any = None
    summary: str = ""
    cites: tuple[str, ...] = ()
    origin: str = "stawm"
    takes_argument: bool = False
    recipes: Mapping[str, Mapping[str, Any] | str] = field(default_factory=dict)
    replaced_by: str | None = None
    removed_in: str | None = None

    def load(self) -> Any:
        """Return the component, importing it where the target says only where it is."""
        if isinstance(self.target, EntryPoint):
            return self.target.load()
        if not isinstance(self.target, str):
            return self.target
        module, _, attribute = self.target.partition(":")
        return getattr(import_module(module), attribute)

    @property
    def place(self) -> str:
        """Where the component is, in words; of a preset that is a value, what it is."""
        return self._path or f"a {type(self.target).__name__}"

    def is_same(self, other: "Entry") -> bool:
        """Whether two entries are one component: of one place, or equal values."""
        if self._path or other._path:
            return self._path == other._path
        return type(self.target) is type(other.target) and self.target == other.target

    @property
    def _path(self) -> str | None:
        if isinstance(self.target, EntryPoint):
            return self.target.value
        if isinstance(self.target, str):
            return self.target
        return f"{self.target.__module__}:{self.target.__qualname__}" if is_written(self.target) else None


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


def is_written(target: Any) -> bool:
    """Whether a target is a class or a function: something with a place and a docstring of its own."""
    return hasattr(target, "__qualname__")


def is_name(name: str) -> bool:
    """Whether a name is of the legal form, that of a preset's variant among them."""
    return len(name) <= LONGEST and _NAME_AND_TAG.fullmatch(name) is not None


def first_line(target: Any) -> str:
    """Return the first line of a target's own docstring, or nothing."""
    lines = (target.__doc__ or "").strip().splitlines() if is_written(target) else []
    return lines[0] if lines else ""


def name_faults(entry: Entry, present: Mapping[tuple[Kind, str], Entry]) -> list[str]:
    """Return what keeps an entry from standing beside the present ones: a malformed name, or one that is taken."""
    tagged = entry.kind is Kind.PRESET
    form, words = (_NAME_AND_TAG, f"{NAME_FORM}; a tag may follow a dot") if tagged else (_NAME, NAME_FORM)
    if len(entry.name) > LONGEST or not form.fullmatch(entry.name):
        return [f"{entry.name[:LONGEST]!r} is not a legal name: {words}."]
    taken = present.get((entry.kind, entry.name))
    if taken is not None and not taken.is_same(entry):
        return [f"The {entry.kind} name {entry.name!r} is taken by {taken.place} ({taken.origin}); choose another."]
    return []
