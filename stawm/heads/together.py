"""What the heads of one model must agree on: the fields that they give, and the targets that they learn."""

import keyword
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from stawm.errors import InputError
from stawm.heads.base import Fields, Head
from stawm.heads.output import Output, Trace

RESERVED = (*Trace._fields, "trace", "extra", "confidence", "corners", "shares", "image")
"""What no head may call a field: outputs and graphs have these of their own."""


def clashes(heads: Mapping[str, Head]) -> list[str]:
    """Return what is wrong with the fields that heads declare, each by itself and all together."""
    givers: dict[str, list[str]] = defaultdict(list)
    for name, head in heads.items():
        for field in head.fields:
            givers[field].append(name)
    illegal = [
        f"The head {names[0]!r} declares a field {field!r}, which no head can give: a field needs another name."
        for field, names in givers.items()
        if field in RESERVED or not field.isidentifier() or keyword.iskeyword(field) or _is_taken(field)
    ]
    return illegal + [_twice(field, names) for field, names in givers.items() if len(names) > 1]


def _is_taken(field: str) -> bool:
    return field.startswith("_") or (field not in Output.own and hasattr(Output, field))


def _twice(field: str, names: list[str]) -> str:
    return f"The heads {' and '.join(map(repr, names))} both give {field!r}, which an output has only once: keep one."


def add(fields: Fields, given: Fields, name: str, heads: Mapping[str, Head]) -> None:
    """Add what a head gives to what others gave.

    Raises:
        InputError: Another one gave such a field already, which it did not declare.
    """
    for field in given.keys() & fields.keys():
        others = [other for other, head in heads.items() if other != name and field in head.fields]
        raise InputError(_twice(field, [*(others or ["one before"]), name]))
    fields.update(given)


def share_out(heads: Mapping[str, Head], targets: Tensor | Mapping[str, Tensor] | None) -> dict[str, Any]:
    """Return what each head learns.

    Args:
        heads: The heads by name.
        targets: One tensor for all that learn targets, where they learn the same kind; else a mapping by their names.

    Raises:
        InputError: A tensor is given for heads that learn different kinds, or there is no head of a name.
    """
    if not isinstance(targets, Mapping):
        kinds = {name: head.targets for name, head in heads.items() if head.targets is not None}
        if targets is not None and len(set(kinds.values())) > 1:
            said = ", ".join(f"{name} {kind}" for name, kind in kinds.items())
            raise InputError(
                f"The heads learn different targets ({said}): give these as a mapping by the heads' names, "
                "and train with a loop of your own."
            )
        return dict.fromkeys(heads, targets)
    strange = [name for name in targets if name not in heads]
    if strange:
        raise InputError(f"There is no head {strange[0]!r} to learn targets; the model has {', '.join(heads)}.")
    return {name: targets.get(name) for name in heads}
