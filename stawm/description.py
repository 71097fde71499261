"""What a registered name stands for, for people and for programs."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from stawm import registry
from stawm.configuration import Config, describe_hint, field_hints
from stawm.errors import UnknownNameError
from stawm.factory import config, construct
from stawm.registry import Kind


@dataclass(frozen=True, kw_only=True)
class Description:
    """A component or preset, described.

    Attributes:
        kind: Its kind.
        name: Its name.
        summary: What it is, in one sentence.
        origin: The distribution that brought it.
        cites: The keys of what it implements.
        fields: Field to default value and legal values; for a preset, field to value.
        parameters: How many numbers a preset's model learns; None for a component.
    """

    kind: str
    name: str
    summary: str
    origin: str
    cites: tuple[str, ...]
    fields: Mapping[str, Mapping[str, Any]]
    parameters: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {**dataclasses.asdict(self), "cites": list(self.cites)}

    def __str__(self) -> str:
        """Lay it out for reading."""
        lines = [f"{self.name} ({self.kind}, {self.origin}): {self.summary}"]
        if self.parameters is not None:
            lines.append(f"  parameters: {self.parameters:,}")
        for key, value in self.fields.items():
            legal = f"   ({value['legal']})" if value.get("legal") else ""
            lines.append(f"  {key} = {value['value']!r}{legal}")
        if self.cites:
            lines.append(f"  cites: {', '.join(self.cites)}")
        return "\n".join(lines)


def describe(name: str, /, kind: Kind | str | None = None) -> Description:
    """Describe a registered name.

    Args:
        name: The name.
        kind: Its kind; the first kind that has the name, where left out.

    Raises:
        UnknownNameError: No kind, or not that kind, has the name.

    Examples:
        >>> import stawm
        >>> print(stawm.describe("crop"))  # doctest: +ELLIPSIS
        crop (locator, stawm): A position and one scale.
        ...
        >>> stawm.describe("stawm-mnist-8").fields["glimpses"]["value"]
        8
    """
    found = _kind_of(name) if kind is None else registry.as_kind(kind)
    entry = registry.find(found, name)
    fields, parameters = _preset(name) if found is Kind.PRESET else (_component(entry.load(), name), None)
    return Description(
        kind=str(found),
        name=name,
        summary=entry.summary,
        origin=entry.origin,
        cites=entry.cites,
        fields=fields,
        parameters=parameters,
    )


def _kind_of(name: str) -> Kind:
    stem = name.partition(":")[0]
    found = next((kind for kind in (Kind.PRESET, *Kind) if stem in registry.entries(kind)), None)
    if found is None:
        registry.find(Kind.PRESET, name)
        raise UnknownNameError(f"No component named {name!r}.")
    return found


def _component(component: Any, name: str) -> dict[str, dict[str, Any]]:
    cls: type[Config] = component.Config
    hints = field_hints(cls)
    return {
        f.name: {"value": name if f.name == "name" else f.default, "legal": describe_hint(hints[f.name])}
        for f in dataclasses.fields(cls)
    }


def _preset(name: str) -> tuple[dict[str, dict[str, Any]], int]:
    resolved = config(name)
    with torch.device("meta"):
        model = construct(resolved)
    parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return {key: {"value": value} for key, value in resolved.to_dict().items()}, parameters
