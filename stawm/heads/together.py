"""What the heads of one model must agree on: the fields that they give, the noise that they share, their targets.

A head knows its fields by their plain names. In a model it may have a label, beside another head of its kind: its
fields in the output, and its losses, then begin with the label.
"""

import keyword
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from stawm.errors import InputError
from stawm.heads.base import Fields, Head, Targets
from stawm.heads.config import RESERVED, label_of, prefix
from stawm.heads.noise import Shapes
from stawm.heads.output import Latent, Noise, Output


def clashes(heads: Mapping[str, Head]) -> list[str]:
    """Return what is wrong with the fields that heads declare, each by itself and all together."""
    givers: dict[str, list[str]] = defaultdict(list)
    for name, head in heads.items():
        for field in declared(head):
            givers[field].append(name)
    illegal = [
        f"The head {names[0]!r} declares a field {field!r}, which no head can give: a field needs another name."
        for field, names in givers.items()
        if field in RESERVED or not field.isidentifier() or keyword.iskeyword(field) or _is_taken(field)
    ]
    twice = [_twice(field, names) for field, names in givers.items() if len(names) > 1]
    return illegal + twice + [fault for head in heads.values() for fault in _label_faults(head)]


def _label_faults(head: Head) -> list[str]:
    """Return why the label of a head cannot be one: modules have something of that name, or outputs a field."""
    label = label_of(_config(head))
    if label is None:
        return []
    if hasattr(nn.ModuleDict(), label):
        return [f"No head can be called {label!r}, as every module of PyTorch has something of that name."]
    own = [field for field in declared(head) if field in (*Output.own, *Latent._fields)]
    return [f"No head of its kind can be called {label!r}: {field!r} is a field of others." for field in own]


def declared(head: Head) -> dict[str, str]:
    """Return the fields that a head gives, as they are called in the output, with the letters of their axes."""
    return {prefix(_config(head)) + name: axes for name, axes in head.fields.items()}


def _config(head: Head) -> Any:
    return getattr(head, "config", None)


def outward(fields: Fields, head: Head) -> Fields:
    """Return what a head gives, as it is called in the output; with a label, the parts of a latent by themselves."""
    start = prefix(_config(head))
    if not start:
        return fields
    flat: Fields = {}
    for name, value in fields.items():
        flat |= value._asdict() if isinstance(value, Latent) else {name: value}
    return {start + name: value for name, value in flat.items() if value is not None}


def inward(output: Output, head: Head) -> Output:
    """Return a model's output as one head knows it: with its own fields by their plain names."""
    start = prefix(_config(head))
    if not start:
        return output
    own = {name: output.extra[start + name] for name in head.fields if start + name in output.extra}
    parts = [own.pop(name) for name in Latent._fields if name in own]
    latent = Latent(*parts) if len(parts) == len(Latent._fields) else None
    return Output.of({**own, "latent": latent, "trace": output.trace})


def without_glimpse_logits(output: Output, heads: Mapping[str, Head]) -> Output:
    """Return an output without what classifying heads say after each glimpse, for where that was not asked for."""
    unasked = {f"{prefix(_config(head))}glimpse_logits" for head in heads.values()}
    extra = {name: value for name, value in output.extra.items() if name not in unasked}
    return replace(output, glimpse_logits=None, extra=extra)


def noise_shapes(heads: Mapping[str, Head], glimpses: int) -> Shapes:
    """Return the shapes, without the batch, of the random numbers that heads take; of several heads side by side.

    Args:
        heads: The heads by name.
        glimpses: n, how many writes there are.
    """
    found: dict[str, tuple[int, ...]] = {}
    for head in heads.values():
        for name, (n, size, *rest) in head.noise_shapes(glimpses).items():
            found[name] = (n, size + (found[name][1] if name in found else 0), *rest)
    return found


def share_noise(noise: Noise, heads: Mapping[str, Head]) -> dict[str, Noise]:
    """Return the random numbers of each head, by name: its own of those that stand side by side."""
    taken: dict[str, int] = {}  # a plain one: the compiler of PyTorch 2.9 knows no other
    found = {}
    for name, head in heads.items():
        own: dict[str, Tensor] = {}
        for kind, (_, size, *_) in head.noise_shapes(1).items():
            whole, start = getattr(noise, kind), taken.get(kind, 0)
            taken[kind] = start + size
            if whole is not None:
                own[kind] = whole if whole.shape[2] == size else whole[:, :, start : start + size]
        found[name] = Noise(**own)
    return found


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
        others = [other for other, head in heads.items() if other != name and field in declared(head)]
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
        learning = {name: head for name, head in heads.items() if head.targets is not None}
        kinds = {name: str(head.targets) for name, head in learning.items()}
        if {*kinds.values()} == {"classes"}:
            kinds = {name: _counted(head) for name, head in learning.items()}
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


def measures_of(heads: Mapping[str, Head], output: Output, labels: Targets) -> dict[str, dict[str, Tensor]]:
    """Return what each head that learns targets says of how good its answers are, summed over the batch.

    Args:
        heads: The heads by name.
        output: What their model gave.
        labels: What would have been right.
    """
    shared = {name: own for name, own in share_out(heads, labels).items() if own is not None}
    return {
        name: heads[name].measure(inward(output, heads[name]), own)
        for name, own in shared.items()
        if heads[name].targets
    }


def _counted(head: Head) -> str:
    """Say how many classes a head learns, where it says so."""
    count = getattr(_config(head), "classes", None)
    return f"{count} classes" if count else "classes"
