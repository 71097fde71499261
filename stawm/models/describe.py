"""What a registered name stands for, for people and for programs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from stawm import registry
from stawm.catalog.suggest import did_you_mean, nearest
from stawm.configuration import Config, describe_hint, field_hints, field_meanings, missing, plain, resolve
from stawm.errors import UnknownNameError, shown
from stawm.models.construct import construct, without_downloads
from stawm.models.resolve import config
from stawm.registry import Kind
from stawm.text import Readable


@dataclass(frozen=True, kw_only=True)
class Description(Readable):
    """A component or preset, described.

    Attributes:
        kind: Its kind.
        name: Its name.
        summary: What it is, in one sentence.
        origin: The distribution that brought it.
        cites: The keys of what it implements.
        fields: For each field of its configuration the ``value`` (a component's default, or the preset's own),
            what is ``legal`` in words, what it ``means``, and whether it is ``required``.
        parameters: How many numbers a preset's model learns; None for a component.
        recipes: How a preset is trained: by the recipe's name its fields, or the variant that it trains.
        variants: The variants of a preset, named ``preset.tag``.
    """

    kind: str
    name: str
    summary: str
    origin: str
    cites: tuple[str, ...]
    fields: Mapping[str, Mapping[str, Any]]
    parameters: int | None = None
    recipes: Mapping[str, Mapping[str, Any] | str] = field(default_factory=dict)
    variants: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return plain(vars(self))

    def __str__(self) -> str:
        """Lay it out for reading."""
        lines = [f"{self.name} ({self.kind}, {self.origin}): {self.summary}"]
        if self.parameters is not None:
            lines.append(f"  parameters: {self.parameters:,}")
        for key, said in self.fields.items():
            value = "required" if said["required"] else _written(said["value"])
            lines.append(f"  {key} = {value}  ({said['legal']})  {said['means']}".rstrip())
        if self.recipes:
            trains = {name: f" (trains {r})" if isinstance(r, str) else "" for name, r in self.recipes.items()}
            lines.append(f"  recipes: {', '.join(name + words for name, words in trains.items())}")
        if self.variants:
            lines.append(f"  variants: {', '.join(self.variants)}")
        if self.cites:
            lines.append(f"  cites: {', '.join(self.cites)}")
        return "\n".join(lines)


def describe(name: str, /, kind: Kind | str | None = None) -> Description:
    """Describe a registered name.

    Args:
        name: The name.
        kind: Its kind; the first kind that has the name, where left out, presets before all.

    Raises:
        UnknownNameError: No kind, or not that kind, has the name.
        ConfigError: The name takes an argument, and the one given is unknown.

    Examples:
        >>> import stawm
        >>> print(stawm.describe("crop"))
        crop (locator, stawm): A position and one scale.
        ...
        >>> stawm.describe("stawm-mnist-8").fields["glimpses"]["value"]
        8
    """
    found = _kind_of(name) if kind is None else registry.as_kind(kind)
    name = registry.current(found, name) if isinstance(name, str) else name
    whole = registry.entries(found).get(name)
    entry = whole if whole is not None and whole.takes_argument else registry.find(found, name)
    fields, parameters = _preset(name) if found is Kind.PRESET else (_component(found, name, entry.load()), None)
    return Description(
        kind=str(found),
        name=name,
        summary=entry.summary,
        origin=entry.origin,
        cites=entry.cites,
        fields=fields,
        parameters=parameters,
        recipes=entry.recipes,
        variants=tuple(registry.variants_of(name)) if found is Kind.PRESET else (),
    )


def _kind_of(name: str) -> Kind:
    if not isinstance(name, str):
        raise UnknownNameError(f"A component or preset must be given by its name, a string; got {shown(name)}.")
    found = registry.kinds_of(name)
    if not found:
        known = [other for kind in Kind for other in registry.list_names(kind, ("*", "*.*"))]
        hint = did_you_mean(nearest(name[:100], known))
        raise UnknownNameError(f"No component is named {shown(name)}.{hint} `stawm list KIND` shows them by kind.")
    return found[0]


def _component(kind: Kind, name: str, component: Any) -> dict[str, dict[str, Any]]:
    cls: Any = component.Config
    if missing(cls, {"name": name}, name):
        return _fields(cls, {})
    default = cls() if name in registry.list_names(kind) else resolve(kind, name)
    return _fields(cls, default.to_dict())


def _preset(name: str) -> tuple[dict[str, dict[str, Any]], int]:
    resolved = config(name)
    with torch.device("meta"):
        model = construct(without_downloads(resolved))
    parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return _fields(type(resolved), resolved.to_dict()), parameters


def _fields(cls: type[Config], values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    meanings = field_meanings(cls)
    return {
        key: {
            "value": values.get(key),
            "legal": describe_hint(hint),
            "means": meanings.get(key, ""),
            "required": key not in values,
        }
        for key, hint in field_hints(cls).items()
    }


def _written(value: Any) -> str:
    """Write a value in one line; of a component only its name."""
    if isinstance(value, dict) and "name" in value:
        return value["name"]
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    return repr(value)
