"""Names to components: register, look up, list, plug in.

The registry knows names, not models: an entry is a name of some kind and a target that is
imported only when somebody asks for it. Three sources fill it: the built-in catalogue
(`stawm/catalog/components.py` and `presets.py`), the decorator `register`, and the entry points of other
packages in the group ``stawm.components``, each named ``kind.name``.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import is_dataclass, replace
from functools import cache
from importlib.metadata import EntryPoint
from typing import Any, TypeAlias, TypeVar

from stawm.catalog.entry import BrokenPlugin, Entry, Kind, first_line, is_written, name_faults
from stawm.catalog.forms import as_patterns, wrong_forms
from stawm.catalog.forms import matches as matches
from stawm.catalog.plugins import installed, quietly
from stawm.catalog.renaming import rename_faults, todays, warn_of
from stawm.catalog.suggest import did_you_mean, edit_distance, natural_key, nearest
from stawm.errors import ConfigError, UnknownNameError, shown

ENTRY_POINT_GROUP = "stawm.components"
PLUGIN_SWITCH = "STAWM_PLUGINS"
T = TypeVar("T")
Key: TypeAlias = tuple[Kind, str]
_registered: dict[Key, Entry] = {}
_for_stranger: ContextVar[bool] = ContextVar("_for_stranger", default=False)


@contextmanager
def for_stranger() -> Iterator[None]:
    """Look up names that came with a file: plug-ins are then imported where they are named, and for no message."""
    token = _for_stranger.set(True)
    try:
        yield
    finally:
        _for_stranger.reset(token)


def as_kind(kind: Kind | str) -> Kind:
    """Return the `Kind` of that name.

    Raises:
        UnknownNameError: There is no such kind.
    """
    if isinstance(kind, str) and kind in [*Kind]:
        return Kind(kind)
    hint = did_you_mean(nearest(kind[:100], map(str, Kind))) if isinstance(kind, str) else ""
    raise UnknownNameError(f"No kind named {shown(kind)}.{hint} The kinds are: {', '.join(Kind)}.")


def register(
    kind: Kind | str,
    name: str,
    *,
    summary: str | None = None,
    cites: Sequence[str] = (),
    origin: str | None = None,
    recipes: Mapping[str, Mapping[str, Any] | str] | None = None,
    replaced_by: str | None = None,
    removed_in: str | None = None,
) -> Callable[[T], T]:
    """Register a component class, or a preset, under a name.

    Args:
        kind: ``"memory"``, ``"backbone"``, ``"canvas"``, ``"locator"``, ``"policy"``, ``"head"``, ``"data"`` or
            ``"preset"``.
        name: The name, lower case with hyphens; a preset's variant is named ``preset.tag``.
        summary: One sentence for listings; the first line of the docstring where it is left out.
        cites: BibTeX keys, or whole BibTeX entries, of what the component implements.
        origin: The distribution that brings it; the top-level package of the class where left out.
        recipes: Of a preset, how it is trained: by the recipe's name its fields (see `stawm.training.Recipe`), or
            the name of another preset, such as a variant, that the recipe trains in its place.
        replaced_by: The new name, where this is an old one: it goes on to work, with a `DeprecationWarning`, is listed
            no more, and stays legal in checkpoints.
        removed_in: The version of your package in which the old name will be gone; needed with ``replaced_by``.

    Raises:
        ConfigError: The name is malformed, another component has it already, or recipes are given for
            something else than a preset. Running the same class statement again, as notebooks do, is not a clash.
        UnknownNameError: There is no such kind.

    Examples:
        A preset of one's own::

            fast = {"epochs": 10, "rate": 0.002, "augmentation": {"rotation": 15}}


            @stawm.register("preset", "my-digits", summary="Digits, looked at twice.", recipes={"fast": fast})
            def my_digits():
                return {"preset": "stawm-digits", "glimpses": 2}

        A name that was changed::

            @stawm.register("memory", "surprise")
            @stawm.register("memory", "my-memory", replaced_by="surprise", removed_in="2.0")
            class Surprise(Memory): ...
    """
    resolved, wrong = as_kind(kind), wrong_forms(name, summary, cites, origin, recipes, replaced_by, removed_in)
    wrong = wrong or rename_faults(name, replaced_by, removed_in)
    if wrong:
        raise ConfigError(wrong)

    def add(target: T) -> T:
        module = (target.__module__ if is_written(target) else None) or "__main__"
        package = module.partition(".")[0]
        entry = Entry(
            kind=resolved,
            name=name,
            target=target,
            summary=first_line(target) if summary is None else summary,
            cites=tuple(cites),
            origin=origin or package,
            recipes=dict(recipes or {}),
            replaced_by=replaced_by,
            removed_in=removed_in,
        )
        faults = name_faults(entry, {**_plugins()[0], **_registered, **_builtin()})
        if resolved is not Kind.PRESET and not _has_config(target):
            faults.append(f"{entry.place} has no Config, a dataclass, which every component has.")
        if resolved is Kind.PRESET and not (
            callable(target) or isinstance(target, Mapping) or _is_config(type(target))
        ):
            faults.append(
                f"A preset must be a mapping, a configuration or a function that returns one; got {entry.place}."
            )
        if resolved is not Kind.PRESET and recipes:
            faults.append(f"Recipes are for presets; {name!r} is a {resolved}.")
        if faults:
            raise ConfigError(faults)
        _registered[resolved, name] = entry
        return target

    return add


def find(kind: Kind | str, name: str) -> Entry:
    """Look an entry up by kind and name.

    Args:
        kind: The kind of component.
        name: The name; for an entry that takes an argument, ``name:argument``.

    Raises:
        UnknownNameError: It is not there, or cannot be imported. The message names the nearest
            names, of this kind and of others, and the plugins that could not be used.
    """
    kind = as_kind(kind)
    if not isinstance(name, str):
        raise UnknownNameError(f"The name of a {kind} must be a string; got {shown(name)}.")
    stem, colon, argument = name.partition(":")
    entry = _stands(kind, stem)
    if entry is not None and entry.replaced_by is not None:
        return find(kind, current(kind, name))
    if entry is None or bool(colon) != entry.takes_argument or (colon and not argument):
        raise UnknownNameError(_unknown(kind, name))
    try:
        found = _complete(entry)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a stranger's module may also call sys.exit
        broken = _broken(entry, error)
        raise UnknownNameError(f"The {kind} {name!r} from {broken.origin} cannot be used: {broken.reason}.") from error
    return found if found.replaced_by is None else find(kind, current(kind, name))


def current(kind: Kind | str, name: str) -> str:
    """Return the name that a component or preset has today: of a name that was changed the new one, with a warning.

    A name that came with a file is replaced without a word (see `for_stranger`): nobody can change what stands there.

    Args:
        kind: Its kind.
        name: Its name, with its argument where it takes one; a name that is not registered is returned as it is.

    Raises:
        ConfigError: The names lead round in a circle.
    """
    kind = as_kind(kind)
    stem, colon, argument = name.partition(":")
    entry = _stands(kind, stem)
    if entry is not None and isinstance(entry.target, EntryPoint):
        try:
            entry = _complete(entry)
        except KeyboardInterrupt:
            raise
        except BaseException:  # `find` says why it cannot be imported
            return name
    if entry is None or entry.replaced_by is None:
        return name
    new = todays(entry, lambda other: _stands(kind, other))
    new_name = f"{entry.replaced_by if new is None else new.name}{colon}{argument}"
    if not _for_stranger.get():
        warn_of(entry, new_name)
    return new_name


def _stands(kind: Kind, name: str) -> Entry | None:
    key = (kind, name)
    return _builtin().get(key) or _plugins()[0].get(key) or _registered.get(key)


def entries(kind: Kind | str) -> dict[str, Entry]:
    """Return all entries of a kind by name: built-in, registered and plugged in, but for names that were changed.

    Plugins are imported for it. One that cannot be is there too, with the reason as its summary: it
    raises only when it is used.
    """
    kind, found = as_kind(kind), {}
    for entry in _listed():
        if entry.kind is not kind:
            continue
        try:
            found[entry.name] = _complete(entry)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever a stranger's module raises, sys.exit too
            found[entry.name] = replace(entry, summary=f"Cannot be used: {_broken(entry, error).reason}.")
    return found


def broken_plugins() -> tuple[BrokenPlugin, ...]:
    """Return the plugins that are installed but cannot be used, each with its reason."""
    declared, broken = _plugins()
    failed = []
    for entry in declared.values():
        try:
            _complete(entry)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever a stranger's module raises, sys.exit too
            failed.append(_broken(entry, error))
    return (*broken, *failed)


def list_names(
    kind: Kind | str = Kind.PRESET,
    pattern: str | Sequence[str] = "*",
    *,
    exclude: str | Sequence[str] = (),
    origin: str | None = None,
) -> list[str]:
    """List registered names, the numbers in them compared as numbers; nothing is imported for it.

    A name that was changed is not listed: it still works, and says what it is called now.

    A preset's variants, named ``preset.tag``, are listed only where a pattern contains a dot: ``"*.*"`` lists all.

    Args:
        kind: The kind to list.
        pattern: Wildcards (``*``, ``?``, ``[...]``), one or several; a name that matches any is kept.
        exclude: Wildcards of names to leave out.
        origin: Keep only what this distribution brought.

    Raises:
        ConfigError: A wildcard, or the origin, is no string.
        UnknownNameError: There is no such kind.

    Examples:
        >>> import stawm
        >>> stawm.list_names("preset", "stawm-mnist-draw-*")
        ['stawm-mnist-draw-4', 'stawm-mnist-draw-6', 'stawm-mnist-draw-8']
        >>> stawm.list_names("preset", "stawm-mnist-8.*")
        ['stawm-mnist-8.fast']
        >>> stawm.list_names("canvas", exclude="add*")
        ['bernoulli']
    """
    kind, keep, drop = as_kind(kind), as_patterns(pattern), as_patterns(exclude)
    if origin is not None and not isinstance(origin, str):
        raise ConfigError([f"The origin of names must be a distribution's name, a string; got {shown(origin)}."])
    names = (
        entry.name
        for entry in _listed()
        if entry.kind is kind and origin in (None, entry.origin, entry.origin.partition(" ")[0])
    )
    dotted = tuple(pattern for pattern in keep if "." in pattern)
    kept = (name for name in names if matches(name, dotted if "." in name else keep))
    return sorted((name for name in kept if not matches(name, drop)), key=natural_key)


def variants_of(preset: str) -> list[str]:
    """Return the variants of a preset, named ``preset.tag``."""
    return list_names(Kind.PRESET, f"{preset}.*")


def kinds_of(name: str) -> list[Kind]:
    """Return the kinds that have a name, presets first."""
    if not isinstance(name, str):
        return []
    stem, declared = name.partition(":")[0], _declared()
    return [kind for kind in sorted(Kind, key=lambda kind: kind is not Kind.PRESET) if (kind, stem) in declared]


def known() -> set[tuple[str, str]]:
    """Return kind and name of every entry that is declared; nothing is imported for it."""
    return {(str(kind), name) for kind, name in _declared()}


def _unknown(kind: Kind, name: str) -> str:
    stem, _, argument = name.partition(":")
    name, stem, argument = name[:100], stem[:100], argument[:100]
    takers = [entry.name for entry in _builtin().values() if entry.takes_argument]
    bare = re.sub(rf"^(?:{'|'.join(takers)})[/.]", "", name)
    plugins, unusable = _plugins()
    declared = _listed(plugins)
    same = {entry.name: entry for entry in declared if entry.kind is kind}
    near = dict.fromkeys(n for asked in dict.fromkeys((stem, name)) for n in nearest(asked, same))
    shown = [n for n in near if "." in name or "." not in n or edit_distance(n, name) == 1]
    meant = [f"{n}:{argument or 'NAME'}" if same[n].takes_argument else n for n in shown]
    message = [f"No {kind} named {name!r}.{did_you_mean(meant)}"]
    for other in Kind:
        if other is not kind:
            theirs = [entry.name for entry in declared if entry.kind is other]
            message += [f"{n!r} is a {other}, not a {kind}." for n in nearest(stem, theirs, limit=1)]
    if not meant:
        message += [f"A name of {n} is written '{n}:{bare}'." for n, entry in same.items() if entry.takes_argument]
    broken = unusable if _for_stranger.get() else broken_plugins()
    if broken:
        message.append(f"Plugins that cannot be used: {'; '.join(map(str, broken))}.")
    message.append(f"`stawm list {kind}` shows them all.")
    return " ".join(message)


def _declared(plugins: Mapping[Key, Entry] | None = None) -> dict[Key, Entry]:
    """Return every entry by what is known without importing it; plug-ins are read anew where they are not given."""
    return {**_registered, **(_plugins()[0] if plugins is None else plugins), **_builtin()}


def _listed(plugins: Mapping[Key, Entry] | None = None) -> list[Entry]:
    """Return every entry but those of names that were changed; that a plug-in's was, only its import tells."""
    changed = {key for key, entry in _registered.items() if entry.replaced_by}
    return [entry for key, entry in _declared(plugins).items() if not entry.replaced_by and key not in changed]


@cache
def _builtin() -> dict[Key, Entry]:
    from stawm.catalog.components import COMPONENTS
    from stawm.catalog.presets import PRESETS

    return {(entry.kind, entry.name): entry for entry in (*COMPONENTS, *PRESETS)}


def _plugins() -> tuple[dict[Key, Entry], list[BrokenPlugin]]:
    """Read which plugins are installed, without importing any: the usable ones, and the others with what is wrong."""
    found: dict[Key, Entry] = {}
    broken: list[BrokenPlugin] = []
    if os.environ.get(PLUGIN_SWITCH) == "0":
        return found, broken
    points, unreadable = installed(ENTRY_POINT_GROUP)
    broken += [BrokenPlugin("plugin", "", origin, reason) for origin, reason in unreadable]
    for point, origin in points:
        kind, _, name = point.name.partition(".")
        try:
            entry = Entry(kind=as_kind(kind), name=name, target=point, origin=origin)
        except UnknownNameError as error:
            broken.append(BrokenPlugin(kind, name, origin, str(error)))
            continue
        faults = name_faults(entry, {**found, **_registered, **_builtin()})
        broken += [BrokenPlugin(kind, name, origin, fault) for fault in faults]
        if not faults:
            found[entry.kind, name] = entry
    return found, broken


def _complete(entry: Entry) -> Entry:
    """Return the entry with what a plugin says of itself; whatever its import raises comes through."""
    if not isinstance(entry.target, EntryPoint):
        return entry
    with quietly():
        target = entry.load()
    if entry.kind is not Kind.PRESET and not _has_config(target):
        raise TypeError(f"{entry.place} has no Config, a dataclass, which every component has")
    if (entry.kind, entry.name) in _registered:  # by its own module, while it was imported
        return replace(_registered[entry.kind, entry.name], origin=entry.origin)
    return replace(entry, target=target, summary=first_line(target), cites=tuple(getattr(target, "cites", ())))


def _has_config(target: Any) -> bool:
    config = getattr(target, "Config", None)
    return isinstance(config, type) and _is_config(config)


def _is_config(config: type) -> bool:
    return is_dataclass(config) and hasattr(config, "check")


def _broken(entry: Entry, error: BaseException) -> BrokenPlugin:
    """Say why a plugin cannot be used, in one line."""
    said = " ".join(str(error).split())[:500]
    asked = "it called sys.exit" if isinstance(error, SystemExit) else type(error).__name__
    return BrokenPlugin(str(entry.kind), entry.name, entry.origin, f"{asked}: {said}")
