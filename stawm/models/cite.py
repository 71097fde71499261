"""What to cite for a model."""

import re
from collections.abc import Iterable
from functools import cache
from importlib import resources

from stawm import registry
from stawm.catalog.components import NETWORKS
from stawm.errors import ConfigError
from stawm.models.construct import components
from stawm.models.model import Model
from stawm.models.resolve import ModelSpec, config
from stawm.registry import Kind


def cite(spec: ModelSpec | Model, /) -> str:
    """Return BibTeX for exactly what a model uses: entries, each once, sorted by key.

    Args:
        spec: A model, or what `build` takes.

    Examples:
        >>> import stawm
        >>> "harris2019" in stawm.cite("stawm-mnist-8")
        True
    """
    resolved = spec.config if isinstance(spec, Model) else config(spec)
    used = {key for kind, part in components(resolved) for key in _cites(kind, part.name)}
    if Kind.PRESET in registry.kinds_of(resolved.name):
        used |= {*_cites(Kind.PRESET, resolved.name)}
    return bibliography(used)


def _cites(kind: Kind, name: str) -> tuple[str, ...]:
    entry = registry.find(kind, name)
    network = re.split(r"[._]", name.partition(":")[2])[0]
    return entry.cites + NETWORKS.get(network, ()) if entry.takes_argument else entry.cites


def bibliography(keys: Iterable[str]) -> str:
    """Return BibTeX entries in the order of their keys.

    Args:
        keys: Keys into ``stawm/references.bib``, or whole entries, which are kept as they are.

    Raises:
        ConfigError: A key is not in that file.
    """
    entries = {_key(key) or key: key for key in keys}
    known = references()
    strange = [key for key, entry in entries.items() if key == entry and key not in known]
    if strange:
        raise ConfigError([f"stawm/references.bib has no {key!r}: cite the whole BibTeX entry." for key in strange])
    return "\n\n".join(known.get(entry, entry).strip() for _, entry in sorted(entries.items()))


@cache
def references() -> dict[str, str]:
    """Return the entries of ``stawm/references.bib`` by key."""
    text = resources.files("stawm").joinpath("references.bib").read_text(encoding="utf-8")
    return {_key(entry) or entry: entry for entry in re.split(r"\n\s*\n", text.strip())}


def _key(entry: str) -> str | None:
    found = re.match(r"\s*@\w+\s*\{\s*([^,\s]+)\s*,", entry)
    return found[1] if found else None
